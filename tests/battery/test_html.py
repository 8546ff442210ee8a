"""HTML and terminals: foreign text is shown as text, in every place that a real call shows it."""

from __future__ import annotations

import re

import ipywidgets
import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import IncompleteWarning, LLMFrameError, PlanError, RunAborted
from tests.kits.battery import until
from tests.kits.notebook_cases import Seen
from tests.kits.notebook_screen import own_shell, page_of
from tests.kits.raw import Raw, completion, http

pytestmark = pytest.mark.battery

OURS = {"div", "span", "b", "table", "tr", "th", "td"}
PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)' x='",
    '" style="position:fixed;inset:0" x="',
    "</div></td></table><h1>out</h1>",
    "<style>*{display:none}</style>",
    "<iframe srcdoc='<script>1</script>'>",
    '<a href="javascript:alert(1)">x</a>',
    "<!-- <b>half",
    "<![CDATA[<b>x</b>]]>",
    "&lt;script&gt;1&lt;/script&gt;",
    "&#60;img src=x&#62;",
    "<svg><animate onbegin=alert(1)>",
    "<math><mtext><img src=x>",
    "<template><script>1</script>",
    "</title><body onload=alert(1)>",
    "$\\href{javascript:alert(1)}{x}$",
    "{{constructor.constructor('1')()}}",
    "<b/onclick=alert(1)>b",
)
DRIVERS = (
    "\x1b[2J\x1b]0;title\x07", "\x9b31m red", "one\r\ntwo\x0b\x0c\x85", "back\x08\x08\x7f",
    "right \u202eto\u202c \u2066left\u2069", "lines\u2028and\u2029more", "\x1b]8;;http://x\x1b\\y",
)  # fmt: skip
PAUSE = 0.22  # seconds an answer takes, so that a live view is drawn between two


def assert_only_text(source: str) -> None:
    """No element and no attribute but those of our templates, and all of it well formed."""
    seen = Seen(source)
    assert set(seen.tags) <= OURS
    assert not seen.strange
    assert not seen.odd
    assert not seen.open


def frame(text: str) -> pd.DataFrame:
    """Three rows; column, index and texts bear the payload."""
    return pd.DataFrame({text: [f"{n} {text}" for n in range(3)]}, index=[text] * 3)


def replying(text: str, *, pause: float = 0.0):
    """A server that says it: in answers, and in the error of the second row."""

    def script(asked):
        if asked.row.startswith("1 "):
            error = {"message": text, "code": "context_length_exceeded", "type": text}
            return [pause, http({"error": error}, "400 Bad")]
        return [pause, http(completion(asked.content))]

    return Raw(script)


def tagged(text: str, url: str, **options) -> pd.DataFrame:
    """A call with the payload wherever a person can put text."""
    return frame(text).llm.tag(text, **arguments(text, url), **options)


def arguments(text: str, url: str) -> dict[str, object]:
    place = re.sub(r"[/\x00-\x20]", "_", text)[:40]
    fields = {f"{text} a": [text, f"{text} 2"], f"{text} b": str, "c": list[str]}
    return {
        "fields": fields, "model": f"m {text}", "base_url": url, "api_key": "sk-1234567890abc",
        "instructions": text, "prefix": text, "checkpoint": f"{place}.jsonl", "concurrency": 1,
    }  # fmt: skip


