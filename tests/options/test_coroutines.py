"""A coroutine that was not awaited says so; in all else it is a coroutine like any other."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import types

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.options.coroutines import async_function

DF = pd.DataFrame({"text": ["a parcel"]})
FIELDS = {"intent": ["refund", "other"]}
USES = {
    "a column": lambda out: out["intent"],
    "an attribute": lambda out: out.intent,
    "a method": lambda out: out.head(),
    "its length": len,
    "a loop": list,
    "a frame of it": pd.DataFrame,
}


@pytest.fixture
def forgotten(configured):
    out = DF.llm.atag("text", FIELDS)
    yield out
    out.close()
    assert len(configured.ledger) == 0


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_forgotten_await_is_named_where_the_frame_is_used(forgotten, use):
    with pytest.raises(PlanError, match=r"out = await df\.llm\.atag\(\.\.\.\)"):
        use(forgotten)


def test_a_cell_that_ends_in_it_shows_the_same(forgotten):
    assert "await df.llm.atag(...)" in repr(forgotten)
    assert not hasattr(forgotten, "_repr_html_")


def test_tools_take_it_for_the_coroutine_that_it_is(forgotten):
    assert inspect.iscoroutine(forgotten)
    assert asyncio.iscoroutine(forgotten)
    assert inspect.isawaitable(forgotten)
    assert isinstance(forgotten, types.CoroutineType)
    assert inspect.getcoroutinestate(forgotten) == inspect.CORO_CREATED
    for call in (lf.atag, DF.llm.atag):
        assert inspect.iscoroutinefunction(call)
        assert asyncio.iscoroutinefunction(call)
    assert pickle.loads(pickle.dumps(lf.atag)) is lf.atag


def test_every_way_to_await_it_works(configured):
    async def cell():
        options = {"checkpoint": False}
        frames = [await DF.llm.atag("text", FIELDS, **options)]
        frames.append(await asyncio.create_task(lf.atag(DF, "text", FIELDS, **options)))
        frames += await asyncio.gather(*(DF.llm.atag("text", FIELDS, **options) for _ in "ab"))
        frames.append(await asyncio.wait_for(lf.atag(DF, "text", FIELDS, **options), 60))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(lf.atag(DF, "text", FIELDS, **options))
        return [*frames, task.result()]

    frames = [*asyncio.run(cell()), asyncio.run(lf.atag(DF, "text", FIELDS))]
    assert [frame["llm_status"].tolist() for frame in frames] == [["ok"]] * 7


@async_function
async def echo(value):
    """Comes back with its value, or with the error that is thrown into it."""
    try:
        await asyncio.sleep(0)
    except ValueError:
        return "thrown"
    return value


def test_a_value_comes_back_and_an_error_goes_in():
    assert asyncio.run(echo(3)) == 3
    begun = echo(3)
    begun.send(None)
    with pytest.raises(StopIteration, match="thrown"):
        begun.throw(ValueError("x"))
    assert echo.__doc__.startswith("Comes back")
