"""Finished checkpoints of many rows, made without a paid call: their frames, lines and tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import BaseModel

from llmframe.calls.plan import plan
from llmframe.journal import lines
from llmframe.options.layers import settle
from llmframe.results import RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmframe.engine.rows.parts import Job

FIELDS: dict[str, Any] = {
    "intent": ["refund", "delivery", "billing", "other"],
    "urgency": ["low", "mid", "high"],
    "summary": str,
}
MODEL: dict[str, Any] = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "progress": False}
TEXT = "record {i} of a customer who wants something to be done about the order {order}: "


class Item(BaseModel):
    """One thing in an order."""

    name: str
    count: int


class Order(BaseModel):
    """What a nested answer holds."""

    number: str
    items: list[Item]


@dataclass(frozen=True)
class Shape:
    """A frame, its checkpoint and the call that resumes it.

    length: characters of a text, at least. distinct: texts, None for all of them. nested: one
    more field, of dicts. ids: an id column. tasks: answered by the same file. files: a task's.
    done: share of the rows that are answered, the first ones.
    """

    length: int = 200
    distinct: int | None = None
    nested: bool = False
    ids: bool = False
    tasks: int = 1
    files: int = 1
    done: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """What is asked."""
        return {**FIELDS, "order": Order} if self.nested else FIELDS

    def frame(self, rows: int) -> pd.DataFrame:
        """So many rows."""
        many = self.distinct or rows
        texts = [
            TEXT.format(i=i, order=i * 7919 % 1_000_003).ljust(self.length, "x")
            for i in range(many)
        ]
        df = pd.DataFrame({"text": [texts[i % many] for i in range(rows)]})
        return df.assign(case=range(rows)) if self.ids else df

    def call(self, folder: Path) -> dict[str, Any]:
        """The options of the call that resumes; its working directory is the folder."""
        where = True if self.files > 1 else folder / "run.jsonl"
        return {**MODEL, "checkpoint": where, **self.options} | ({"id": "case"} if self.ids else {})

    def values(self, i: int) -> dict[str, Any]:
        """The answer to the i-th text."""
        said = f"客户要求退款：order {i} arrived broken, two weeks late, no reply from support"
        found = {
            "intent": FIELDS["intent"][i % 4],
            "urgency": FIELDS["urgency"][i % 3],
            "summary": said,
        }
        if self.nested:
            items = [{"name": f"thing {i}", "count": 1}, {"name": "cable", "count": i % 5}]
            found["order"] = {"number": f"A-{i}", "items": items}
        return found


SHAPES: dict[str, Shape] = {
    "plain": Shape(),
    "few": Shape(distinct=1_000),
    "few-ids": Shape(distinct=1_000, ids=True),
    "ids": Shape(ids=True),
    "tasks": Shape(tasks=4),
    "siblings": Shape(files=3),
    "details": Shape(options={"details": True}),
    "nested": Shape(nested=True),
    "long": Shape(length=2_000),
    "empty": Shape(done=0.0),
    "half": Shape(done=0.5),
}


def write(shape: Shape, rows: int, folder: Path) -> list[Path]:
    """The checkpoint of a shape's frame, as a run would have left it; its files."""
    options = {**shape.call(folder), "checkpoint": False}
    job = plan(shape.frame(rows), "text", shape.fields, settle(options)).job
    digest = job.keys.digest
    paths = [folder / "run.jsonl"]
    if shape.files > 1:
        names = ["", *(f".{number}" for number in range(1, shape.files))]
        paths = [folder / ".llmframe" / f"{digest.hex()}{name}.jsonl" for name in names]
        paths[0].parent.mkdir(mode=0o700)
    for number, path in enumerate(paths):
        with path.open("wb") as file:
            file.writelines(_lines(shape, job, number, len(paths)))
    return paths


def _lines(shape: Shape, job: Job, first: int, step: int) -> Iterator[bytes]:
    """Every step-th answer; behind it those of the other tasks in the same file."""
    tasks = [bytes([number]) * 16 for number in range(1, shape.tasks)]
    for digest in [job.keys.digest, *tasks]:
        yield lines.encode(digest, digest.hex()[:12], lines.settings({"model": "m"}, now=1))
    done = int(shape.done * min(job.rows.n, shape.distinct or job.rows.n))
    for i in range(first, done, step):
        key = job.keys.key(job.rows.text(i) or "")
        result = RowResult(
            "ok", shape.values(i), attempts=1, usage=Usage(290 + i % 60, 30 + i % 20)
        )
        body = lines.row(result, now=1, row_id=i if shape.ids else None)
        for digest, other in [(job.keys.digest, b""), *zip(tasks, repeat(b"x"), strict=False)]:
            changed = key if not other else bytes([*digest[:1], *key[1:]])
            yield lines.encode(changed, digest.hex()[:12], body)
