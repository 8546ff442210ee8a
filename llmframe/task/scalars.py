"""Labels, numbers and days in a form that was not asked for, but that can mean only one value."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmframe.task.objects import Written
from llmframe.task.text import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){1,8}|(?:[ \u00a0\u202f'’][0-9]{3}){1,8})")
_DECIMAL_COMMA = re.compile(r"-?(?:0|[1-9][0-9]{0,30}),[0-9]{1,30}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ]00:00(?::00(?:\.0+)?)?\s?(?:Z|z|UTC|[+-]00:?00)?")

_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_])[\s\\_\-]+(?=[^\W\d_])")
_AROUND = " \t\r\n.,;:!\"'`*_“”„‘’«»‹›()[]「」『』。，；！"
_NULLS = frozenset({"null", "none", "n/a", "nil"})
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def means_null(text: str) -> bool:
    """Whether a text stands for a missing value, where one is allowed: null, None, N/A."""
    return len(text) < 6 and fold(text) in _NULLS


def squeeze_name(name: str) -> str:
    """The form in which names of another style are equal: orderId, order_id, "Order ID"."""
    return re.sub(r"[\W_]+", "", fold(name))


@lru_cache(maxsize=512)  # the same labels and properties for every row of a run
def unique_forms(names: tuple[Any, ...], form: Callable[[str], str]) -> Mapping[str, Any]:
    """Form -> the one name that has it; forms that several names share are left out."""
    forms: dict[str, list[Any]] = {}
    for name in names:
        forms.setdefault(form(str(name)), []).append(name)
    return {key: alike[0] for key, alike in forms.items() if key and len(alike) == 1}


def read_label(value: Any, labels: tuple[Any, ...], name: str) -> Any:
    """The label that the value means, the value itself if it means none or several.

    name: the field's, which some models write before the label.
    """
    if isinstance(value, str) and value in labels:
        return value
    if isinstance(value, Written):
        value = int(value) if value.is_integer() else value.digits
    if isinstance(value, int) and value not in labels:  # 5 for "5", true for "true"
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    has_texts = isinstance(labels[0], str)
    before, colon, after = value.partition(":")
    named = [after] if colon and squeeze_name(before) == squeeze_name(name) else []
    for text in (value, *named):
        for form in (fold, _without_marks, _of_one_style) if has_texts else (fold, _without_marks):
            label = unique_forms(labels, form).get(form(text))
            if label is not None:
                return label
    number = None if has_texts else read_integer(value)
    return value if number is None or number not in labels else number


def _without_marks(text: str) -> str:
    return fold(text).strip(_AROUND)


def _of_one_style(text: str) -> str:
    """Letters only where blanks, hyphens and underscores stand between them."""
    return _BETWEEN_LETTERS.sub("", _without_marks(text))


def read_integer(text: str) -> int | None:
    """The one whole number that a text can mean, else None."""
    found = {number for number in _numbers(text) if number == number.to_integral_value()}
    return int(found.pop()) if len(found) == 1 else None


def read_float(text: str) -> float | None:
    """The one number that a text can mean, else None: "1,234" may be either of two."""
    found = _numbers(text)
    return float(found.pop()) if len(found) == 1 else None


def _numbers(text: str) -> set[Decimal]:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return {Decimal(text)}
    found = set()
    if _GROUPED.fullmatch(text):
        found.add(Decimal(re.sub(r"[^0-9\-]", "", text)))
    if _DECIMAL_COMMA.fullmatch(text):
        found.add(Decimal(text.replace(",", ".")))
    return found


def read_truth(text: str) -> bool | None:
    """The truth value of true, false, yes and no in any case, else None."""
    return _TRUTH.get(_without_marks(text))


def read_day(text: str) -> str | None:
    """The day of an ISO date, or of its midnight, as YYYY-MM-DD; else None."""
    text = text.strip()
    midnight = _MIDNIGHT.fullmatch(text)
    return midnight[1] if midnight else text if _DAY.fullmatch(text) else None