@pytest.fixture
def page(monkeypatch):
    """What a notebook's page gets: all HTML that is displayed, or set on a widget."""
    shown: list[str] = []
    notify = ipywidgets.Widget.notify_change

    def noted(widget, change):
        if isinstance(change["new"], str) and isinstance(widget, ipywidgets.HTML):
            shown.append(change["new"])
        notify(widget, change)

    monkeypatch.setattr(ipywidgets.Widget, "notify_change", noted)
    with own_shell() as shell:
        screen = page_of(shell)
        publish = screen.publish

        def published(data, *args, **options):
            shown.append(data.get("text/html", ""))
            publish(data, *args, **options)

        shell.display_pub.publish = published
        yield shown


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_payload_is_only_text_in_panel_card_and_summary(text, page):
    """HTML/XSS: column, field and index names, labels, answers, row texts, errors, model, path."""
    with replying(text, pause=PAUSE) as server:
        out = tagged(text, server.url)
    assert out[text + "llm_status"].tolist() == ["ok", "failed", "ok"]
    assert any(text[:6] in Seen(source).text for source in page)
    summary = out.llm.summary(prefix=text)
    lf.last_run()._ipython_display_()
    for source in [*page, summary._repr_html_()]:
        assert_only_text(source)
    assert len(page) >= 4


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_payload_in_an_address_is_only_text_in_the_card_of_an_aborted_run(text, page):
    """HTML/XSS: the endpoint's address, its words, and the place it sends requests on to."""
    path = re.sub(r"[\s?#@]", "", text)
    with Raw(lambda asked: http(b"", "307 Go", location=f"http://x.invalid/{path}")) as server:
        url = server.url.replace("/v1", f"/{path}/v1")
        # a background run's card says what ended it, for no error is raised in its cell
        run = frame(text).llm.start(text, **arguments(text, url))
        with pytest.raises(RunAborted) as caught:
            run.result()
    for source in page:
        assert_only_text(source)
    assert "127.0.0.1" in "".join(Seen(source).text for source in page)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", [*PAYLOADS[:3], *DRIVERS])
@pytest.mark.parametrize("progress", ["tqdm", "log"])
def test_no_text_drives_a_terminal_or_breaks_a_line(text, progress, capfd, caplog):
    """Terminal: newlines, escape sequences and direction marks in bar, log lines, card, repr."""
    caplog.set_level(1, "llmframe")
    with replying(text) as server:
        out = tagged(text, server.url, progress=progress)
    bar = re.compile(r"\x1b\[(?:\d+m|A)|\r")  # tqdm's own colour and places
    lines = bar.sub("\n", "".join(capfd.readouterr())).split("\n")
    for line in [*lines, *caplog.messages, *repr(out.llm.summary(prefix=text)).split("\n")]:
        assert line.isprintable(), ascii(line)
    assert repr(lf.last_run()).isprintable()
    for error in out[text + "llm_error"].dropna():
        assert error.isprintable()


@pytest.mark.parametrize("text", DRIVERS)
def test_no_message_of_ours_drives_a_terminal(text):
    """Terminal: what is raised and warned, whatever was wrong with whatever name."""
    calls = [
        lambda: lf.tag(frame("t"), text, {"a": str}, model="m"),
        lambda: lf.tag(frame("t"), f"{{{text}}}", {"a": str}, model="m"),
        lambda: lf.tag(frame("t"), f"{{{text}", {"a": str}, model="m"),
        lambda: lf.tag(frame("t"), "t", {text: 3}, model="m"),
        lambda: lf.tag(frame("t"), "t", {"a": [text, text]}, model="m"),
        lambda: lf.tag(frame("t"), "t", {"a": {text: 3, "b": "c"}}, model="m"),
        lambda: lf.configure(**{text: 1}),
        lambda: lf.configure(concurrency=text),
        lambda: lf.configure(base_url=f"http://{text}"),
        lambda: frame("t").llm.summary(prefix=text),
        lambda: lf.tag(
            frame("t"), "t", {"a": str}, model="m", base_url="http://127.0.0.1:9/v1",
            checkpoint=f"{text}/",
        ),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PlanError) as caught:
            call()
        assert str(caught.value).replace("\n", "").isprintable(), ascii(caught.value)


def test_every_error_and_warning_cleans_its_words():
    """Terminal: one choke point for all that is raised."""
    for kind in (LLMFrameError, PlanError, RunAborted, IncompleteWarning):
        assert str(kind("a\x1b[2J\u202eb\r\ud800")) == "a\\x1b[2J\\u202eb\\r\\ud800"
    with pytest.warns(UserWarning, match=r"a\\x1bb"):
        lf.errors.warn("a\x1bb")


def test_a_view_of_a_run_in_the_background_shows_text_only(page):
    """HTML/XSS: start(), and the card that a finished run displays."""
    text = PAYLOADS[1]
    with replying(text, pause=0.05) as server:
        run = frame("t").llm.start(
            "t", {"a": [text, "b"]}, model=text, base_url=server.url, api_key="sk-1234567890abc"
        )
        run.wait()
        until(lambda: any("finished" in source for source in page))
    for source in page:
        assert_only_text(source)
