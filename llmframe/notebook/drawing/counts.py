"""What the live view and the card both say of the rows: the bar's parts and its legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import plain
from llmframe.notebook.drawing.format import count

if TYPE_CHECKING:
    from llmframe.engine.report import RunReport, Snapshot

KINDS_SHOWN = 6  # kinds of failure listed, the most frequent first


def bar_html(state: Snapshot | RunReport) -> str:
    """The bar: reused, ok, failed, skipped, and what is left."""
    parts = [
        (state.reused, style.REUSED),
        (max(state.ok - state.reused, 0), style.OK),
        (state.failed, style.BAD),
        (state.skipped, style.SKIPPED),
    ]
    return style.bar(parts, state.rows)


def legend_html(state: Snapshot | RunReport) -> str:
    """The rows by status, with the colours of the bar."""
    legend = [style.part(count(state.ok), "ok", style.OK)]
    if state.reused:
        legend.append(style.part(count(state.reused), "reused", style.REUSED))
    if state.failed:
        legend.append(style.part(count(state.failed), "failed", style.BAD))
    else:
        legend.append(style.fact("0", "failed"))
    if state.skipped:
        legend.append(style.part(count(state.skipped), "skipped (blank)", style.SKIPPED))
    return style.facts(legend)


def kinds(errors: dict[str, int]) -> str:
    """Failures by kind, the most frequent first: ``41 context_length, 16 output``. Plain text."""
    ranked = sorted(errors.items(), key=lambda item: -item[1])
    shown = [f"{count(number)} {plain(kind, limit=40)}" for kind, number in ranked[:KINDS_SHOWN]]
    rest = sum(number for _, number in ranked[KINDS_SHOWN:])
    return ", ".join([*shown, f"{count(rest)} other"] if rest else shown)
