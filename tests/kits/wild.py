"""What may stand in a frame and what a frame may be: cells, columns, indexes, labels, fields."""

from __future__ import annotations

import datetime as dt
import decimal
import sys
import unicodedata
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, Field

import llmframe as lf
from llmframe import testing
from tests.kits import battery as kit

ECHO = {"summary": str}


def echoing() -> testing.Server:
    """A server that answers every row with the row itself."""
    return testing.serve(answer=lambda text, _: {"summary": text})


def ask(df: pd.DataFrame, server: Any, what: Any = "text", **options: Any) -> pd.DataFrame:
    """The frame tagged; fields as in ECHO unless ``fields=`` is given, no checkpoint."""
    fields = options.pop("fields", ECHO)
    return lf.tag(df, what, fields, **kit.settings(server, None, **options))


def sent(server: Any) -> list[str]:
    """The rows' texts that the server has seen, sorted."""
    return sorted(call.row for call in server.ledger.calls)


def cells(values: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"text": pd.Series(values, dtype=object)})


IGNORABLE = [
    chr(code)
    for first, last in ((0xAD, 0xAD), (0x34F, 0x34F), (0x200B, 0x200F), (0x202A, 0x202E),
                        (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
                        (0xFFA0, 0xFFA0), (0xE0020, 0xE007F), (0x2800, 0x2800))
    for code in range(first, last + 1)
]  # fmt: skip
BLANKS = [
    *(chr(c) for c in range(sys.maxunicode) if unicodedata.category(chr(c)) in ("Zs", "Zl", "Zp")),
    *(chr(c) for c in range(0xA0) if unicodedata.category(chr(c)) == "Cc"),
    *IGNORABLE, "", " \t\r\n ", "\u200b \ufeff\n\u00a0",
]  # fmt: skip
MISSING = [None, np.nan, pd.NA, pd.NaT, float("nan"), np.float32("nan"), np.datetime64("NaT", "s")]

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
JANUARY = [dt.date(2026, 1, 1), None, dt.date(2026, 1, 2)]
LOOP: list[Any] = []
LOOP.append(LOOP)
CELLS: list[tuple[Any, str, str]] = [  # the cell, as text, as JSON
    ("plain", "plain", '"plain"'),
    ("  kept \n as it is ", "  kept \n as it is ", '"  kept \\n as it is "'),
    (0, "0", "0"),
    (1.5, "1.5", "1.5"),
    (float("inf"), "inf", '"inf"'),
    (True, "True", "true"),
    (np.int8(3), "3", "3"),
    (np.float32(0.1), "0.1", "0.1"),
    (10**30, str(10**30), str(10**30)),
    (1 + 2j, "(1+2j)", '"(1+2j)"'),
    (decimal.Decimal("1.10"), "1.10", '"1.10"'),
    (dt.date(2026, 1, 2), "2026-01-02", '"2026-01-02"'),
    (NOON, "2026-01-02T12:00:00+00:00", '"2026-01-02T12:00:00+00:00"'),
    (dt.time(1, 2), "01:02:00", '"01:02:00"'),
    (pd.Timedelta("1D"), "1 days 00:00:00", '"1 days 00:00:00"'),
    ([1, None, "中"], '[1, null, "中"]', '[1, null, "中"]'),
    ({"a": {"b": [np.nan]}}, '{"a": {"b": [null]}}', '{"a": {"b": [null]}}'),
    ([], "[]", "[]"),
    ({3, 1}, "[1, 3]", "[1, 3]"),
    (np.array([1, 2]), "[1, 2]", "[1, 2]"),
    (LOOP, "[[...]]", '"[[...]]"'),
    ("nul \x00 inside", "nul \x00 inside", '"nul \\u0000 inside"'),
    ("half \ud83d", "half \ufffd", '"half \ufffd"'),
    ("zero\u200bwidth", "zero\u200bwidth", '"zero\u200bwidth"'),
    ("right \u202eto left", "right \u202eto left", '"right \u202eto left"'),
    ("👩‍👩‍👧‍👦 🏳️‍🌈", "👩‍👩‍👧‍👦 🏳️‍🌈", '"👩‍👩‍👧‍👦 🏳️‍🌈"'),
    ("e" + "\u0301" * 300, "e" + "\u0301" * 300, '"e' + "\u0301" * 300 + '"'),
    ("{text} {0} {{}} %s", "{text} {0} {{}} %s", '"{text} {0} {{}} %s"'),
]  # fmt: skip


INDEXES = {
    "duplicate": pd.Index([7, 7, 7, 7]),
    "float with NaN": pd.Index([np.nan, 1.5, np.nan, 1.5]),
    "objects": pd.Index([None, "a", 1, "a"], dtype=object),
    "MultiIndex": pd.MultiIndex.from_tuples(
        [(1, "a"), (1, "a"), (2, None), (1, "b")], names=["x", "x"]
    ),
    "dates": pd.DatetimeIndex(["2026-01-01"] * 4, tz="Europe/Berlin", name="day"),
    "category": pd.CategoricalIndex(["x", "x", "y", None]),
    "interval": pd.IntervalIndex.from_tuples([(0, 1)] * 4),
    "falling": pd.RangeIndex(9, 1, -2),
    "pyarrow": pd.Index(["b", None, "a", "b"], dtype="string[pyarrow]"),
}


INPUTS: dict[str, tuple[Any, list[str | None]]] = {
    "category": (pd.Series(["a", "b", None], dtype="category"), ["a", "b", None]),
    "category of ints": (pd.Series([2, 1, None], dtype="category"), ["2", "1", None]),
    "string": (pd.array(["a", None, "b"], dtype="string"), ["a", None, "b"]),
    "sparse": (pd.arrays.SparseArray([1.0, np.nan, 2.0]), ["1.0", None, "2.0"]),
    "Int64": (pd.array([1, None, 3], dtype="Int64"), ["1", None, "3"]),
    "boolean": (pd.array([True, None, False], dtype="boolean"), ["True", None, "False"]),
    "float16": (pd.Series([0.1, np.nan, 2], dtype="float16"), ["0.1", None, "2.0"]),
    "dates with a zone": (
        pd.to_datetime(["2026-01-01", None, "2026-06-01"]).tz_localize("Europe/Berlin"),
        ["2026-01-01T00:00:00+01:00", None, "2026-06-01T00:00:00+02:00"],
    ),
    "period": (pd.PeriodIndex(["2026-01", None], freq="M"), ["2026-01", None]),
    "interval": (pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]), ["(0, 1]", "(1, 2]", "(2, 3]"]),
    **{
        f"pyarrow {kind}": (pd.Series(values, dtype=pd.ArrowDtype(kind)), texts)
        for kind, values, texts in [
            (pa.large_string(), ["a", None, "b"], ["a", None, "b"]),
            (pa.dictionary(pa.int32(), pa.string()), ["a", None, "b"], ["a", None, "b"]),
            (pa.list_(pa.int64()), [[1], None, [2, 3]], ["[1]", None, "[2, 3]"]),
            (pa.struct([("a", pa.int64())]), [{"a": 1}, None], ['{"a": 1}', None]),
            (pa.decimal128(5, 2), [1, None, 2], ["1.00", None, "2.00"]),
            (pa.date32(), JANUARY, ["2026-01-01", None, "2026-01-02"]),
            (pa.null(), [None] * 3, [None] * 3),
        ]
    },
}  # fmt: skip


HARD_LABELS = [
    "a,b", 'say "no"', "two\nlines", "=1+1", "+1", "@x", "😀", "'", "\\", "{x}", "<b>", "null",
    "退款", "tab\tx", " lead",
]  # fmt: skip

MOMENTS = {
    "2026-01-01T12:00:00Z": "2026-01-01 12:00",
    "2026-01-01T12:00:00+09:00": "2026-01-01 03:00",
    "2026-01-01T00:30:00-11:45": "2026-01-01 12:15",
    "0001-01-01T00:00:00": "0001-01-01",
    "9999-12-31T23:59:59": "9999-12-31 23:59:59",
}


class Destination(BaseModel):
    city: str
    code: int | None


EVERYTHING: dict[str, Any] = {
    "choice": ["z", "a", "m"],
    "number": [3, 1, 2],
    "count": int,
    "share": float,
    "sure": bool,
    "words": str,
    "day": dt.date,
    "moment": dt.datetime,
    "maybe": Literal["x", "y"] | None,
    "maybe_count": int | None,
    "tags": list[Literal["p", "q", "r"]],
    "place": Destination,
    "bounded": Annotated[int, Field(ge=0, le=5)],
}
