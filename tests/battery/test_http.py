"""HTTP as broken servers and proxies speak it: what cannot be read is asked for again."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from llmframe import testing
from llmframe.engine.governor import outage
from llmframe.engine.rows.health_probe import TEXT as PROBE
from llmframe.errors import RunAborted
from tests.kits.battery import frame, kinds, says, start, statuses, tag, uninterrupted, until
from tests.kits.proxy import Proxy
from tests.kits.raw import CLOSE, Raw, completion, good, http

pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("way")]


@pytest.fixture
def quick_looks(monkeypatch):
    """Looks a fifth of a second apart in place of up to fifteen."""
    monkeypatch.setattr(outage, "LONGEST_GAP", 0.2)


# -- connections that end where they should not ---------------------------------------------------


@pytest.mark.parametrize("mode", ["reset", "half"])
def test_a_reply_that_is_cut_in_its_middle_is_asked_for_again(tmp_path, quick_looks, mode):
    with testing.serve(latency=0.005) as server, Proxy(server.url) as proxy:
        proxy.do(mode, after=300)
        run = start(frame(40), proxy.url, tmp_path)
        until(lambda: len(server.ledger) >= 3)
        proxy.do("pass")
        out = run.result()
        assert statuses(out) == {"ok": 40}
        assert out.equals(uninterrupted(frame(40)))


def test_connections_that_the_server_closes_between_requests_cost_nothing(tmp_path):
    def script(asked):
        return http(completion(asked.content), connection="close")

    with Raw(script) as server:
        out = tag(frame(60), server.url, tmp_path)
        assert out.equals(uninterrupted(frame(60)))
        assert len(server.asked) == 60
        assert len({asked.peer for asked in server.asked}) == 60


def test_a_kept_connection_that_is_closed_as_it_is_used_again_costs_one_attempt(tmp_path):
    closed = set()

    def script(asked):
        if asked.number % 3 == 2 and asked.attempt == 0 and asked.row != PROBE:
            closed.add(asked.row)
            return [CLOSE]
        return good(asked)

    with Raw(script) as server:
        out = tag(frame(60), server.url, tmp_path, details=True, concurrency=4)
        assert statuses(out) == {"ok": 60}
        again = out.set_index("text")["llm_attempts"]
        assert set(again[again == 2].index) == closed
        assert again.max() == 2


HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def chunked(body, *, end=True):
    head = f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if end else b"")


def body(asked):
    return json.dumps(completion(asked.content)).encode()


BROKEN = {
    "chunks cut": lambda asked: [chunked(body(asked), end=False)[:-40], CLOSE],
    "last chunk missing": lambda asked: [chunked(body(asked), end=False), CLOSE],
    "length too long": lambda asked: [http(body(asked), content_length="9999"), CLOSE],
    "length too short": lambda asked: [http(body(asked), content_length="40"), CLOSE],
    "length is no number": lambda asked: [http(body(asked), content_length="many"), CLOSE],
    "not HTTP": lambda asked: [b"220 smtp.example ESMTP ready\r\n", CLOSE],
    "cut in the headers": lambda asked: [b"HTTP/1.1 200 OK\r\ncontent-ty", CLOSE],
    "no content": lambda asked: http(b"", "204 No Content", content_length=""),
    "gzip that is none": lambda asked: http(body(asked), content_encoding="gzip"),
    "gzip cut": lambda asked: http(gzip.compress(body(asked))[:-30], content_encoding="gzip"),
    "a packing nobody asked for": lambda asked: http(b"\x8b\x05\x80{}\x03", content_encoding="br"),
    "unknown status": lambda asked: http(b"", "599 Whatever"),
    "headers without end": lambda asked: [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000, CLOSE],
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_reply_that_is_broken_is_asked_for_again_and_costs_no_row(how, quick_looks):
    def script(asked):
        broken = asked.attempt == 0 and asked.number % 4 == 1 and asked.row != PROBE
        return BROKEN[how](asked) if broken else good(asked)

    with Raw(script) as server:
        out = tag(frame(40), server.url, None, concurrency=4)
        assert out.equals(uninterrupted(frame(40)))
        assert max(times for row, times in server.rows().items() if row != PROBE) == 2


@pytest.mark.parametrize("how", BROKEN)
def test_a_row_whose_reply_is_always_broken_fails_alone_with_a_reason(how):
    def script(asked):
        return BROKEN[how](asked) if "record 7 " in asked.row else good(asked)

    with Raw(script) as server:
        out = tag(frame(40), server.url, None, concurrency=4, max_attempts=2)
        assert statuses(out) == {"ok": 39, "failed": 1}
        assert set(kinds(out)) <= {"server", "connection"}
        reason = out["llm_error"].dropna().iloc[0]
        says(reason, "after 2 attempts")
        assert not any(word in reason for word in ("Traceback", "NoneType", "object at"))
        assert server.rows()["record 7 wants something"] == 2


FINE = {
    "chunked": lambda asked: chunked(body(asked)),
    "gzip": lambda asked: http(gzip.compress(body(asked)), content_encoding="gzip"),
    "deflate": lambda asked: http(zlib.compress(body(asked)), content_encoding="deflate"),
    "HTTP/1.0": lambda asked: good(asked).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "to the end of the connection": lambda asked: [
        HEAD.encode() + b"connection: close\r\n\r\n" + body(asked),
        CLOSE,
    ],
    "continue first": lambda asked: b"HTTP/1.1 100 Continue\r\n\r\n" + good(asked),
    "hints first": lambda asked: b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + good(asked),
    "byte by byte": lambda asked: [bytes([b]) for b in good(asked)],
    "no content type": lambda asked: http(body(asked), content_type=""),
    "text/plain": lambda asked: http(body(asked), content_type="text/plain"),
}


@pytest.mark.parametrize("how", FINE)
def test_a_reply_in_any_form_that_http_allows_is_read(how):
    with Raw(FINE[how]) as server:
        out = tag(frame(12), server.url, None)
        assert out.equals(uninterrupted(frame(12)))
        assert len(server.asked) == 12


# -- redirects: texts and key go nowhere else ---------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_carries_neither_key_nor_text_to_another_host(status):
    with Raw(good) as elsewhere:
        target = elsewhere.url.replace("127.0.0.1", "localhost") + "/chat/completions"
        with Raw(lambda asked: http(b"", f"{status} Moved", location=target)) as server:
            with pytest.raises(RunAborted) as caught:
                tag(frame(20), server.url, None)
            assert len(server.asked) <= 20
        assert elsewhere.asked == []
    says(caught.value, "localhost", "base_url", "0 of 20 rows", str(status))
    assert statuses(caught.value.run.partial()) == {"pending": 20}


def test_a_redirect_without_an_address_ends_the_run_too():
    with Raw(lambda asked: http(b"", "307 Moved")) as server, pytest.raises(RunAborted) as caught:
        tag(frame(20), server.url, None)
    says(caught.value, "base_url", "307")


# -- replies without measure ----------------------------------------------------------------------


def test_a_reply_of_fifty_megabytes_is_not_taken_in():
    blanks = [HEAD.encode() + b"transfer-encoding: chunked\r\n\r\n"]
    blanks += [b"100000\r\n" + b" " * 0x100000 + b"\r\n"] * 50
    blanks += [chunked(b"{}").split(b"\r\n\r\n", 1)[1]]

    def script(asked):
        return blanks if "record 3 " in asked.row else good(asked)

    with Raw(script) as server:
        out = tag(frame(20), server.url, None, max_attempts=2)
    assert statuses(out) == {"ok": 19, "failed": 1}
    says(out["llm_error"].dropna().iloc[0], "server", "MB")


def test_a_reply_that_says_it_is_too_large_is_not_read():
    def script(asked):
        head = f"{HEAD}content-length: 999999999999\r\n\r\n".encode()
        return [head, CLOSE] if "record 3 " in asked.row else good(asked)

    with Raw(script) as server:
        out = tag(frame(20), server.url, None, max_attempts=2)
    assert statuses(out) == {"ok": 19, "failed": 1}
    says(out["llm_error"].dropna().iloc[0], "server", "MB")
