"""The vectors in a reply, whichever of the usual forms they have, as base64 of float32.

Base64 is kept exactly as it came. Lists of numbers become float32, as which they are shown.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from llmframe.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 4  # bytes of a number


class Vector(NamedTuple):
    """One embedding. text: base64 of its float32 numbers, little-endian. size: how many."""

    text: str
    size: int


def place_vectors(items: Sequence[object], count: int) -> list[Vector | OutputError]:
    """The vector of each of so many texts, or what is wrong with it.

    items: a reply's list, in any order if they say which text each is of. Raises OutputError
    where nobody can tell which vector is whose.
    """
    numbers = [item.get("index") if isinstance(item, dict) else None for item in items]
    usable = [n for n in numbers if type(n) is int and 0 <= n < count]
    if len(usable) == len(items) == len(set(usable)):
        by_text = dict(zip(usable, items, strict=True))
    elif len(items) == count:  # some servers number nothing, or everything 0
        by_text = dict(enumerate(items))
    else:
        raise OutputError(f"the endpoint answered with {len(items)} vectors for {count} texts")
    return [
        _read(by_text[at]) if at in by_text else OutputError("the endpoint left out its vector")
        for at in range(count)
    ]


def vector_of(text: object) -> Vector | None:
    """The vector that a stored text holds; None if it holds none."""
    found = _of_base64(text) if isinstance(text, str) else None
    return found if isinstance(found, Vector) else None


def _read(item: object) -> Vector | OutputError:
    found: Any = item.get("embedding") if isinstance(item, dict) else item
    if isinstance(found, str):
        return _of_base64(found)
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]  # llama.cpp's own form
    if not isinstance(found, list):
        return OutputError("its vector is neither base64 nor a list of numbers")
    if found and isinstance(found[0], list):
        return OutputError("the endpoint answered with a vector for each token, not for the text")
    try:
        numbers = array("f", found)
    except (TypeError, OverflowError):
        return OutputError("its vector holds something that is no number")
    if bool in map(type, found):
        return OutputError("its vector holds something that is no number")
    if sys.byteorder == "big":  # pragma: no cover - no such machine here
        numbers.byteswap()
    return _checked(base64.b64encode(numbers.tobytes()).decode(), numbers)


def _of_base64(text: str) -> Vector | OutputError:
    try:
        numbers = array("f", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return OutputError("its vector is no base64 of 32-bit numbers")
    if sys.byteorder == "big":  # pragma: no cover - no such machine here
        numbers.byteswap()
    return _checked(text, numbers)


def _checked(text: str, numbers: array[float]) -> Vector | OutputError:
    if not numbers:
        return OutputError("its vector is empty")
    if not math.isfinite(sum(numbers)):  # one that is not finite makes the sum so
        return OutputError("its vector holds NaN or infinity")
    return Vector(text, len(numbers))
