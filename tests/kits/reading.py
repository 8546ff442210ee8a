"""A task with every kind of field, and an answer to it, for the tests that read checkpoints."""

from __future__ import annotations

import datetime
from typing import Any

from llmframe.journal import TaskInfo
from llmframe.results import RowResult, Usage
from llmframe.task.fields import resolve_fields

FIELDS = resolve_fields(
    {
        "intent": ["refund", "delivery", "other"],
        "level": [1, 2, 3],
        "count": int,
        "share": float,
        "urgent": bool,
        "note": str,
        "due": datetime.date,
        "tags": list[str],
    }
)
VALUES = {
    "intent": "refund", "level": 2, "count": 3, "share": 0.5, "urgent": True,
    "note": "客户", "due": "2026-01-02", "tags": ["a", "b"],
}  # fmt: skip
COLUMNS = ["status", "error", "model", "tokens_in", "tokens_cached", "tokens_out", "cost", "time"]


def task(number: int = 0, model: str = "deepseek-chat", fields: Any = FIELDS) -> TaskInfo:
    settings = {"model": model, "fields": fields.canonical}
    return TaskInfo(bytes([number]) * 16, settings)


def ok(values: dict[str, Any] | None = None) -> RowResult:
    return RowResult("ok", values or VALUES, attempts=1, usage=Usage(12, 3, 0.25))
