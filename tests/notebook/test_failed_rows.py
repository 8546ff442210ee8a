"""What ``errors()`` returns: a view for people, and an ordinary frame for everything else."""

import copy
import pickle
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter

import llmframe as lf
from llmframe import testing
from llmframe.notebook.failed_rows import SHOWN, FailedRows
from tests.kits.notebook_cases import HOSTILE, Seen
from tests.kits.notebook_screen import own_shell

CALL = {"model": "m", "checkpoint": False, "progress": False}
LONG = "a very long reason " * 12


def failed(*errors, texts=None, **columns):
    frame = pd.DataFrame(
        {"text": texts or [f"text {n}" for n in range(len(errors))], **columns, "llm_error": errors}
    )
    return FailedRows(frame)


def shown(frame):
    return Seen(frame._repr_html_()).text


THREE = failed("output: " + LONG, "output: another", "refusal: no", texts=["x" * 250, "b", "c"])


def test_the_view_counts_the_kinds_and_says_what_a_rerun_mends():
    for words in (shown(THREE), repr(THREE)):
        assert "2 invalid answers, 1 refused by the model" in words
        assert (
            "2 invalid answers may succeed on a re-run. 1 was refused by the model: change" in words
        )


def test_reasons_and_texts_are_shown_whole():
    for words in (shown(THREE), repr(THREE)):
        assert LONG.strip() in words
        assert "x" * 250 in words
    assert not re.search("text-overflow|nowrap", THREE._repr_html_())
    assert "text-align:right" not in THREE._repr_html_()


def test_a_reason_that_a_whole_kind_shares_is_said_once():
    alike = failed(*["content_filter: the policy"] * 3)
    assert shown(alike).count("the policy") == 1
    assert repr(alike).count("the policy") == 1


def test_a_kind_with_many_rows_shows_some_and_counts_the_rest():
    many = failed(*[f"output: reason {n}" for n in range(SHOWN + 30)])
    assert "and 30 more rows" in shown(many)
    assert "and 30 more rows" in repr(many)
    assert f"reason {SHOWN}" not in shown(many)


def test_nothing_failed_is_said_too():
    assert shown(failed()) == "No row failed."
    assert repr(failed()) == "llmframe: no row failed"


def test_several_columns_of_input_have_their_names():
    both = failed("output: x", title=["A title"])
    assert "text: text 0, title: A title" in shown(both)


@pytest.mark.parametrize(
    "step",
    [
        lambda df: df.copy(),
        lambda df: df[["text"]],
        lambda df: df[df["text"] == "b"],
        lambda df: df.head(1),
        lambda df: df.reset_index(),
        lambda df: df.rename(columns={"text": "t"}),
        lambda df: df.assign(more=1),
        lambda df: df.merge(df, on="text"),
        lambda df: df.sort_values("text"),
        lambda df: df.groupby("llm_error").count(),
        lambda df: df.T,
        lambda df: pd.concat([df, df]),
        lambda df: df.join(pd.DataFrame({"x": [1]})),
        lambda df: df.transpose(),
        lambda df: pickle.loads(pickle.dumps(df)),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_what_pandas_makes_of_it_is_an_ordinary_frame(step):
    assert type(step(THREE)) is pd.DataFrame


def test_it_equals_an_ordinary_frame():
    ordinary = pd.DataFrame(THREE)
    pd.testing.assert_frame_equal(THREE.copy(), ordinary)
    assert THREE.to_csv() == ordinary.to_csv()
    assert THREE.to_string() == ordinary.to_string()
    pd.testing.assert_series_equal(THREE["text"], ordinary["text"])


def test_a_frame_that_lost_its_errors_is_shown_as_pandas_shows_it():
    bare = failed("output: x")
    del bare["llm_error"]  # in place, so that it keeps its class
    assert repr(bare) == repr(pd.DataFrame(bare))
    assert bare._repr_html_() == pd.DataFrame(bare)._repr_html_()


def test_pandas_own_switch_turns_the_html_off():
    with pd.option_context("display.notebook_repr_html", False):
        assert THREE._repr_html_() is None


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text):
    clean = text.encode("utf-8", "replace").decode()
    frame = failed(f"output: {clean}", f"{clean}: a", llm_raw=[clean, clean], texts=[clean, "b"])
    frame.index = pd.Index([clean, "x"])
    seen = Seen(frame._repr_html_())
    assert set(seen.tags) <= {"div", "span", "b"}
    assert not seen.odd
    assert not seen.strange
    assert all(line.isprintable() for line in repr(frame).split("\n"))


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=20), st.integers(), st.just(np.nan), st.just([1])),
        max_size=6,
    )
)
def test_any_cell_has_a_view(cells):
    frame = FailedRows(pd.DataFrame({"text": cells, "llm_error": cells}, dtype=object))
    repr(frame)
    Seen(frame._repr_html_())


@pytest.fixture(scope="module")
def run():
    """Three rows, of which one has an invalid answer and one is refused by the model."""
    df = pd.DataFrame({"text": ["fine", "bad", "never"]}, index=["a", "b", "c"])
    rows = {"bad": "off_list", "never": "refusal"}
    with testing.serve(fault_rows=rows) as server:
        lf.tag(df, "text", {"t": ["x", "y"]}, base_url=server.url, details=True, **CALL)
    return lf.last_run()


def test_a_run_and_its_frame_return_the_same(run):
    mine, its = run.errors, run.result().llm.errors()
    assert type(mine) is type(its) is FailedRows
    pd.testing.assert_frame_equal(mine.copy(), its.copy(), check_dtype=False)
    assert list(mine.columns) == ["text", "llm_error", "llm_raw"]
    assert list(mine.index) == ["b", "c"]


def test_the_reply_is_shown_where_it_is_known(run):
    words = shown(run.errors)
    assert "off-list label" in words
    assert "reply" in words
    assert "I'm sorry, I can't help with that." in words  # the model's own words


def test_without_details_there_is_no_reply():
    with testing.serve(fault_rows={"bad": "off_list"}) as server:
        df = pd.DataFrame({"text": ["bad"]})
        out = lf.tag(df, "text", ["x", "y"], base_url=server.url, **CALL)
    assert list(out.llm.errors().columns) == ["text", "llm_error"]


def test_a_reply_that_may_quote_what_is_redacted_is_not_shown():
    with testing.serve(fault_rows={"bad": "off_list"}) as server:
        df = pd.DataFrame({"text": ["bad"]})
        options = {"base_url": server.url, "details": True, "redact": lambda text: text}
        out = lf.tag(df, "text", ["x", "y"], **options, **CALL)
    assert list(out.llm.errors().columns) == ["llm_error"]


def test_a_notebook_gets_the_view_as_html_and_as_text():
    with own_shell() as shell:
        shell.display_formatter.active_types = ["text/html", "text/plain"]
        data, _ = shell.display_formatter.format(THREE)
    assert data["text/html"] == THREE._repr_html_()
    assert data["text/plain"] == repr(THREE)


def test_nbconvert_keeps_the_view():
    output = nbformat.v4.new_output("execute_result", {"text/html": THREE._repr_html_()})
    cell = nbformat.v4.new_code_cell("out.llm.errors()", outputs=[output])
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert LONG.strip() in page
    assert "2 invalid answers may succeed on a re-run" in page
