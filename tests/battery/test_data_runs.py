"""The data over several runs: copies, changed frames, all types (faults 17, 22, 26, outputs)."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import llmframe as lf
from llmframe import testing
from llmframe.errors import IncompleteWarning
from tests.kits import battery as kit
from tests.kits.battery import frame, paid_twice, statuses, uninterrupted, until
from tests.kits.wild import EVERYTHING, HARD_LABELS, MOMENTS, ask, cells, echoing

pytestmark = pytest.mark.battery


@pytest.fixture
def echo():
    with echoing() as server:
        yield server


CHANGES: dict[str, tuple[Any, int]] = {
    "rows added": (lambda df: pd.concat([df, frame(3, "new")]), 3),
    "rows added in front": (lambda df: pd.concat([frame(2, "new"), df]), 2),
    "rows dropped": (lambda df: df.iloc[::2], 0),
    "sorted": (lambda df: df.sort_values("text"), 0),
    "shuffled": (lambda df: df.sample(frac=1, random_state=7), 0),
    "index reset": (lambda df: df.reset_index(drop=True), 0),
    "index kept as a column": (lambda df: df.reset_index(), 0),
    "doubled": (lambda df: pd.concat([df, df]), 0),
    "another column": (lambda df: df.assign(other=1.5), 0),
    "column moved": (lambda df: df.assign(a=1)[["a", "text"]], 0),
    "text type": (lambda df: df.astype("category"), 0),
    "one text changed": (lambda df: df.assign(text=["changed", *df["text"].iloc[1:]]), 1),
    "all at once": (
        lambda df: pd.concat([df.iloc[::3], frame(2, "new")]).sample(frac=1, random_state=3), 2
    ),
}  # fmt: skip


# -- 17: the same text many times --------------------------------------------------------------


def with_copies(n: int = 20) -> pd.DataFrame:
    """Every text twice, far from each other."""
    return pd.concat([frame(n), frame(n)])


def test_equal_rows_are_asked_once_and_all_answered(tmp_path):
    """Fault 17: requests = distinct."""
    df = with_copies()
    with testing.serve(latency=0.01) as server:
        out = kit.tag(df, server, tmp_path)
        kit.check(out, df, server)
        report = lf.last_run().report
        assert len(server.ledger) == 20 == report.shared
        assert kit.tag(df, server, tmp_path).equals(out)
        assert len(server.ledger) == 20


def test_copies_of_a_row_that_fails_fail_with_it_and_are_tried_again_together(tmp_path):
    """Fault 17: a failure is shared too, and no copy is asked on its own."""
    df = with_copies()
    with testing.serve(fault_rows={"record 3 ": "content_filter"}) as server:
        out = kit.tag(df, server, tmp_path)
        assert statuses(out) == {"ok": 38, "failed": 2}
        assert out.loc[out["llm_status"] == "failed", "llm_error"].nunique() == 1
        assert len(server.ledger) == 20
        server.update(fault_rows={})
        server.ledger.clear()
        kit.check(kit.tag(df, server, tmp_path), df, server)
        assert len(server.ledger) == 1


def test_without_reuse_every_distinct_row_is_asked_anew_and_once(tmp_path):
    """Fault 17: the opt-out is from old answers, not from sharing."""
    df = with_copies()
    with testing.serve() as server:
        kit.tag(df, server, tmp_path)
        out = kit.tag(df, server, tmp_path, reuse=False)
        assert len(server.ledger) == 40
        assert set(server.ledger.rows().values()) == {2}
        assert statuses(out) == {"ok": 40}


def test_texts_that_only_look_alike_are_different_rows(echo):
    """Fault 17: equal means the same characters."""
    texts = ["é", "e\u0301", "É", "é ", "é\u200b"]
    assert ask(cells(texts * 2), echo)["summary"].tolist() == texts * 2
    assert len(echo.ledger) == len(texts)


# -- 22: the frame has changed since -----------------------------------------------------------


@pytest.mark.parametrize("name", CHANGES)
def test_only_rows_that_are_new_are_bought(name, tmp_path):
    """Fault 22: requests = new distinct rows, and the output is that of a fresh run."""
    change, new = CHANGES[name]
    with testing.serve() as server:
        kit.tag(frame(12), server, tmp_path)
        df = change(frame(12))
        out = kit.tag(df, server, tmp_path)
        assert len(server.ledger) == 12 + new
        assert paid_twice(server.ledger) == 0
    assert_frame_equal(out, uninterrupted(df))


# -- 26 and the outputs ------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["thread", "nest", "atag", "start", "await a run"])
def test_every_way_to_call_gives_the_same_frame(way, tmp_path):
    """Fault 26, the data's side: values, order and dtypes of every kind of field."""
    df = frame(12)
    wanted = uninterrupted(df, fields=EVERYTHING)
    with testing.serve() as server:
        options = kit.settings(server, tmp_path)
        if way in ("thread", "nest"):
            out = lf.tag(df, "text", EVERYTHING, runner=way, **options)
        elif way == "start":
            out = lf.start(df, "text", EVERYTHING, **options).result()
        elif way == "atag":
            out = asyncio.run(lf.atag(df, "text", EVERYTHING, **options))
        else:
            out = asyncio.run(_awaited(df, options))
    assert_frame_equal(out, wanted)


