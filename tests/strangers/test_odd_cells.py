"""A cell that has no text fails its row, and no other; nothing of it ends a run or an export."""

from __future__ import annotations

import pandas as pd
import pytest

from llmframe import testing
from llmframe.errors import RowError
from llmframe.frame.rows import plan_rows
from tests.kits.until import until
from tests.strangers.odd_cells import WITHOUT_TEXT, Broken, column_of, typed_columns

FORMS = pytest.mark.parametrize("form", ["text", "{text} of {n}", ["n", "text"]], ids=str)
ECHO = {"echo": str}


@pytest.fixture
def echo():
    """An endpoint that answers with the row's text, and the options that reach it."""
    with testing.serve(answer=lambda text, _: {"echo": text}) as server:
        yield {"model": "m", "base_url": server.url, "api_key": "k", "progress": False}


def among_good_rows():
    cells = ["first", *WITHOUT_TEXT.values(), "last"]
    return pd.DataFrame({"text": column_of(cells), "n": range(len(cells))})


@FORMS
def test_one_odd_cell_among_good_rows_fails_its_row_only(echo, form):
    out = among_good_rows().llm.tag(form, ECHO, **echo)
    odd = len(WITHOUT_TEXT)
    assert out["llm_status"].tolist() == ["ok", *["failed"] * odd, "ok"]
    errors = out["llm_error"].iloc[1:-1]
    assert errors.str.startswith("input: the cell in column 'text' cannot be turned into").all()


@FORMS
@pytest.mark.parametrize("name", typed_columns())
def test_a_value_that_python_cannot_hold_fails_its_row_only(echo, name, form):
    df = pd.DataFrame({"text": typed_columns()[name], "n": [1, 2, 3]})
    out = df.llm.tag(form, ECHO, **echo)
    assert out["llm_status"].tolist() == ["ok", "failed", "ok"]
    assert "OverflowError" in out["llm_error"].iloc[1]


def test_a_series_and_a_second_call_fail_the_same_rows(echo):
    cells = among_good_rows()["text"]
    first, again = (cells.llm.tag(ECHO, **echo) for _ in range(2))
    assert first["llm_status"].tolist() == again["llm_status"].tolist()
    assert (first["llm_status"] == "ok").sum() == 2


def test_an_id_that_has_no_text_is_no_id(echo):
    df = pd.DataFrame({"text": ["a", "b"], "key": column_of([Broken(), 7])})
    assert plan_rows(df, "text", id="key").ids(0, 2) == [None, 7]
    assert (df.llm.tag("text", ECHO, id="key", **echo)["llm_status"] == "ok").all()


def test_an_interrupt_in_a_cell_is_an_interrupt():
    rows = plan_rows(pd.DataFrame({"text": column_of([Broken(KeyboardInterrupt)])}), "text")
    with pytest.raises(KeyboardInterrupt):
        rows.texts(0, 1)


def test_an_error_does_not_quote_a_cell_that_redact_has_not_seen(echo):
    df = pd.DataFrame({"text": column_of([Broken(), "b"])})
    out = df.llm.tag("text", ECHO, redact=lambda text: "x", **echo)
    assert out["llm_status"].tolist() == ["failed", "ok"]
    assert "closed" not in out["llm_error"].iloc[0]


def test_a_cell_that_changes_in_mid_run_changes_no_answer(echo):
    # two equal rows, asked once: the first one's cell is changed after both were planned
    changed, kept = {"t": "first"}, {"t": "first"}
    texts = plan_rows(pd.DataFrame({"text": column_of([changed, kept])}), "text")
    assert not texts.is_stable
    many = [{"t": f"filler {at}"} for at in range(100)]
    df = pd.DataFrame({"text": column_of([*many, changed, kept])})
    run = df.llm.start("text", ECHO, **echo | {"concurrency": 1, "progress": False})
    until(lambda: run.report.requests)
    changed["t"] = "CHANGED"
    assert run.result()["echo"].iloc[-1] == '{"t": "first"}'


def test_an_array_behind_a_column_may_change_after_the_call():
    held = column_of(["a", "b"]).to_numpy().copy()
    df = pd.DataFrame({"text": pd.Series(held, copy=False, dtype=object)}, copy=False)
    rows = plan_rows(df, "text")
    kept = rows.as_planned(df)
    held[0] = "CHANGED"
    assert (rows.text(0), kept["text"].tolist()) == ("a", ["a", "b"])


def test_what_redact_took_out_is_not_among_the_failed_rows(echo):
    df = pd.DataFrame({"text": ["call 555-1234", "b"], "more": [1, 2]})
    hide = {"redact": lambda text: text.replace("555-1234", "[number]"), "max_attempts": 1}
    out = df.llm.tag("text", {"echo": int}, **echo, **hide)  # a text is no int: the rows fail
    errors = out.llm.errors()
    assert (len(errors), errors.columns.tolist()) == (2, ["llm_error"])
    assert "555-1234" not in str(errors.to_dict())


def test_odd_cells_and_labels_that_repeat_do_not_stop_the_answers(echo):
    df = among_good_rows()
    out = df.set_axis([7] * len(df)).llm.tag("text", ECHO, **echo)
    again = out.iloc[::-1].llm.tag("text", ECHO, **echo)  # its own columns are known again
    assert again["llm_status"].tolist() == out["llm_status"].tolist()


def test_odd_cells_in_an_answers_place_are_summed_up(echo):
    out = among_good_rows().llm.tag("n", ECHO, **echo)
    out["echo"] = column_of(["first", *WITHOUT_TEXT.values(), "last"])
    assert "cells that cannot be counted" in repr(out.llm.summary())
    assert "cannot be counted" in out.llm.summary()._repr_html_()


def test_a_row_whose_label_python_cannot_hold_is_raised(echo):
    labels = pd.Index(typed_columns()["moments"])
    df = pd.DataFrame({"text": column_of(["a", Broken(), "c"])}).set_axis(labels)
    with pytest.raises(RowError, match="input: ") as caught:
        df.llm.tag("text", ECHO, on_error="raise", **echo)
    assert caught.value.position == 1
