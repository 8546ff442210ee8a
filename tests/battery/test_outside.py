"""What leaves: nothing that was to be redacted, and nothing to any host but the endpoint."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from tests.kits import battery as kit
from tests.kits.battery import frame, kinds, says, statuses
from tests.kits.raw import Raw, good

pytestmark = pytest.mark.battery

FIELDS = {"intent": ["refund", "delivery", "other"]}
# -- redact= fails closed ------------------------------------------------------------------------

CANARY = "4929-1234-5678-9012"


def raising(_: str) -> str:
    raise ValueError(CANARY)


def leaving(_: str) -> str:
    raise SystemExit(CANARY)


BAD = {
    "raises": raising,
    "exits": leaving,
    "None": lambda _: None,
    "int": lambda _: 7,
    "bytes": lambda text: text.encode(),
    "list": lambda text: [text],
    "takes two": lambda _a, _b: "x",
    "half": lambda text: text.replace(CANARY, "") if "0" in text[:9] else None,
}


def private(n: int = 8) -> pd.DataFrame:
    return pd.DataFrame({"text": [f"record {i}: {CANARY}" for i in range(n)]})


def everywhere(server: Any, folder: Any) -> str:
    """All that the server and the disk have seen."""
    files = [path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()]
    return "".join([*(call.row for call in server.ledger.calls), *files])


@pytest.mark.parametrize("name", BAD)
def test_a_row_whose_text_cannot_be_redacted_is_not_sent(name, server, tmp_path):
    """PII: a raising, exiting or wrong hook fails closed: 0 canaries at the server and on disk."""
    call = kit.settings(server, tmp_path, store_input=True)
    out = lf.tag(private(), "text", FIELDS, redact=BAD[name], **call)
    assert CANARY not in everywhere(server, tmp_path)
    sent = 1 if name == "half" else 0
    assert len(server.ledger) == sent
    assert kinds(out) == {"redact": 8 - sent}
    assert CANARY not in "".join(out["llm_error"].dropna())
    assert out["llm_error"].dropna().str.contains("nothing was sent").all()


def test_a_text_of_which_redacting_leaves_nothing_is_skipped(server, tmp_path):
    """PII: blank, in every way of being blank."""
    blanks = iter(["", " ", "\u200b", "\x00", "\n\ufeff", "\u3000", "\u2060", "\xad"])
    call = kit.settings(server, tmp_path)
    out = lf.tag(private(), "text", FIELDS, redact=lambda _: next(blanks), **call)
    assert statuses(out) == {"skipped": 8}
    assert len(server.ledger) == 0


@pytest.mark.parametrize("fault", ["500", "malformed", "off_list", "length", "drop"])
def test_every_leg_of_a_row_sends_the_same_redacted_text(fault, tmp_path):
    """PII: a hook that changes from call to call is asked once a row; retries and re-asks too."""
    count = iter(range(1000))
    fails = {"faults": lambda _, attempt: fault if attempt == 0 else None}
    with testing.serve(**fails) as server:
        out = lf.tag(
            private(), "text", FIELDS, redact=lambda text: text.replace(CANARY, str(next(count))),
            **kit.settings(server, tmp_path, store_input=True, hedge=True),
        )  # fmt: skip
        assert CANARY not in everywhere(server, tmp_path)
        rows = [row for row in server.ledger.rows() if row.startswith("record")]
        assert len(rows) == 8 == next(count)
    assert statuses(out) == {"ok": 8}


def test_a_hook_that_hangs_sends_nothing_and_can_be_stopped(server, tmp_path):
    """PII: Stop does not wait for it."""
    free = threading.Event()

    def hanging(text: str) -> str:
        free.wait(60)
        return text

    try:
        run = lf.start(private(), "text", FIELDS, redact=hanging, **kit.settings(server, tmp_path))
        assert not run.wait(0.3)
        run.stop()
        assert run.wait(10)
    finally:
        free.set()
    assert statuses(run.partial()) == {"pending": 8}
    assert len(server.ledger) == 0


def test_a_checkpoint_is_not_taken_over_past_the_hook(server, tmp_path):
    """PII: adopt= and resuming go by the redacted text, too."""
    path = tmp_path / "run.jsonl"
    path.write_text('{"id": 1, "intent": "refund"}\n')
    df = private(2).assign(id=[1, 2])
    call = kit.settings(server, None, checkpoint=path, id="id", adopt=True)
    lf.tag(df, "text", FIELDS, redact=lambda text: text.replace(CANARY, "[card]"), **call)
    assert list(server.ledger.rows()) == ["record 1: [card]"]
    assert CANARY not in path.read_text()


# -- nobody else is spoken to --------------------------------------------------------------------


class Wire:
    """Notes every address that is looked up or connected to; the gateway's name is this machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connected: set[Any] = set()
        self.looked_up: set[Any] = set()
        connect, lookup = socket.socket.connect, socket.getaddrinfo

        def noted(sock: Any, address: Any) -> Any:
            self.connected.add(address)
            return connect(sock, address)

        def resolved(host: Any, *args: Any, **options: Any) -> Any:
            self.looked_up.add(host)
            here = host in ("gateway.example", "proxy.example")
            return lookup("127.0.0.1" if here else host, *args, **options)

        monkeypatch.setattr(socket.socket, "connect", noted)
        monkeypatch.setattr(socket, "getaddrinfo", resolved)


