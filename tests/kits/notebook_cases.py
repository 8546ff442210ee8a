"""Runs at various moments, and hostile texts, for the tests of the views."""

from __future__ import annotations

import html.parser
from dataclasses import replace
from typing import Any

from llmframe.notebook.view import Ending, LabelCounts, ShownRow
from llmframe.report import RunReport, Snapshot
from llmframe.results import Usage

RUNNING = Snapshot(
    status="running",
    rows=10_000,
    ok=6_118,
    failed=57,
    skipped=39,
    reused=1_200,
    shared=0,
    planned=True,
    requests=5_087,
    retries=112,
    refusals=3,
    usage=Usage(1_740_000, 200_000, 0.41, tokens_cached=1_070_000, currency="USD"),
    currency="USD",
    in_flight=50,
    limit=50,
    waiting=4,
    seconds=102.0,
    rate=48.7,
    eta=78.0,
    limited_by="the provider's pause",
    errors_by_kind={"output": 16, "context_length": 41},
)
BEGIN = Snapshot(
    status="running",
    rows=10_000,
    ok=0,
    failed=0,
    skipped=0,
    reused=0,
    shared=0,
    planned=False,
    requests=0,
    retries=0,
    refusals=0,
    usage=Usage(),
    in_flight=0,
    limit=20,
    waiting=0,
    seconds=0.0,
    rate=0.0,
    eta=None,
    limited_by="",
    errors_by_kind={},
)
REPORT = RunReport(
    rows=10_000,
    ok=9_880,
    failed=81,
    skipped=39,
    pending=0,
    done=10_000,
    reused=1_200,
    shared=310,
    requests=8_761,
    retries=152,
    refusals=9,
    tokens_in=2_860_000,
    tokens_out=240_000,
    tokens_cached=1_770_000,
    cost=0.66,
    currency="USD",
    seconds=206.0,
    rows_per_second=48.5,
    limited_by="the provider's 600 requests a minute",
    errors_by_kind={"context_length": 60, "output": 21},
    checkpoint=".llmframe/3f9a12c0b7e4.jsonl",
)
FINISHED = Ending(
    snapshot=replace(RUNNING, status="finished", ok=9_880, failed=81, in_flight=0),
    report=REPORT,
    model="deepseek-chat",
    headline="finished",
    next_step="Run the cell again to try the 81 once more.",
)

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</div></div><h1>out of the box</h1>",
    "<style>*{display:none}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<a href="javascript:alert(1)">free tokens</a>',
    "<!-- <b>half a comment",
    "<![CDATA[<b>x</b>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "$\\href{javascript:alert(1)}{click}$",
    "\\(\\unicode{x3c}\\) \\[x\\] \\begin{equation}x\\end{equation}",
    "$$x$$ costs $5 or $6",
    "\x1b[2J\x1b]0;title\x07 bell \x00 nul \x9b31m",
    "lone \ud800 and \udfff surrogates",
    "right \u202eto left\u202c and \u2066isolated\u2069",
    "two\r\nlines\u2028and\u2029more\x85",
    "x" * 100_000,
    "$" * 100_000,
    '\\"' * 100_000,
    "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>",
    "",
)


def hostile_snapshot(text: str) -> Snapshot:
    """A snapshot with this text in every place that takes text."""
    status: Any = text
    kinds = {text: 3, text + " again": 2}
    return replace(RUNNING, status=status, limited_by=text, message=text, errors_by_kind=kinds)


def hostile_ending(text: str) -> Ending:
    """An ending with this text in every place that takes text."""
    kinds = {text: 3, text + " again": 2}
    report = replace(REPORT, limited_by=text, errors_by_kind=kinds, checkpoint=text)
    return Ending(
        hostile_snapshot(text),
        report=report,
        model=text,
        headline=text,
        next_step=text,
        notes=(text,) * 20,
    )


class Rows:
    """The latest rows of a run, which hold this text in every place."""

    live = None

    def __init__(self, text: str) -> None:
        self._answer = ShownRow(
            text, text=text, values={text: text, "topics": [text], "stars": 4, "none": None}
        )
        self._failure = ShownRow(text, text=text, error=text)

    def newest(self, most: int = 3) -> list[ShownRow]:
        return [self._answer] * most

    def labels(self) -> list[LabelCounts]:
        return [LabelCounts(self._answer.label, labels=((self._answer.label, 98), ("none", 2)))]

    def failures(self) -> list[ShownRow]:
        return [self._failure] * 3

    def rates(self) -> list[float]:
        return [20.0, 40.0, 50.0, 48.0, 50.0]


# what our templates use beside aria-...: looks, screen readers, keyboards
ATTRIBUTES = {"class", "style", "role", "title", "dir", "tabindex", "scope"}


class Seen(html.parser.HTMLParser):
    """What a browser would make of a piece of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.odd: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.odd.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)

    @property
    def strange(self) -> set[str]:
        """The attributes that no template of ours has."""
        return {name for name in self.attributes - ATTRIBUTES if not name.startswith("aria-")}

    @property
    def text(self) -> str:
        return "".join(self.texts)
