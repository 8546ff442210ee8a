"""The data: whatever a frame is (fault 16)."""

from __future__ import annotations

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal

from llmframe import testing
from llmframe.errors import PlanError
from tests.kits import battery as kit
from tests.kits.battery import FIELDS, frame, uninterrupted, until
from tests.kits.wild import INDEXES, INPUTS, ask, cells, echoing

pytestmark = pytest.mark.battery


@pytest.fixture
def echo():
    with echoing() as server:
        yield server


@pytest.mark.parametrize("name", INDEXES)
def test_answers_stand_beside_their_rows_whatever_the_index_is(echo, name):
    """Fault 16: positional results only, index exact."""
    df = pd.DataFrame({"n": range(4), "text": list("abcd")}, index=INDEXES[name])
    before = df.copy()
    out = ask(df, echo)
    assert_index_equal(out.index, before.index, exact=True)
    assert out["summary"].tolist() == list("abcd")
    assert_frame_equal(out[["n", "text"]], before)
    assert_frame_equal(df, before)


def test_a_filtered_and_sorted_frame_keeps_its_order(echo):
    """Fault 16: labels say nothing about places."""
    df = cells([f"row {i}" for i in range(20)]).iloc[::-3].sample(frac=1, random_state=1)
    out = ask(df, echo)
    assert_index_equal(out.index, df.index)
    assert out["summary"].tolist() == df["text"].tolist()


def test_other_columns_may_share_a_name_and_an_asked_one_may_not(echo):
    """Fault 16: a duplicated column is refused only where it is meant."""
    df = pd.DataFrame([["a", 1, 2]], columns=["text", "same", "same"])
    out = ask(df, echo)
    assert list(out.columns) == ["text", "same", "same", "summary", "llm_status", "llm_error"]
    assert out.iloc[0, :3].tolist() == ["a", 1, 2]
    with pytest.raises(PlanError, match="2 columns are named 'same'"):
        ask(df, echo, "same")
    with pytest.raises(PlanError, match="2 columns are named 'same'"):
        ask(df, echo, "{text} {same}")
    assert len(echo.ledger) == 1


def test_columns_of_several_levels_stay_so(echo):
    """Fault 16: new names are padded, level names kept."""
    columns = pd.MultiIndex.from_tuples([("text", ""), ("a", "b")], names=["top", "sub"])
    out = ask(pd.DataFrame([["x", 1]], columns=columns), echo)
    assert out.columns.names == ["top", "sub"]
    assert out.columns[2:].tolist() == [("summary", ""), ("llm_status", ""), ("llm_error", "")]
    assert out["summary"].tolist() == ["x"]


@pytest.mark.parametrize("dtype", ["str", "object", "category", "string[pyarrow]", "float64"])
def test_an_empty_frame_gets_its_columns_and_sends_nothing(echo, dtype):
    """Fault 16: dtypes as in a frame with rows."""
    out = ask(pd.DataFrame({"text": pd.Series([], dtype=dtype)}), echo, fields=FIELDS)
    full = uninterrupted(frame(3))
    assert len(out) == 0 == len(echo.ledger)
    assert out.dtypes[list(FIELDS)].equals(full.dtypes[list(FIELDS)])
    assert out["llm_status"].dtype == full["llm_status"].dtype


@pytest.mark.parametrize("name", INPUTS)
def test_a_column_of_any_type_can_be_asked_about_and_keeps_it(echo, name):
    """Fault 16: category, sparse, nullable and pyarrow columns; dtypes exact."""
    column, texts = INPUTS[name]
    df = pd.DataFrame({"text": column})
    out = ask(df, echo)
    assert_frame_equal(out[["text"]], df)
    assert out["summary"].astype(object).where(out["summary"].notna(), None).tolist() == texts


class Tickets(pd.DataFrame):
    """Somebody's own kind of frame."""

    _metadata = ("team",)

    @property
    def _constructor(self) -> type[Tickets]:
        return Tickets


def test_a_frame_of_somebodys_own_class_stays_one(echo):
    """Fault 16: with its flags, attrs and what its class remembers."""
    df = Tickets({"text": ["a", "b"]})
    df.team, df.attrs["note"], df.flags.allows_duplicate_labels = "north", {"a": 1}, False
    out = ask(df, echo)
    assert type(out) is Tickets
    assert (out.team, out.attrs["note"]) == ("north", {"a": 1})
    assert not out.flags.allows_duplicate_labels


def test_a_frame_that_is_changed_meanwhile_does_not_change_the_run():
    """Fault 16: a background run goes by the frame as it was."""
    df = frame(40)
    wanted = uninterrupted(frame(40))
    with testing.serve(latency=0.05) as server:
        run = kit.start(df, server, None, concurrency=5)
        until(lambda: len(server.ledger) >= 3)
        df.loc[:, "text"] = "changed"
        df["more"] = 1
        df.attrs["more"] = 1
        df.index.name = "changed"
        df.index = df.index[::-1]
        del df["more"]
        df.columns = ["renamed"]
        assert_frame_equal(run.result(), wanted)
    assert run.errors.index.name == "case"
