"""Fields, results and plans for tests of the written columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmframe.frame.columns import add_columns, plan_columns
from llmframe.options.settings import OPTIONS, Settings
from llmframe.results import Failure, Results, RowResult, Usage
from llmframe.task.fields import FieldSpec, Kind

INTENT = FieldSpec("intent", kind=Kind.CHOICE, labels=("refund", "other"), nullable=False)
STARS = FieldSpec("stars", kind=Kind.INTEGER, nullable=True)
SUMMARY = FieldSpec("summary", kind=Kind.TEXT, nullable=False)
TAGS = FieldSpec("tags", kind=Kind.OBJECT, nullable=False)
MOOD = FieldSpec("mood", kind=Kind.TEXT, nullable=False)
FIELDS = (INTENT, STARS, SUMMARY, TAGS)
SERVICE = ["llm_status", "llm_error"]
DETAILS = [
    "llm_attempts", "llm_tokens_in", "llm_tokens_cached", "llm_tokens_out", "llm_cost",
    "llm_seconds", "llm_raw",
]  # fmt: skip
TEXT_DTYPE = pd.Series(["text"]).dtype


def ok(i=0):
    values = {"intent": "refund", "stars": i, "summary": f"s{i}", "tags": [f"t{i}"]}
    usage = Usage(10, i, 0.5)
    return RowResult("ok", values, attempts=1, usage=usage, seconds=0.25, raw="{}")


FAILED = RowResult("failed", error=Failure("timeout", "no answer in 60 s"), attempts=5)


def plan_for(df, specs=FIELDS, **options):
    chosen = {name: options.pop(name) for name in OPTIONS if name in options}
    defaults = {"inputs": ("text",), "task": "task1"}
    return plan_columns(df, specs, Settings(**chosen), **{**defaults, **options})


def held(rows):
    """The results of rows, None for a pending one, as a run holds them."""
    results = Results(len(rows))
    for position, result in enumerate(rows):
        if result is not None:
            results[position] = result
    return results


def tag(df, results=None, specs=FIELDS, info=(), **options):
    results = [ok(i) for i in range(len(df))] if results is None else results
    return add_columns(df, plan_for(df, specs, **options), held(results), info=dict(info))


INDEXES = {
    "a range": pd.RangeIndex(4),
    "duplicates": pd.Index([1, 1, 0, 1]),
    "text": pd.Index(["b", "a", "b", ""], name="key"),
    "missing": pd.Index([None, "a", np.nan, None], dtype=object),
    "mixed": pd.Index([1, "a", (2, 3), 1.5], dtype=object, tupleize_cols=False),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2), ("a", 1)], names=["x", "y"]),
    "times": pd.date_range("2024", periods=4, freq="D", tz="UTC"),
    "categories": pd.CategoricalIndex(["a", "b", "a", "c"]),
    "intervals": pd.interval_range(0, 4),
    "floats": pd.Index([0.5, np.nan, np.nan, -1.0]),
}
