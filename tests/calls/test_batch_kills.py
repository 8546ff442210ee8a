"""The process dies at some point of a batch: the same call goes on, and sends nothing twice.

Death is an exception that nobody catches: what the checkpoint and the provider have is what a
killed process leaves. tests/battery kills real processes.
"""

from __future__ import annotations

import warnings
from collections import Counter

import pandas as pd
import pytest

import llmframe as lf
from llmframe.engine.batch import steps
from llmframe.engine.batch.provider import BatchProvider
from llmframe.engine.batch.results import Results
from llmframe.journal import Checkpoint

FIELDS = {"intent": ["refund", "delivery", "other"]}
ROWS = 30


class DeathError(BaseException):
    """The process is gone."""


def tag():
    df = pd.DataFrame({"text": [f"record {i}" for i in range(ROWS)]})
    return lf.tag(df, "text", FIELDS, mode="batch", prices=(1.0, 2.0))


def dies(monkeypatch, owner, name, *, number, after):
    """Make call ``number`` of a method (from 0) the last thing that happens."""
    alive, calls = getattr(owner, name), iter(range(10**6))

    def sync(*arguments, **options):
        mine = next(calls) == number
        if mine and not after:
            raise DeathError
        done = alive(*arguments, **options)
        if mine:
            raise DeathError
        return done

    async def awaited(*arguments, **options):
        mine = next(calls) == number
        if mine and not after:
            raise DeathError
        done = await alive(*arguments, **options)
        if mine:
            raise DeathError
        return done

    is_sync = owner is Checkpoint
    monkeypatch.setattr(owner, name, sync if is_sync else awaited)


POINTS = [
    *[(Checkpoint, "append_batch", number) for number in range(4)],  # keys, file, id, end
    *[(Checkpoint, "append", number) for number in (0, 1, ROWS // 2, ROWS - 1)],
    *[(BatchProvider, name, 0) for name in ("upload", "create", "look", "download")],
    (Results, "take", 0),
]


@pytest.mark.filterwarnings("ignore::llmframe.errors.IncompleteWarning")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name", "number"), POINTS)
def test_a_death_at_any_point_costs_nothing(configured, monkeypatch, owner, name, number, after):
    monkeypatch.setattr(steps, "LISTED", 0.2)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dies(patch, owner, name, number=number, after=after)
        with pytest.raises(RuntimeError, match="DeathError"):
            tag()
    out = tag()
    assert (out["llm_status"] == "ok").all()
    assert set(Counter(call.row for call in configured.ledger.calls).values()) == {1}
    assert len(configured.ledger.batches) == 1
    table = lf.last_run().report.table
    bill = sum(call.cost({"in": 0.5, "out": 1.0}) for call in configured.ledger.calls)
    assert table.cost == pytest.approx(bill)


def test_a_batch_that_is_listed_late_is_waited_for(configured, monkeypatch):
    configured.update(batches={"lag": 2.0})
    monkeypatch.setattr(steps, "LISTED", 4.0)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dies(patch, BatchProvider, "create", number=0, after=True)
        with pytest.raises(RuntimeError, match="DeathError"):
            tag()
    assert (tag()["llm_status"] == "ok").all()
    assert len(configured.ledger.batches) == 1
