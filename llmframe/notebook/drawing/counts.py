"""The rows by status, as the live view and the card both show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.messages.afterwards import failures
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import plain
from llmframe.notebook.drawing.format import count, noun

if TYPE_CHECKING:
    from llmframe.report import RunReport, Snapshot

BLANK = "skipped (blank)"
RATE_LIMITED = "rate-limited (429)"  # not "refused": that is what a model does


def rows_html(state: Snapshot | RunReport, *, left: int = 0) -> str:
    """The bar (ok, failed, skipped, and what is left) and its legend.

    left: rows to name as not reached, once nothing more comes.
    """
    ok = max(state.ok, state.reused)  # reused rows may be counted a moment before they count as ok
    words = ok_words(state)
    legend = [
        style.fact(count(ok), words, style.OK, wide=words != "ok"),
        style.fact(count(state.failed), "failed", style.BAD if state.failed else ""),
        style.fact(count(state.skipped), BLANK, style.SKIPPED) if state.skipped else "",
        style.fact(count(left), "not reached", style.TRACK) if left else "",
    ]
    parts = ((ok, style.OK), (state.failed, style.BAD), (state.skipped, style.SKIPPED))
    value = f"{count(state.done)} of {count(state.rows)}: {rows_text(state)}"
    return style.bar(parts, state.rows, label="rows done", words=value) + style.facts(legend)


def ok_words(state: Snapshot | RunReport) -> str:
    """``ok``, and of them those that nothing was sent for: ``ok, of them 1,200 reused``."""
    shared = f"equal {noun(state.shared, 'row')} not sent"
    sources = ((state.reused, "reused"), (state.shared, shared))
    counted = ", ".join(f"{count(number)} {name}" for number, name in sources if number)
    return f"ok, of them {counted}" if counted else "ok"


def rows_text(state: Snapshot | RunReport) -> str:
    """The rows by status, as text: ``9,880 ok (1,200 reused), 81 failed``."""
    ok, _, sources = ok_words(state).partition(", of them ")
    others = (
        (state.failed, "failed"), (state.skipped, BLANK), (state.pending, "not reached")
    )  # fmt: skip
    counted = [f"{count(number)} {name}" for number, name in others if number]
    return ", ".join([f"{count(state.ok)} {ok}" + (f" ({sources})" if sources else ""), *counted])


def kinds(errors: dict[str, int]) -> str:
    """Failures by kind in words, the most frequent first. Plain text."""
    return failures({plain(kind, limit=40): number for kind, number in errors.items()})
