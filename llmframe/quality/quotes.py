"""Quotes that carry an answer, each with what stands around it in the person's text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.frame.cells import column_cells
from llmframe.notebook.drawing.format import plural
from llmframe.task.trust.evidence import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from llmframe.quality.tagged import Tagged

AROUND = 60  # characters on each side of a quote


def contexts(
    df: pd.DataFrame, tagged: Tagged, cells: pd.Series[Any], quotes: Sequence[str]
) -> tuple[str, ...]:
    """The text around each quote; "" where no text holds it, or none may be shown.

    cells: the column of df that holds these quotes.
    """
    return tuple(_context(_row_with(quote, df, tagged, cells), quote) for quote in quotes)


def refused_quotes(tagged: Tagged, name: str) -> str:
    """How many quotes a column leaves out as its texts do not hold them; "" if not known."""
    counts = tagged.note.get("evidence", {}).get(name.removesuffix(SUFFIX))
    number = counts.get("not_in_text") if isinstance(counts, dict) else None
    if not isinstance(number, int) or not number:
        return ""
    return f"{plural(number, 'quote')} not found in the text"


def _row_with(quote: str, df: pd.DataFrame, tagged: Tagged, cells: pd.Series[Any]) -> list[Any]:
    """What the model was shown of the first row with this quote."""
    [*rows] = (cells == quote).fillna(False).to_numpy(dtype=bool).nonzero()[0][:1]
    return [cell for at in tagged.inputs for cell in column_cells(df.iloc[rows, at])]


def _context(texts: Sequence[Any], quote: str) -> str:
    for text in texts:
        begin = text.find(quote) if isinstance(text, str) else -1
        if begin >= 0:
            start, end = max(begin - AROUND, 0), begin + len(quote) + AROUND
            return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
    return ""
