"""The data: whatever stands in a cell (fault 15)."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.task.text import shows_nothing
from llmframe.text import clean_text
from tests.kits import battery as kit
from tests.kits.battery import statuses
from tests.kits.wild import BLANKS, CELLS, ECHO, MISSING, ask, cells, echoing, sent

pytestmark = pytest.mark.battery


@pytest.fixture
def echo():
    with echoing() as server:
        yield server


FORMS = {"column": "text", "template": "{text}", "list": ["text"]}


@pytest.mark.parametrize("form", FORMS)
def test_a_cell_with_nothing_to_see_is_never_sent(echo, form):
    """Fault 15: no call for a blank or missing cell, null out."""
    df = cells([*MISSING, *BLANKS, "visible"])
    out = ask(df, echo, FORMS[form])
    assert len(echo.ledger) == 1
    assert statuses(out) == {"skipped": len(df) - 1, "ok": 1}
    assert out["summary"].isna().sum() == len(df) - 1
    assert out["llm_error"].isna().all()
    assert out.dtypes.equals(ask(cells(["visible"]), echo).dtypes)


@pytest.mark.parametrize("form", FORMS)
def test_every_other_cell_is_sent_as_it_is_told(echo, form):
    """Fault 15: the stated rule for every kind of cell, nothing raised, every row done."""
    out = ask(cells([cell for cell, _, _ in CELLS]), echo, FORMS[form])
    wanted = [f'{{"text": {json_}}}' if form == "list" else text for _, text, json_ in CELLS]
    assert statuses(out) == {"ok": len(CELLS)}, out["llm_error"].dropna().tolist()
    assert sent(echo) == sorted(wanted)
    assert out["summary"].tolist() == wanted


def test_a_missing_cell_is_empty_in_a_template_and_null_in_a_list(echo):
    """Fault 15: one blank cell does not skip a row that has another."""
    df = pd.DataFrame({"a": ["x"], "b": [None], "c": ["\u200b"]}, dtype=object)
    ask(df, echo, "<{a}|{b}|{c}>")
    ask(df, echo, ["a", "b", "c"])
    assert sent(echo) == ["<x||\u200b>", '{"a": "x", "b": null, "c": "\u200b"}']


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "cell", [b"bytes", bytearray(b"x"), memoryview(b"x"), object()], ids=lambda cell: type(cell)
)
def test_a_cell_without_a_text_is_refused_before_anything_is_sent(echo, form, cell):
    """Fault 15: bytes are a mistake of the call, named with the row and the cure."""
    with pytest.raises(PlanError, match=r"'text' holds .* at row 1.*(decode|turn it into text)"):
        ask(cells(["text", cell]), echo, FORMS[form])
    assert len(echo.ledger) == 0


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
def test_a_text_of_five_megabytes_is_one_row_like_any_other(echo):
    """Fault 15: its neighbours come back, and it comes back whole."""
    out = ask(cells(["small", "x" * 5_000_000, "small too"]), echo)
    assert statuses(out) == {"ok": 3}
    assert out["summary"].str.len().tolist() == [5, 5_000_000, 9]


def test_wild_texts_come_back_from_the_checkpoint_as_they_came_from_the_wire(echo, tmp_path):
    """Fault 15: a resumed run gives the same bytes."""
    df = cells([text for cell, text, _ in CELLS if isinstance(cell, str)])
    first = lf.tag(df, "text", ECHO, **kit.settings(echo, tmp_path))
    asked = len(echo.ledger)
    assert_frame_equal(lf.tag(df, "text", ECHO, **kit.settings(echo, tmp_path)), first)
    assert len(echo.ledger) == asked == len(df)


@pytest.mark.parametrize("spoilt", ['"\\ud800 half"', '"nul \\u0000"', '"\\ud83d\\ude00 whole"'])
def test_wild_texts_in_an_answer_are_text_in_the_column(spoilt):
    """Fault 15: an answer with half a character loses that character, not the row."""
    with testing.serve(answer=lambda *_: f'{{"summary": {spoilt}}}') as server:
        out = ask(cells(["a"]), server)
    assert out["summary"].tolist() == [clean_text(json.loads(spoilt))]
    assert statuses(out) == {"ok": 1}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(st.characters(exclude_categories=()), max_size=30), max_size=8))
def test_any_texts_are_sent_or_skipped_and_keep_their_place(echo, texts):
    """Fault 15, for texts that nobody thought of."""
    echo.ledger.clear()
    out = ask(cells(texts), echo)
    shown = [clean_text(text) for text in texts if not shows_nothing(text)]
    assert sent(echo) == sorted(set(shown))
    assert out["summary"].dropna().tolist() == shown
    assert (out["llm_status"] == "skipped").tolist() == list(map(shows_nothing, texts))
    assert set(statuses(out)) <= {"ok", "skipped"}