async def _awaited(df: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame:
    return await lf.start(df, "text", EVERYTHING, **options)


def test_a_run_that_was_stopped_and_resumed_gives_every_type_as_if_it_never_was(tmp_path):
    """The standing invariant over all kinds of fields; the half frame has the dtypes already."""
    df = frame(60)
    wanted = uninterrupted(df, fields=EVERYTHING)
    with testing.serve(latency=0.1) as server:  # a second from the first ten rows to the end
        run = kit.start(df, server, tmp_path, fields=EVERYTHING, concurrency=5)
        until(lambda: run.report.done >= 10)
        run.stop()
        with pytest.warns(IncompleteWarning):
            half = run.result()
        assert half.dtypes.equals(wanted.dtypes)
        server.update(latency=0.0)
        out = kit.tag(df, server, tmp_path, fields=EVERYTHING)
        assert paid_twice(server.ledger) == 0
        assert len(server.ledger) == 60
    assert_frame_equal(out, wanted)


@pytest.mark.parametrize("n", [1, 30])
def test_a_run_in_which_every_row_fails_keeps_the_types(n):
    """Outputs: a column of nothing is still of its type."""
    wanted = uninterrupted(frame(n), fields=EVERYTHING)
    with testing.serve(faults={"content_filter": 1.0}) as server:
        out = kit.tag(frame(n), server, None, fields=EVERYTHING)
    assert statuses(out) == {"failed": n}
    assert out.dtypes.equals(wanted.dtypes)
    assert out[list(EVERYTHING)].isna().all(axis=None)


def test_a_frame_of_blanks_sends_nothing_and_keeps_the_types(echo):
    """Outputs: all skipped."""
    df = frame(5).assign(text=[None, "", " ", "\u200b", "\n"])
    out = ask(df, echo, fields=EVERYTHING)
    assert len(echo.ledger) == 0
    assert statuses(out) == {"skipped": 5}
    assert out.dtypes.equals(uninterrupted(frame(5), fields=EVERYTHING).dtypes)


@pytest.mark.parametrize("answered", ["z", "a", "m", None])
def test_categories_stand_in_the_order_given_whatever_was_answered(answered):
    """Outputs: unordered categorical, the given order, one label or none seen."""
    with testing.serve(answer=lambda *_: {"choice": answered}) as server:
        out = ask(cells(["a"] * 3), server, fields={"choice": ["z", "a", "m"]})
    assert out["choice"].cat.categories.tolist() == ["z", "a", "m"]
    assert not out["choice"].cat.ordered


@pytest.mark.parametrize(
    "labels", [HARD_LABELS, [f"label {i:03}" for i in range(500)], [3, -1, 2**53 + 1, 0]], ids=len
)
def test_every_label_can_be_answered_and_is_kept_as_given(labels, tmp_path):
    """Outputs: hard, many and whole-number labels, from the wire and from the checkpoint."""
    answers = dict(zip((f"row {i}" for i in range(len(labels))), labels, strict=True))
    df = cells(list(answers))
    with testing.serve(answer=lambda text, _: {"label": answers[text]}) as server:
        for _ in range(2):
            out = ask(df, server, fields=labels, checkpoint=tmp_path / "run.jsonl")
            assert out["label"].tolist() == labels
            assert out["label"].cat.categories.tolist() == labels
        assert len(server.ledger) == len(labels)


def test_dates_with_zones_are_one_column_in_universal_time(tmp_path):
    """Outputs: zones of every kind in one column, no overflow at either end."""
    with testing.serve(answer=lambda text, _: {"at": text}) as server:
        options = {"fields": {"at": dt.datetime}, "checkpoint": tmp_path / "run.jsonl"}
        first = ask(cells(list(MOMENTS)), server, **options)
        assert_frame_equal(ask(cells(list(MOMENTS)), server, **options), first)
    wanted = np.array(list(MOMENTS.values()), dtype="datetime64[us]")
    assert (first["at"].to_numpy() == wanted).all()


def test_a_null_is_an_answer_only_where_it_was_allowed():
    """Outputs: missing with status ok, or a row that says what is wrong."""
    with testing.serve(answer=lambda *_: {"x": None}) as server:
        ok = ask(cells(["a"]), server, fields={"x": int | None})
        bad = ask(cells(["a"]), server, fields={"x": int})
    assert (statuses(ok), statuses(bad)) == ({"ok": 1}, {"failed": 1})
    assert ok["x"].dtype == bad["x"].dtype == "Int64"
    assert bad["llm_error"].str.startswith("output: x=None").all()