LINKS = (
    *("http://evil.example/a", "![x](https://evil.example/b.png)", "ftp://evil.example"),
    *("<img src='http://evil.example'>", "file:///etc/passwd", "\\evil.example\\share"),
)


def test_no_host_but_the_endpoints_is_ever_contacted(monkeypatch, server, tmp_path):
    """SSRF and telemetry: links in rows, answers and instructions are text."""
    server.update(answer=lambda text, _: {"intent": "other", "link": text})
    wire = Wire(monkeypatch)
    out = lf.tag(
        pd.DataFrame({"text": LINKS}), "text", FIELDS | {"link": str},
        **kit.settings(server, tmp_path, instructions=LINKS[0]),
    )  # fmt: skip
    assert out["link"].tolist() == list(LINKS)
    assert {address[1] for address in wire.connected} == {int(server.url.split(":")[2][:-3])}
    assert wire.looked_up <= {"127.0.0.1"}


def gateway(server: Any) -> str:
    return str(server.url).replace("127.0.0.1", "gateway.example")


def test_a_key_over_plain_http_is_warned_of_once_at_the_persons_line(monkeypatch, server):
    """http base_url: for a key from the call and from a client; here only is no warning."""
    from openai import AsyncOpenAI

    Wire(monkeypatch)
    client = AsyncOpenAI(api_key="sk-1234567890abc", base_url=gateway(server))
    for way in ({"base_url": gateway(server)}, {"client": client}, {"client": lambda: client}):
        call = kit.settings(server, None) | way
        if "client" in way:
            call["base_url"] = call["api_key"] = None
        with pytest.warns(UserWarning, match="plain http") as warned:
            out = lf.tag(frame(2), "text", FIELDS, **call)
        assert [one.filename for one in warned] == [__file__]
        says(warned[0].message, "gateway.example", "https", "allow_http=True")
        assert statuses(out) == {"ok": 2}
        lf.tag(frame(2), "text", FIELDS, **call | {"allow_http": True})
    lf.tag(frame(2), "text", FIELDS, **kit.settings(server, None))


@pytest.mark.parametrize(
    "host", ["localhost.evil.example", "127.0.0.1.nip.example", "127.evil", "0x7f.1.example"]
)
def test_a_host_that_only_looks_like_this_machine_is_none(host, monkeypatch):
    """http base_url: names that begin like the loopback's get no key by themselves."""
    with pytest.raises(PlanError, match="no API key"):
        lf.tag(frame(1), "text", FIELDS, model="m", base_url=f"http://{host}/v1")


@pytest.mark.usefixtures("way")
def test_a_proxy_of_the_environment_is_reported_and_never_used_for_this_machine(monkeypatch):
    """SSRF: what is said to a server here stays here; else the card names the proxy."""
    Wire(monkeypatch)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Raw(good) as proxy, Raw(good) as server:
        monkeypatch.setenv("http_proxy", f"http://proxy.example:{proxy.port}")
        kit.tag(frame(2), server.url, None, fields=FIELDS)
        assert (len(proxy.asked), len(server.asked)) == (0, 2)
        call = {"fields": FIELDS, "allow_http": True, "progress": "log"}
        with_notes = kit.tag(frame(3), gateway(server), None, **call)
        assert statuses(with_notes) == {"ok": 3}
        assert (len(proxy.asked), len(server.asked)) == (3, 2)


@pytest.mark.usefixtures("way")
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # aiohttp's
def test_the_card_names_the_proxy_without_its_password(monkeypatch, caplog):
    """SSRF: the person can see through whose hands the texts go."""
    caplog.set_level("INFO", "llmframe")
    Wire(monkeypatch)
    with Raw(good) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:hunter2@proxy.example:{proxy.port}")
        call = {"fields": FIELDS, "allow_http": True, "progress": "log"}
        kit.tag(frame(1), "http://gateway.example/v1", None, **call)
    assert "through the proxy http://***@proxy.example" in caplog.text
    assert "hunter2" not in caplog.text
