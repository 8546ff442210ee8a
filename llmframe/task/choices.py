"""Closed choices: what may be a label, and which labels a person would mix up."""

from __future__ import annotations

from enum import Enum
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

from llmframe.errors import PlanError
from llmframe.task.text import excerpt, fold, shows_nothing
from llmframe.text import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Labels: TypeAlias = tuple[str, ...] | tuple[int, ...]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1  # what an Int64 column holds


def check_labels(name: str, values: Iterable[object], *, source: str = "") -> Labels:
    """The labels of the closed choice of field name, as plain str or int, in their order.

    source: where they come from, for the message: "Enum Color".
    Raises PlanError for no labels, blank ones, bools, mixed types, and labels that are
    the same text but for letter case, width and surrounding blanks.
    """
    field = f"field {name!r} ({source})" if source else f"field {name!r}"
    plain = [_plain_label(field, value) for value in values]
    if not plain:
        raise PlanError(f"{field} has an empty list of labels; give at least one label")
    strings = [label for label in plain if isinstance(label, str)]
    if strings and len(strings) < len(plain):
        raise PlanError(
            f"{field} mixes text and int labels: {excerpt(plain)}; "
            "give all of them as text or all as ints"
        )
    _refuse_collisions(field, plain)
    if strings:
        return _checked_texts(field, strings)
    return _checked_ints(field, [label for label in plain if isinstance(label, int)])


def _plain_label(field: str, value: object) -> str | int:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return str.__str__(value)  # numpy's and other subclasses become plain text
    if type(value) is not bool and isinstance(value, Integral):
        return int(value)  # numpy's too
    if value is None:
        raise PlanError(
            f"{field} has None among its labels; "
            "for a choice that may stay empty use Literal['a', 'b'] | None"
        )
    hint = "; for yes or no use bool" if isinstance(value, bool) else ""
    raise PlanError(
        f"{field} has the label {excerpt(value)} of type {type(value).__name__}; "
        f"labels are text or ints{hint}"
    )


def _refuse_collisions(field: str, labels: Sequence[str | int]) -> None:
    seen: dict[str, str | int] = {}
    for label in labels:
        folded = fold(str(label))
        if folded in seen:
            if seen[folded] == label:
                raise PlanError(f"{field} has the label {excerpt(label)} twice; give it once")
            raise PlanError(
                f"{field} has the labels {excerpt(seen[folded])} and {excerpt(label)}, which "
                "differ only in letter case, width or surrounding blanks; keep one of them"
            )
        seen[folded] = label


def _checked_texts(field: str, labels: list[str]) -> tuple[str, ...]:
    for label in labels:
        if shows_nothing(fold(label)):
            raise PlanError(f"{field} has a blank label; every label needs a visible text")
        if not is_whole(label):
            raise PlanError(
                f"{field} has the label {excerpt(label)} with half a character (a lone "
                "surrogate); write it anew"
            )
    return tuple(labels)


def _checked_ints(field: str, labels: list[int]) -> tuple[int, ...]:
    for label in labels:
        if not INT64_MIN <= label <= INT64_MAX:
            raise PlanError(
                f"{field} has the label {excerpt(label)}, which does not fit into 64 bits; "
                "give it as text"
            )
    return tuple(labels)
