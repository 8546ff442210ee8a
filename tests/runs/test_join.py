"""A call of the same plan joins the run that is alive; any other plan runs beside it."""

from __future__ import annotations

import contextlib
import threading

import pandas as pd
import pytest

import llmframe as lf
from llmframe.calls import opening
from llmframe.calls import plan as planning
from tests.kits.until import until

FIELDS = {"intent": ["refund", "delivery", "other"]}


def frame(n=20):
    return pd.DataFrame({"text": [f"record {i}" for i in range(n)]})


def statuses(out):
    return {k: v for k, v in out["llm_status"].value_counts().items() if v}


def test_a_call_that_joins_opens_no_file_and_starts_no_server(start, monkeypatch):
    run = start()
    with monkeypatch.context() as broken:
        broken.setattr(opening, "open_checkpoint", lambda *_, **__: [].pop())
        broken.setattr(opening, "start_local", lambda *_, **__: [].pop())
        assert start() is run


def test_a_planned_call_has_opened_and_started_nothing(configured, tmp_path):
    from llmframe.options.layers import settle

    planning.plan(frame(), "text", FIELDS, settle({"checkpoint": tmp_path / "run.jsonl"}))
    assert list(tmp_path.iterdir()) == []


def test_the_same_plan_gives_the_run_that_is_alive(start, slow):
    run = start()
    assert start() is run
    assert start(frame(100)) is run
    run.wait()
    assert len(slow.ledger) == 100


@pytest.mark.parametrize(
    "change",
    [
        {"instructions": "Be strict."},
        {"prefix": "b_"},
        {"details": True},
        {"checkpoint": False},
        {"on_error": "raise"},
        {"redact": str.upper},
        {"max_input_tokens": 1000},
        {"id": "n"},
        {"max_tokens": 1_000_000},
        {"max_cost": 5.0, "prices": (1.0, 1.0)},
        {"api_key": "sk-another-12345678"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_different_plan_runs_beside_it(start, change):
    df = frame(100).assign(n=range(100))
    run = start(df)
    other = start(df, **change)
    assert other is not run
    assert statuses(other.result().set_axis(_names(other), axis=1)) == {"ok": 100}
    assert statuses(run.result()) == {"ok": 100}


def _names(run):
    return [str(name).removeprefix("b_") for name in run.partial().columns]


def test_another_template_over_the_same_columns_is_another_plan(slow):
    df = frame(50).assign(n=range(50))
    first = df.llm.start("{text}: {n}", FIELDS)
    second = df.llm.start("{text} - {n}", FIELDS)
    assert first is not second
    assert statuses(first.result()) == statuses(second.result()) == {"ok": 50}
    assert len(slow.ledger) == 100


def test_another_frame_is_another_plan_and_shares_its_answers(start, slow):
    run = start(frame(50))
    other = start(frame(60))
    assert other is not run
    assert statuses(other.result()) == {"ok": 60}
    assert len(slow.ledger) == 60


def test_a_blocking_call_waits_on_the_run_of_its_plan(start, slow):
    run = start()
    out = frame(100).llm.tag("text", FIELDS)
    assert lf.last_run() is run
    assert statuses(out) == {"ok": 100}
    assert len(slow.ledger) == 100


def test_a_blocking_call_that_wants_all_rows_does_not_join_a_run_that_may_lack_some(start, slow):
    run = start()
    until(lambda: run.report.ok >= 10)
    other = start(on_incomplete="raise")
    run.stop()
    assert statuses(other.result()) == {"ok": 100}
    assert slow.ledger.billed_twice() == []


def test_a_stopped_run_is_not_joined_and_its_answers_are_not_bought_again(start, slow):
    run = start()
    until(lambda: run.report.ok >= 10)
    run.stop()
    out = frame(100).llm.tag("text", FIELDS)
    assert lf.last_run() is not run
    assert statuses(out) == {"ok": 100}
    assert len(slow.ledger) == 100


@contextlib.contextmanager
def resuming(run, caught):
    """A paused run goes on once a warning is caught, and after a while in any case."""

    def wait():
        try:
            until(lambda: len(caught), 20)
        finally:
            run.resume()

    waiting = threading.Thread(target=wait)
    waiting.start()
    yield
    waiting.join()


def test_a_call_that_joins_a_paused_run_says_so_and_how_it_goes_on(start):
    run = start()
    run.pause()
    warned = pytest.warns(UserWarning, match="this run is paused, and the call waits")
    with warned as caught, resuming(run, caught):
        out = frame(100).llm.tag("text", FIELDS)
    assert len(caught) == 1
    assert statuses(out) == {"ok": 100}


@pytest.mark.parametrize("wait", ["result", "wait"])
def test_waiting_for_a_paused_run_says_so(start, wait):
    run = start()
    run.pause()
    with pytest.warns(UserWarning, match="is paused") as caught, resuming(run, caught):
        getattr(run, wait)()
    assert run.report.ok == 100
    assert run.wait()  # no word once it goes on
