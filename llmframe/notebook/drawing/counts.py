"""The rows by status, as the live view and the card both show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import plain
from llmframe.notebook.drawing.format import count

if TYPE_CHECKING:
    from llmframe.report import RunReport, Snapshot

KINDS_SHOWN = 6  # kinds of failure listed, the most frequent first
BLANK = "skipped (blank)"


def rows_html(state: Snapshot | RunReport) -> str:
    """The bar (reused, ok, failed, skipped, and what is left) and its legend."""
    parts = [
        # reused rows may be counted a moment before they count as ok
        (state.reused, style.REUSED),
        (max(state.ok - state.reused, 0), style.OK),
        (state.failed, style.BAD),
        (state.skipped, style.SKIPPED),
    ]
    legend = [
        style.fact(count(state.ok), "ok", style.OK),
        style.fact(count(state.reused), "reused", style.REUSED) if state.reused else "",
        style.fact(count(state.failed), "failed", style.BAD if state.failed else ""),
        style.fact(count(state.skipped), BLANK, style.SKIPPED) if state.skipped else "",
    ]
    return style.bar(parts, state.rows) + style.facts(legend)


def kinds(errors: dict[str, int]) -> str:
    """Failures by kind, the most frequent first: ``41 context_length, 16 output``. Plain text."""
    ranked = sorted(errors.items(), key=lambda item: -item[1])
    shown = [f"{count(number)} {plain(kind, limit=40)}" for kind, number in ranked[:KINDS_SHOWN]]
    rest = sum(number for _, number in ranked[KINDS_SHOWN:])
    return ", ".join([*shown, f"{count(rest)} other"] if rest else shown)
