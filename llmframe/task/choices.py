"""Closed choices: what may be a label, and which labels are too alike."""

from __future__ import annotations

import re
from enum import Enum
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

from llmframe.errors import PlanError
from llmframe.task.text import excerpt, fold, shows_nothing
from llmframe.text import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

Labels: TypeAlias = tuple[str, ...] | tuple[int, ...]

_MISSING = ("NAType", "NaTType")  # pandas' own, by name: this room knows no DataFrame
_TYPE_NAMES = (
    r"str|string|text|n?(?:var)?char|unicode|object|u?int|integer|(?:big|small|tiny)int|long|float|"
    r"double|real|decimal|numeric|number|bool|boolean|bit|date|datetime|time|timestamp|timedelta|"
    r"list|array|sequence|tuple|set|dict|map|mapping|struct|record|json|any|category|categorical|"
    r"enum|literal|optional|union|annotated|none|null|bytes"
)
# what stands in the brackets are other types, labels or lengths
_TYPE = re.compile(
    rf"(?:\w+\.)*(?:{_TYPE_NAMES})(?:8|16|32|64|128)?\s*(?:\[.*\]|\(.*\)|<.*>)?[?!]?"
)
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1  # what an Int64 column holds


class DescribedLabels(dict[str, str]):
    """Label -> description of one closed choice, wherever a field or ``fields`` is expected.

    A plain dict of texts could as well be one of fields with their descriptions.
    """


def check_labels(name: str, values: Iterable[object], *, source: str = "") -> Labels:
    """The labels of the closed choice of field name, as plain str or int, in their order.

    source: where they come from, for the message: "Enum Color".
    Raises PlanError for no labels, blank ones, bools, mixed types, and labels that are
    the same text apart from letter case, width and surrounding blanks.
    """
    field = f"field {name!r} ({source})" if source else f"field {name!r}"
    labels = [_plain_label(field, value) for value in values]
    if not labels:
        raise PlanError(
            f"{field} has an empty list of labels; give at least two, ['refund', 'other']"
        )
    texts = tuple(label for label in labels if isinstance(label, str))
    ints = tuple(label for label in labels if isinstance(label, int))
    if texts and ints:
        raise PlanError(
            f"{field} mixes text and int labels: {excerpt(labels)}; "
            "give all of them as text or all as ints"
        )
    seen: dict[str, str | int] = {}
    for label in labels:
        folded = fold(str(label))  # a reply is matched to labels by the same fold
        if folded in seen and seen[folded] == label:
            raise PlanError(f"{field} has the label {excerpt(label)} twice; give it once")
        if folded in seen:
            raise PlanError(
                f"{field} has the labels {excerpt(seen[folded])} and {excerpt(label)}, which "
                "differ only in letter case, width or surrounding blanks; keep one of them"
            )
        seen[folded] = label
    return texts or ints


def _plain_label(field: str, value: object) -> str | int:
    """A label without its subclass (numpy's, an Enum's), checked by itself."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return _checked_text(field, str.__str__(value))
    if type(value) is not bool and isinstance(value, Integral):
        number = int(value)
        if INT64_MIN <= number <= INT64_MAX:
            return number
        raise PlanError(
            f"{field} has the label {excerpt(number)}, which does not fit into 64 bits; "
            "give it as text"
        )
    if value is None:
        raise PlanError(
            f"{field} has None among its labels; "
            "for a choice that may stay empty use Literal['a', 'b'] | None; "
            "labels of a column: df[column].dropna().unique().tolist()"
        )
    if (isinstance(value, float) and value != value) or type(value).__name__ in _MISSING:
        raise PlanError(
            f"{field} has {value} among its labels: a missing cell of the column that they come "
            "from; leave it out: df[column].dropna().unique().tolist()"
        )
    # True equals 1, so that a column could not tell the two labels apart
    hint = "; for yes or no use bool" if isinstance(value, bool) else ""
    if isinstance(value, float):
        hint = f"; write each as text, {str(value)!r}, or ask for any number: float"
    if isinstance(value, list | tuple):
        hint = "; leave out the inner brackets"
    if isinstance(value, dict):
        hint = "; several fields are one dict: {'intent': ['refund', 'other'], 'summary': str}"
    raise PlanError(
        f"{field} has the label {excerpt(value)} of type {type(value).__name__}; "
        f"labels are text or ints{hint}"
    )


def _checked_text(field: str, label: str) -> str:
    if shows_nothing(fold(label)):
        raise PlanError(f"{field} has a blank label; every label needs a visible text")
    if not is_whole(label):
        raise PlanError(
            f"{field} has the label {excerpt(label)} with half a character (a lone "
            "surrogate); write it anew"
        )
    return label


_BETWEEN = re.compile(r"[,;|/、，；]")
_WORDS = 3  # of a label; a description has more between two commas


def labels_in(text: str) -> list[str]:
    """The labels that one text lists, "refund, delivery"; [] for a text that is a sentence."""
    parts = [part.strip() for part in _BETWEEN.split(text)]
    if len(parts) < 2 or any(not part or len(part.split()) > _WORDS for part in parts):
        return []
    return parts


def is_type_name(text: str) -> bool:
    """Whether a text names a type in other tools' words: "list[str]", "int64", "varchar(20)"."""
    whole = text.strip().lower()
    parts = (part.strip() for part in whole.split("|"))
    return _TYPE.fullmatch(whole) is not None or all(map(_TYPE.fullmatch, parts))
