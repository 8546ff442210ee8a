"""Made the files beside it at commit 1a6beb6; never run again, or they would prove nothing.

    cd tests/data/before_redesign && python make.py

checkpoint.jsonl  two tasks: TASK, all rows answered, one of them only at the second run;
                  OTHER, written last, with a row that failed
tagged.parquet    the frame of TASK as a third run gave it, all from the checkpoint
read.json         what read_checkpoint gave for both tasks: the cells of each column

The test against these files takes the frame and the options from here.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel

import llmframe as lf
from llmframe import testing


class Item(BaseModel):
    """An object as an answer."""  # in the schema and so in the task's hash: never change it

    name: str
    count: int | None


FIELDS: dict[str, Any] = {
    "intent": ["refund", "delivery", "退款"],
    "level": [3, 1, 2],
    "stars": int,
    "share": float,
    "urgent": bool,
    "summary": str,
    "day": date,
    "topics": list[Literal["price", "quality"]],
    "item": Item,
    "either": list[int | str],
}
TEXTS = ["Where is my parcel?", "It broke.", "退款 please", "It broke.", "", "Thank you!"]
FAILS_FIRST = "Thank you!"
TASK: dict[str, Any] = {
    "instructions": "Tag the customer's message.",
    "confidence": "logprob",
    "details": True,
    "prices": (2.0, 8.0),
    "id": "number",
    "seed": 7,
}
OTHER: dict[str, Any] = {"instructions": "Tag it once more.", "id": "number"}


def frame() -> pd.DataFrame:
    """Six rows: two share a text, one has none."""
    return pd.DataFrame({"number": range(101, 107), "text": TEXTS})


def options(url: str, checkpoint: Path | str) -> dict[str, Any]:
    """What every call has."""
    return {
        "model": "test-model",
        "base_url": url,
        "checkpoint": checkpoint,
        "max_attempts": 2,
        "progress": False,
    }


def cells(df: pd.DataFrame) -> dict[str, list[str]]:
    """A frame as JSON: each cell as text, missing ones as such, the same for any pandas."""
    return {
        name: ["missing" if _is_missing(cell) else repr(cell) for cell in df[name].astype(object)]
        for name in df.columns
    }


def _is_missing(cell: Any) -> bool:
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))


def _make() -> None:
    path = Path("checkpoint.jsonl")
    with testing.serve() as server:
        every = options(server.url, path)
        server.update(fault_rows={FAILS_FIRST: "content_filter"})
        lf.tag(frame(), "text", FIELDS, **every, **TASK)
        server.update(fault_rows={})
        lf.tag(frame(), "text", FIELDS, **every, **TASK)
        sent = len(server.ledger)
        tagged = lf.tag(frame(), "text", FIELDS, **every, **TASK)
        assert len(server.ledger) == sent
        tagged.attrs["llmframe"]["checkpoint"] = path.name  # not where it lay on one machine
        tagged.llm.to_parquet("tagged.parquet")
        server.update(fault_rows={FAILS_FIRST: "content_filter"})
        lf.tag(frame(), "text", FIELDS, **every, **OTHER)
    path.with_name("checkpoint.jsonl.lock").unlink()
    task = tagged.attrs["llmframe"]["task"]
    read = {"task": task, "TASK": cells(lf.read_checkpoint(path, task))}
    read["OTHER"] = cells(lf.read_checkpoint(path))
    Path("read.json").write_text(json.dumps(read, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    _make()
