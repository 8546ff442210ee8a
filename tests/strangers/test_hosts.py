"""Programs that run no asyncio, or no threads: one sentence, and what works there works."""

from __future__ import annotations

import sys
import types

import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.system.loops import foreign_loop

DF = pd.DataFrame({"text": ["a", "b"]})
LABELS = ["a", "b"]


class NotFoundError(RuntimeError):
    """As sniffio's own, where no library runs."""


@pytest.fixture
def trio_runs(monkeypatch):
    """Trio runs in this thread, as sniffio sees it."""
    sniffio = types.SimpleNamespace(current_async_library=lambda: "trio")
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)


def step(awaitable):
    """Run a coroutine as a loop other than asyncio's does, up to its first step."""
    return awaitable.send(None)


def test_atag_under_trio_names_the_way(configured, trio_runs):
    # python-trio/trio#2576
    with pytest.raises(PlanError, match=r"trio runs here; .*tag\(\.\.\.\) runs anywhere"):
        step(DF.llm.atag("text", LABELS))


def test_a_coroutine_without_any_loop_names_the_way(configured):
    with pytest.raises(PlanError, match=r"none is running here; .*runs anywhere"):
        step(DF.llm.atag("text", LABELS))


def test_a_run_can_be_awaited_on_asyncio_only(configured, trio_runs):
    run = DF.llm.start("text", LABELS)
    with pytest.raises(PlanError, match="trio runs here"):
        step(run.__await__())
    assert run.result()["llm_status"].eq("ok").all()


def test_nest_under_trio_is_the_thread_runner(configured, trio_runs):
    with pytest.warns(RuntimeWarning, match="trio runs here, which is not asyncio"):
        out = DF.llm.tag("text", LABELS, runner="nest")
    assert out["llm_status"].eq("ok").all()


def test_where_nothing_runs_no_library_is_named(monkeypatch):
    def no_library():
        raise NotFoundError

    sniffio = types.SimpleNamespace(current_async_library=no_library)
    monkeypatch.setitem(sys.modules, "sniffio", sniffio)
    assert foreign_loop() == ""


PATCHES = {
    "gevent": ("gevent.monkey", {"is_module_patched": lambda name: name == "threading"}),
    "eventlet": ("eventlet.patcher", {"is_monkey_patched": lambda name: name == "thread"}),
}


@pytest.mark.parametrize("library", PATCHES)
@pytest.mark.parametrize("call", [DF.llm.tag, DF.llm.start])
def test_threads_that_are_patched_are_named_before_anything_is_sent(
    configured, monkeypatch, library, call
):
    # openai-python#835, gevent#2026
    module, functions = PATCHES[library]
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**functions))
    with pytest.raises(PlanError, match=f"{library} has patched this process's threads"):
        call("text", LABELS)
    assert not configured.ledger.calls


class DataFrame:
    """As polars' is called."""


DataFrame.__module__ = "polars.dataframe.frame"


class Lazy:
    def compute(self):
        raise NotImplementedError


Lazy.__module__, Lazy.__name__ = "dask.dataframe", "DataFrame"

NO_FRAMES = {
    "polars": (DataFrame(), r"DataFrame of polars; .*\.to_pandas\(\)"),
    "dask": (Lazy(), r"DataFrame of dask; .*\.compute\(\)"),
    "a column": (DF["text"], r"Series of pandas; series\.llm\.tag"),
    "records": ([{"text": "a"}], r"list; make one: pd\.DataFrame\(\.\.\.\)"),
    "a dict": ({"text": ["a"]}, r"dict; make one"),
    "an array": (DF.to_numpy(), r"ndarray of numpy; make one"),
    "nothing": (None, "NoneType; turn it"),
}


@pytest.mark.parametrize(("frame", "message"), NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame_of_pandas_is_named_with_the_way_to_one(configured, frame, message):
    for call in (lambda: lf.tag(frame, "text", LABELS), lambda: lf.llm(frame)):
        with pytest.raises(PlanError, match=message):
            call()
