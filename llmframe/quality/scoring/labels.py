"""The labels of columns that are compared: 1 in an Int64 column is "1" in a CSV file's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import cell_text, is_missing
from llmframe.task.text import fold, listing, shows_nothing
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt

    Codes = npt.NDArray[np.intp]

MOST = 1_000  # labels; more are free text, or keys
_FOLDED_BOOLS = {"0": "false", "1": "true"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A column as labels. name: of the column. codes: the position of each row's, -1 for none."""

    name: str
    labels: tuple[Hashable, ...]
    codes: Codes


def read_labels(name: str, column: pd.Series[Any]) -> Labelled:
    """The labels of a column: those of a categorical in its order, of others sorted.

    Blank text is no label. Raises PlanError for what cannot be labels: lists, dicts, broken
    numbers, and more than 1,000 different values.
    """
    values, codes = _values(name, column)
    plain = [_plain(name, value) for value in values]
    given: list[Any] = [one for one in plain if one is not None]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        # numbers before texts, because Python cannot compare the two
        given.sort(key=lambda one: (isinstance(one, str), one))
    labels = tuple(dict.fromkeys(given))
    # by type as well: to a dict True and 1 are one key
    positions = {(type(label), label): at for at, label in enumerate(labels)}
    # the last entry is what -1, a missing cell, points to
    moved = np.array([positions.get((type(one), one), -1) for one in plain] + [-1], dtype=np.intp)
    return Labelled(name, labels, moved[codes])


def _values(name: str, column: pd.Series[Any]) -> tuple[list[Any], Codes]:
    """The different values of a column, and for each row the position of its own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values, codes = column.cat.categories.tolist(), column.cat.codes.to_numpy()
    else:
        try:
            codes, uniques = pd.factorize(column)
        except TypeError:
            kind = next((type(cell).__name__ for cell in column if not _hashable(cell)), "object")
            raise PlanError(
                f"{name!r} holds a {kind} in a row, and a score compares one label a row; several "
                "labels are compared one by one, as columns of True and False"
            ) from None
        values = uniques.tolist()
    if len(values) > MOST:
        raise PlanError(
            f"{name!r} has {len(values):,} different values, so it is text or a key; labels are "
            f"compared, at most {MOST:,} of them"
        )
    return values, codes.astype(np.intp)


def _hashable(cell: object) -> bool:
    try:
        hash(cell)
    except TypeError:
        return False
    return True


def _plain(name: str, value: Any) -> Hashable | None:
    """A value as a label; None for blank text."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        if float(value).is_integer():
            return int(value)
        raise PlanError(
            f"{name!r} holds numbers such as {value}, and a score compares labels; make classes "
            f"of them first: pd.cut(df[{name!r}], 5).astype(str)"
        )
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()  # a date, as files and models write it
    text = "" if is_missing(value) else clean_text(cell_text(value))
    return None if shows_nothing(text) else text


def aligned(base: Labelled, other: Labelled) -> tuple[tuple[Hashable, ...], Codes]:
    """All labels of both columns, the base's first, and the other's codes among them.

    A label is the same if its text is, else if it differs in case, width or blanks alone, where
    that is unique. Raises PlanError if the columns have no label in common.
    """
    positions, labels = matched(base.labels, other.labels)
    if other.labels and base.labels and min(positions) >= len(base.labels):
        raise PlanError(
            f"{base.name!r} and {other.name!r} have no label in common: {listing(_texts(base))} "
            f"against {listing(_texts(other))}; is {other.name!r} the right column? Labels in "
            f"other words are mapped first: df[{other.name!r}].map({{...}})"
        )
    return labels, np.array([*positions, -1], dtype=np.intp)[other.codes]


def _texts(column: Labelled) -> tuple[str, ...]:
    return tuple(map(cell_text, column.labels))


def matched(
    base: Sequence[Hashable], others: Iterable[Hashable]
) -> tuple[list[int], tuple[Hashable, ...]]:
    """The positions of other labels among the base's, to which new ones are added; and all."""
    labels = list(base)
    exact = {cell_text(label): at for at, label in enumerate(base)}
    folds: dict[str, list[int]] = {}
    for text, at in exact.items():
        folds.setdefault(_folded(text, are_bools=_are_bools(base)), []).append(at)
    positions = []
    for label in others:
        text = cell_text(label)
        near = folds.get(_folded(text, are_bools=_are_bools(base)), [])
        found = exact.get(text, near[0] if len(near) == 1 else None)
        if found is None:
            found = exact[text] = len(labels)
            labels.append(label)
        positions.append(found)
    return positions, tuple(labels)


def _are_bools(labels: Sequence[Hashable]) -> bool:
    return bool(labels) and all(isinstance(label, bool) for label in labels)


def _folded(text: str, *, are_bools: bool) -> str:
    folded = fold(text)
    return _FOLDED_BOOLS.get(folded, folded) if are_bools else folded
