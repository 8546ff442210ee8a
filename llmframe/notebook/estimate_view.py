"""What ``estimate`` found: a card in a notebook, text elsewhere."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.counts import BLANK
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import amount, count, money, noun, plural, short_path, span
from llmframe.notebook.drawing.spending import PRICE_UNKNOWN, cached_share
from llmframe.text import cut

_MODEL = 80  # characters
_TEXT = 4000  # characters of a message of the sample

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would send, take and cost; displayed as a card, printed as text.

    rows: that the call is about. done: of them answered already, by the checkpoint or by
    ``examples=``. skipped: blank.
    unsent: rows that fail without being sent, such as texts that are too long.
    distinct: different texts; unanswered: of them those without an answer. requests: for these,
    one each, with ``votes=`` more; retries come on top.
    tokens_in, tokens_out: of these requests; tokens_cached: of tokens_in, those that the provider
    will likely have in its cache.
    cost: in ``currency``; None if no price is known. minutes: None for a batch, and if no answer
    has shown yet how long one takes. ``cost_range`` and the other ranges, from low to high, should
    hold the truth.
    based_on: what all this is made from, in words. measured: answers of this task among it.
    checkpoint: the file of the answers; None with ``checkpoint=False``.
    sample: the exact ``messages`` and ``schema`` of one row; None if there is none to send.
    batch_saves, extend_saves: money that ``mode="batch"`` and ``extend=True`` save; None where
    they cannot be used, or where no price is known.
    is_free: nobody charges for a model on this machine. notes: what else to know.
    """

    rows: int
    _: KW_ONLY
    distinct: int
    done: int
    skipped: int
    unsent: int
    unanswered: int
    requests: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost: float | None
    minutes: float | None
    tokens_in_range: Interval
    tokens_out_range: Interval
    cost_range: Interval | None
    minutes_range: Interval | None
    currency: str
    model: str
    mode: str
    based_on: str
    measured: int
    checkpoint: str | None
    sample: dict[str, Any] | None
    batch_saves: float | None
    extend_saves: float | None
    is_free: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        shown = [*self._facts(), ("checkpoint", plain(short_path(self.checkpoint) or ""))]
        lines = [
            f"llmframe: estimate for {plural(self.rows, 'row')}, {plain(self.model, limit=_MODEL)}",
            ", ".join(f"{count(number)} {words}" for number, words, _ in self._kinds()),
            *(f"{name}: {words}" for name, words in shown if words),
            *(plain(line, limit=SENTENCES) for line in self._lines()),
            *(f"note: {plain(note, limit=SENTENCES)}" for note in self.notes),
            "sample: .sample holds the messages and the schema of one row" if self.sample else "",
        ]
        return "\n  ".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        big, words = self._headline
        title = f"{style.big(html(big))} {style.soft(html(words))}"
        head = style.head(title, style.mono(html(self.model, limit=_MODEL)))
        kinds = self._kinds()
        legend = [
            style.fact(count(number), words, look, wide=True) for number, words, look in kinds
        ]
        words = ", ".join(f"{count(number)} {words}" for number, words, _ in kinds)
        # the bar's empty part stands for rows that are still to ask
        parts = [(number, look) for number, _, look in kinds if look != style.TRACK]
        bar = style.bar(parts, self.rows, label="rows by what happens to them", words=words)
        lines = [f"{style.soft(name)} {html(words)}" for name, words in self._facts() if words]
        lines += [style.soft(html(line, limit=SENTENCES)) for line in self._lines()]
        lines += [style.note(html(note, limit=SENTENCES)) for note in self.notes]
        if path := short_path(self.checkpoint):
            lines.append(f"{style.soft('checkpoint')} {style.mono(html(path))}")
        parts_shown = (head, bar, style.facts(legend), *map(style.line, lines))
        return style.frame((*parts_shown, _sample_html(self.sample) if self.sample else ""))

    @property
    def _headline(self) -> tuple[str, str]:
        """What is read first, and the words after it."""
        if not self.requests:
            return "nothing to send", f"for {plural(self.rows, 'row')}"
        requests = plural(self.requests, "request")
        if self.cost is None:
            return count(self.requests), noun(self.requests, "request")
        return f"about {money(self.cost, self.currency)}", f"for {requests}"

    def _kinds(self) -> list[tuple[int, str, str]]:
        """The rows by what happens to them: how many, in words, and the look in the bar."""
        # what is left has the text of a row that is asked, and gets its answer
        equal = self.rows - self.done - self.skipped - self.unsent - self.unanswered
        kinds = (
            (self.done, "answered already", style.OK),
            (self.skipped, BLANK, style.SKIPPED),
            (self.unsent, "fail without being sent", style.BAD),
            (self.unanswered, "to ask", style.TRACK),
            (equal, f"with the text of {noun(equal, 'another', 'others')}", style.TRACK),
        )
        return [kind for kind in kinds if kind[0]] or [(0, "to ask", style.TRACK)]

    def _facts(self) -> list[tuple[str, str]]:
        """Cost, time and tokens, each after its name; empty where nothing is sent."""
        if not self.requests:
            return []
        share = cached_share(self.tokens_in, self.tokens_cached)
        cached = f" ({share} cached)" if share else ""
        tokens = f"{amount(self.tokens_in)} in{cached}, {amount(self.tokens_out)} out"
        return [("cost", self._cost_words()), ("time", self._time_words()), ("tokens", tokens)]

    def _cost_words(self) -> str:
        if self.cost is None or self.cost_range is None:
            return "" if self.is_free else PRICE_UNKNOWN
        low, high = (money(end, self.currency) for end in self.cost_range)
        return _about(money(self.cost, self.currency), low, high)

    def _time_words(self) -> str:
        if self.minutes_range is None:
            return "within 24 hours, as batches are"
        low, high = (span(60 * end) for end in self.minutes_range)
        return _about("" if self.minutes is None else span(60 * self.minutes), low, high)

    def _lines(self) -> list[str]:
        lines = [self.based_on] if self.requests else []
        if self.batch_saves:
            verb = "saves" if self.mode == "batch" else "would save"
            saved = money(self.batch_saves, self.currency)
            lines.append(f'mode="batch" {verb} about {saved}, with answers within 24 hours')
        if self.extend_saves:
            saved = money(self.extend_saves, self.currency)
            lines.append(f"extend=True, for the fields without an answer, saves about {saved}")
        return lines


def _sample_html(sample: dict[str, Any]) -> str:
    """The messages and the schema of one row, behind a line to open."""
    texts = [(message["role"], message["content"]) for message in sample["messages"]]
    texts.append(("schema", json.dumps(sample["schema"], ensure_ascii=False)))
    shown = "".join(style.record(html(name), [_in_lines(str(text))]) for name, text in texts)
    title = style.soft("what is sent for one row")
    return f'<details style="margin-top:6px"><summary>{title}</summary>{shown}</details>'


def _in_lines(text: str) -> str:
    lines = cut(text, _TEXT).splitlines()
    return "<br>".join(html(line, limit=_TEXT) for line in lines)


def _about(middle: str, low: str, high: str) -> str:
    """A figure with its range, which goes where its ends read the same."""
    if low == high:
        return f"about {low}"
    between = f"between {low} and {high}"
    return f"about {middle}, {between}" if middle else between
