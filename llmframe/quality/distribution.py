"""What the answers in a column are: labels by count, numbers and dates by size, some texts."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.frame.cells import cell_text, column_cells, is_missing
from llmframe.messages.afterwards import nearly_all
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = 10  # labels shown; of more labels the most frequent, and the rest together
BINS = 24  # of a histogram
DIGITS = 6  # characters of a number that is a label
OTHER = "(others)"
EXAMPLES = 3  # texts shown
LONGEST_EXAMPLE = 300  # characters kept of one
LABEL = 40  # characters of a label in a note
NEVER_SHOWN = 5  # labels without a row that are named


@dataclass(frozen=True, slots=True)
class Distribution:
    """What one column holds.

    answered: rows with a value. missing: rows that were answered without a value.
    bars: labels with their counts; labels are foreign text.
    bins: counts of a histogram, whose ends low and high are texts to show; empty if there are bars.
    examples: some texts, short to long; foreign text. contexts: of examples that are quotes, the
    text around each, "" where that is not known; else empty. note: anything else to show.
    warning: that nearly all rows have one label, and what to check.
    """

    name: str
    _: KW_ONLY
    answered: int
    missing: int
    bars: tuple[tuple[str, int], ...] = ()
    bins: tuple[int, ...] = ()
    low: str = ""
    high: str = ""
    examples: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    note: str = ""
    warning: str = ""


def distribution(name: str, answers: pd.Series[Any]) -> Distribution:
    """Count a column. answers: its cells in the rows that were answered."""
    try:
        return _counted_cells(name, answers)
    except Exception:  # noqa: BLE001 - somebody's own cells stand there now, and their code fails
        note = "cells that cannot be counted"
        return Distribution(name, answered=len(answers), missing=0, note=note)


def _counted_cells(name: str, answers: pd.Series[Any]) -> Distribution:
    cells = answers.dropna()  # a null of `T | None` is an answer, but not a value
    base = Distribution(name, answered=len(cells), missing=len(answers) - len(cells))
    if cells.empty:
        return base
    # In their declared order, with labels that no row has: a label never chosen is news.
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return _choice(base, cells.value_counts(sort=False))
    # Before numbers: pandas takes a bool dtype for a numeric one.
    if pd.api.types.is_bool_dtype(cells.dtype):
        return _choice(base, cells.value_counts())
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return _numbers(base, cells)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return _dates(base, cells)
    return _objects(base, cells)


def _choice(base: Distribution, counts: pd.Series[int]) -> Distribution:
    """A closed choice: its labels, and whether one of them took nearly all rows."""
    by_label = {cell_text(label): int(number) for label, number in counts.items()}
    return replace(_labels(base, counts), warning=nearly_all("", by_label))


def _labels(base: Distribution, counts: pd.Series[int]) -> Distribution:
    """Labels in the given order; if there are too many, the most frequent and the rest."""
    if len(counts) <= BARS:
        pairs = [(cell_text(label), int(number)) for label, number in counts.items()]
        return replace(base, bars=tuple(pairs))
    ranked = counts.sort_values(ascending=False, kind="stable")
    pairs = [(cell_text(label), int(number)) for label, number in ranked.items()]
    shown, others = pairs[: BARS - 1], pairs[BARS - 1 :]
    rest = (OTHER, sum(number for _, number in others))
    notes = [f"{len(pairs):,} labels, {len(others):,} of them in {OTHER}"]
    if never := [label for label, number in others if not number]:
        more = f" and {len(never) - NEVER_SHOWN:,} more" if len(never) > NEVER_SHOWN else ""
        named = ", ".join(cut(label, LABEL) for label in never[:NEVER_SHOWN])
        notes.append(f"never chosen: {named}{more}")
    return replace(base, bars=(*shown, rest), note="; ".join(notes))


def _numbers(base: Distribution, cells: pd.Series[Any]) -> Distribution:
    # A few different numbers, such as 1 to 5 stars, read better as bars in their order.
    if cells.nunique() <= BARS:
        return _labels(base, _short(cells.value_counts().sort_index()))
    numbers = cells.astype(float)
    numbers = numbers[np.isfinite(numbers)]  # infinity fits into no bin
    low, median, high = (f"{number:,.4g}" for number in numbers.quantile([0, 0.5, 1]))
    return replace(base, bins=_binned(numbers), low=low, high=high, note=f"median {median}")


def _short(counts: pd.Series[int]) -> pd.Series[int]:
    """Counts by number, with the long fractions rounded unless two would look the same."""
    whole = [cell_text(number) for number in counts.index]
    short = [text if len(text) <= DIGITS else f"{float(text):.{DIGITS - 3}g}" for text in whole]
    return (
        counts.set_axis(short) if len({*short}) == len(short) and "." in "".join(whole) else counts
    )


def _dates(base: Distribution, cells: pd.Series[Any]) -> Distribution:
    if cells.nunique() <= BARS:
        return _labels(base, cells.dt.strftime("%Y-%m-%d").value_counts().sort_index())
    # As numbers, so that one step bins both; their unit does not matter to equal bins.
    days = cells.astype("int64")
    low, high = (f"{end:%Y-%m-%d}" for end in (cells.min(), cells.max()))
    return replace(base, bins=_binned(days), low=low, high=high)


def _binned(numbers: pd.Series[Any]) -> tuple[int, ...]:
    binned = pd.cut(numbers, BINS, labels=False).value_counts()
    # value_counts leaves empty bins out, and the histogram must show them.
    return tuple(int(binned.get(at, 0)) for at in range(BINS))


def _objects(base: Distribution, cells: pd.Series[Any]) -> Distribution:
    values = column_cells(cells)
    if all(isinstance(value, str) for value in values):
        return _texts(base, values)
    if all(isinstance(value, list) for value in values):
        return _lists(base, values)
    if all(isinstance(value, np.ndarray) for value in values):
        return replace(base, note=f"vectors of {len(values[0]):,} numbers")
    # Objects differ in nearly every row: what can be counted is which names they fill.
    objects = [value for value in values if isinstance(value, dict)]
    names = [name for one in objects for name, held in one.items() if not is_missing(held)]
    found = _labels(base, _counted(names))
    return replace(found, note=_joined("names with a value", found.note), examples=_some(values))


def _texts(base: Distribution, texts: Sequence[str]) -> Distribution:
    counts = _counted(texts)
    # a few texts that repeat are labels in all but name; of others some are shown
    if len(counts) <= BARS and len(counts) <= len(texts) / 2:
        return _labels(base, counts)
    lengths = pd.Series([len(text) for text in texts])
    note = f"median {lengths.median():,.0f} characters, {len(counts):,} different"
    low, high = f"{lengths.min():,}", f"{lengths.max():,}"
    return replace(base, low=low, high=high, note=note, examples=_some([*counts.index]))


def _lists(base: Distribution, lists: Sequence[list[Any]]) -> Distribution:
    # a label that a list holds twice counts once: the shares are shares of the rows
    entries = [text for each in lists for text in dict.fromkeys(map(cell_text, each))]
    found = _labels(base, _counted(entries))
    note = f"{sum(map(len, lists)) / len(lists):.1f} per row"
    return replace(found, note=_joined(note, found.note))


def _some(values: Sequence[Any]) -> tuple[str, ...]:
    """The shortest, a middling and the longest of some values, as texts."""
    texts = sorted((cell_text(value) for value in values), key=len)
    middling = (len(texts) - 1) / (EXAMPLES - 1)
    chosen = dict.fromkeys(texts[round(at * middling)] for at in range(EXAMPLES))
    return tuple(cut(text, LONGEST_EXAMPLE) for text in chosen)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _counted(values: Sequence[Any]) -> pd.Series[int]:
    return pd.Series(values, dtype=object).value_counts()
