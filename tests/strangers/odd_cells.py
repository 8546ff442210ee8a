"""Cells that have no text, each from a report or a frame of other people's."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


class Broken:
    """An object whose text cannot be made."""

    def __init__(self, error: type[BaseException] = ValueError) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error("the connection is closed")


class BrokenArray:
    def tolist(self) -> list[int]:
        raise ValueError("the memory is gone")

    def __str__(self) -> str:
        return "an array"


class BrokenClass:
    """Whoever asks for its class gets an error, as from a proxy whose session has ended."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("the session has ended")

    def __str__(self) -> str:
        raise RuntimeError("the session has ended")


class BrokenDate(dt.date):
    def isoformat(self) -> str:
        raise OverflowError("no such year")


class BrokenDict(dict):
    def items(self) -> Any:
        raise KeyError("a lazy dict")


class BrokenFloat(float):
    def __ne__(self, other: object) -> bool:
        raise TypeError("units differ")

    __hash__ = float.__hash__


def nested(levels: int) -> list[Any]:
    cell: list[Any] = []
    for _ in range(levels):
        cell = [cell]
    return cell


WITHOUT_TEXT: dict[str, Any] = {
    # cpython#95778: str() of an int of more than 4,300 digits
    "an int of 5,000 digits": 10**5000,
    "the same in a list": [10**5000],
    "the same in a dict": {"order": {"n": -(10**5000)}},
    # pandas#53609 kin: whoever compares it gets an error
    "a signalling NaN": Decimal("sNaN"),
    # ORM objects and lazy proxies after their session has ended (sqlalchemy, django)
    "an object": Broken(),
    "an object in a list": [Broken()],
    "an object as a key": {Broken(): 1},
    "an array": BrokenArray(),
    "a proxy": BrokenClass(),
    "a date": BrokenDate(2024, 1, 2),
    "a lazy dict": BrokenDict(a=1),
    "a float with a unit": BrokenFloat(1.5),
    # json of a crawler
    "a list of 100,000 levels": nested(100_000),
    "an array of objects": np.array([1, Broken()], dtype=object),
}

SECONDS = 1_700_000_000_000  # milliseconds taken for seconds: the year 55,000


def column_of(cells: list[Any]) -> pd.Series[Any]:
    """The cells as they are: pandas would make a table of nested lists."""
    held = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        held[at] = cell
    return pd.Series(held, dtype=object)


def typed_columns() -> dict[str, pd.Series[Any]]:
    """Three cells, of which Python cannot hold the one in the middle."""
    days = pa.array([19_000, 19_000_000, 19_001], pa.int32()).cast(pa.date32())
    moments = pa.array([1_700_000_000, SECONDS, 1_700_000_001]).cast(pa.timestamp("s"))
    zoned = moments.cast(pa.timestamp("s", "UTC"))
    spans = pa.array([1, 2**62, 3]).cast(pa.duration("s"))
    columns = {"days": days, "moments": moments, "zoned moments": zoned, "spans": spans}
    return {
        # aws-sdk-pandas#296, arrow#9781
        name: pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([cells])))
        for name, cells in columns.items()
    }
