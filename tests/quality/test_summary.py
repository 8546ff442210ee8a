"""A tagged frame at a glance, its failed rows, and what each kind of column is counted as."""

import datetime

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.frame.existing import ATTRS_KEY
from llmframe.quality.distribution import BARS, BINS, OTHER, distribution
from llmframe.quality.summary import summarise
from llmframe.quality.tagged import failed_rows
from tests.kits.notebook_cases import HOSTILE, Seen

OURS = {"div", "span", "b"}
FIELDS = {"intent": ["refund", "delivery", "other"], "stars": int, "summary": str}


def answer(text, body):
    return {"intent": "refund", "stars": len(text) % 3, "summary": "It says: " + text}


@pytest.fixture(scope="module")
def tagged():
    """Twelve records: one is blank, one is refused by a filter."""
    texts = [f"record {'x' * n}" for n in range(10)] + ["", "bad"]
    df = pd.DataFrame({"id": range(12), "text": texts}, index=[f"r{n}" for n in range(12)])
    rows = {"bad": "content_filter"}
    with testing.serve(answer=answer, fault_rows=rows) as server:
        return lf.tag(
            df, "text", FIELDS, model="m", base_url=server.url, checkpoint=False, progress=False
        )


def test_the_summary_counts_rows_and_fields(tagged):
    found = summarise(tagged)
    assert found.counts == {"ok": 10, "failed": 1, "skipped": 1, "pending": 0}
    assert found.errors == {"content_filter": 1}
    assert [field.name for field in found.fields] == ["intent", "stars", "summary"]
    assert found.fields[0].bars == (("refund", 10), ("delivery", 0), ("other", 0))
    assert found.model == "m"


def test_the_summary_is_printed_as_text(tagged):
    lines = repr(summarise(tagged)).split("\n  ")
    assert lines[0] == "llmframe: 12 rows: 10 ok, 1 failed, 1 skipped"
    assert "failed: 1 blocked by the content filter" in lines
    assert "intent: refund 10, delivery 0, other 0" in lines


def test_the_summary_is_shown_as_pictures(tagged):
    seen = Seen(summarise(tagged)._repr_html_())
    assert set(seen.tags) <= OURS
    assert not seen.odd
    for words in ("12 rows", "10 ok", "1 failed", "intent", "refund", "100 %", "stars"):
        assert words in seen.text


def test_tokens_and_cost_are_told_where_the_frame_knows_them(tagged):
    altered = tagged.copy()
    altered.attrs[ATTRS_KEY] = {
        **altered.attrs[ATTRS_KEY], "tokens_in": 52_000, "tokens_out": 900, "cost": 0.12,
        "currency": "USD",
    }  # fmt: skip
    assert "52.0 k tokens in, 900 out, $0.12" in repr(summarise(altered))
    assert "tokens" not in repr(summarise(altered.head(3)))  # they were spent on more rows


def test_a_frame_without_attrs_still_counts_its_rows(tagged):
    lost = tagged.copy()
    lost.attrs = {}
    assert summarise(lost).fields == ()
    assert "attrs are lost" in repr(summarise(lost))
    assert "attrs are lost" in Seen(summarise(lost)._repr_html_()).text


def test_an_empty_frame_is_summarised(tagged):
    empty = summarise(tagged.head(0))
    assert repr(empty).startswith("llmframe: 0 rows: none")
    assert "no answers" in Seen(empty._repr_html_()).text


def test_the_failed_rows_stand_beside_all_that_no_call_has_written(tagged):
    untold = tagged.copy()
    untold.attrs[ATTRS_KEY] = {**untold.attrs[ATTRS_KEY], "inputs": None}
    failed = failed_rows(untold)
    assert list(failed.columns) == ["id", "text", "llm_error"]
    assert list(failed.index) == ["r11"]
    assert failed["llm_error"].iloc[0].startswith("content_filter: ")


def test_only_the_input_is_shown_where_the_frame_tells_which_it_was(tagged):
    altered = tagged.copy()
    altered.attrs[ATTRS_KEY] = {**altered.attrs[ATTRS_KEY], "inputs": ["text"]}
    assert list(failed_rows(altered).columns) == ["text", "llm_error"]


@pytest.mark.parametrize("call", [summarise, failed_rows])
def test_a_frame_that_was_never_tagged_says_so(call):
    with pytest.raises(PlanError, match=r"no 'llm_status'; tag it first"):
        call(pd.DataFrame({"text": ["a"]}))


@pytest.mark.parametrize("call", [summarise, failed_rows])
def test_a_wrong_prefix_names_the_right_one(tagged, call):
    renamed = tagged.rename(columns=lambda name: f"a_{name}" if name[:4] == "llm_" else name)
    with pytest.raises(PlanError, match="prefix='a_'"):
        call(renamed)


# -- columns ---------------------------------------------------------------------------------


def counted(values, dtype=None):
    return distribution("field", pd.Series(values, dtype=dtype))


def test_labels_keep_their_given_order_and_unused_ones_are_seen():
    found = counted(pd.Categorical(["mid", "mid", "low"], categories=["low", "mid", "high"]))
    assert found.bars == (("low", 1), ("mid", 2), ("high", 0))


def test_of_many_labels_the_most_frequent_are_shown_and_the_rest_put_together():
    labels = [f"label{n:02}" for n in range(30)]
    found = counted(pd.Categorical([label for n, label in enumerate(labels) for _ in range(n + 1)]))
    assert found.bars[0] == ("label29", 30)
    assert len(found.bars) == BARS
    assert found.bars[-1][0] == OTHER
    assert sum(number for _, number in found.bars) == found.answered == 465


def test_missing_answers_are_counted_apart():
    found = counted([True, None, False, True], "boolean")
    assert (found.answered, found.missing) == (3, 1)
    assert dict(found.bars) == {"True": 2, "False": 1}


def test_few_numbers_are_labels_in_their_order():
    assert counted([5, 1, 5, None], "Int64").bars == (("1", 1), ("5", 2))


def test_many_numbers_are_a_histogram():
    found = counted(np.linspace(0, 1, 481), "Float64")
    assert len(found.bins) == BINS
    assert sum(found.bins) == 481
    assert (found.low, found.high, found.note) == ("0", "1", "median 0.5")


def test_many_dates_are_a_histogram_over_time():
    days = pd.Series(pd.date_range("2026-01-01", periods=100).astype("datetime64[us]"))
    found = distribution("when", days)
    assert (found.low, found.high) == ("2026-01-01", "2026-04-10")
    assert sum(found.bins) == 100


def test_few_dates_are_labels():
    days = pd.Series([datetime.datetime(2026, 5, 1)] * 2, dtype="datetime64[us]")
    assert distribution("when", days).bars == (("2026-05-01", 2),)


@pytest.mark.parametrize("dtype", ["str", object])
def test_repeated_texts_are_labels_and_different_ones_lengths(dtype):
    assert counted(["a", "b", "a", "a"], dtype).bars == (("a", 3), ("b", 1))
    found = counted(["x" * n for n in range(1, 41)], dtype)
    assert (found.low, found.high) == ("1", "40")
    assert found.note == "median 20 characters, 40 different"


def test_texts_of_one_length_need_no_histogram():
    assert counted(["aa", "bb", "cc"], object).bins == ()


def test_lists_are_counted_by_entry():
    found = counted([["a", "b"], ["a"], []], object)
    assert found.bars == (("a", 2), ("b", 1))
    assert found.note == "1.0 per row"


def test_objects_are_counted_by_their_filled_names():
    found = counted([{"number": "7", "items": []}, {"number": None, "items": ["x"]}], object)
    assert dict(found.bars) == {"items": 2, "number": 1}


@pytest.mark.parametrize("dtype", ["str", "Int64", "boolean", "Float64", object, "datetime64[us]"])
def test_a_column_without_answers_is_empty(dtype):
    found = counted([None, None], dtype)
    assert (found.answered, found.missing, found.bars, found.bins) == (0, 2, (), ())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_only_text(hostile, tagged):
    clean = hostile.replace("\ud800", "").replace("\udfff", "")
    altered = tagged.rename(columns={"intent": clean or "x"})
    altered[clean or "x"] = pd.Categorical([clean, *"abcdefghijk"])
    note = altered.attrs[ATTRS_KEY]
    columns = {clean or "x": note["columns"]["summary"], **note["columns"]}
    altered.attrs[ATTRS_KEY] = {**note, "columns": columns, "model": hostile}
    found = summarise(altered)
    seen = Seen(found._repr_html_())
    assert set(seen.tags) <= OURS
    assert not seen.odd
    assert all(line.isprintable() for line in repr(found).split("\n"))
    assert len(found._repr_html_().encode()) < 20_000


LONG = " word" * 40
QUOTED = [f"So{LONG} I want <b>my money</b>{LONG}", "My money, please", "It never came", "not said"]
QUOTES = ["want <b>my money</b>", "My money", "It never came", "never said"]


def quoted(**options):
    """Four answered rows, three of them with a quote; the last one's is not in the text."""

    def answer(text, body):
        asked = QUOTES[QUOTED.index(text.strip())] if text.strip() in QUOTED else None
        return {"intent": "refund", "intent_evidence": asked}

    df = pd.DataFrame({"text": QUOTED}, index=[7, 7, 8, 9])
    with testing.serve(answer=answer) as server:
        return lf.tag(
            df, "text", {"intent": ["refund", "other"]}, evidence=True, model="m",
            base_url=server.url, checkpoint=False, progress=False, **options,
        )  # fmt: skip


def test_quotes_are_highlighted_in_the_text_around_them():
    found = summarise(quoted())
    assert [field.name for field in found.fields] == ["intent", "intent_evidence"]
    field = found.fields[1]
    assert (field.answered, field.missing) == (3, 1)
    assert field.note.endswith("1 quote not found in the text")
    page = found._repr_html_()
    assert page.count("<mark") == 3
    assert ">My money</mark>, please" in page
    assert ">want &lt;b&gt;my money&lt;/b&gt;</mark> word" in page
    assert "…" in page
    assert not Seen(page).odd
    assert "\n    It never came" in repr(found)


def test_quotes_of_redacted_texts_are_shown_without_the_texts():
    found = summarise(quoted(redact=lambda text: text))
    assert found.fields[1].examples
    assert "please" not in found._repr_html_()
    assert "<mark" not in found._repr_html_()


def test_quotes_whose_text_has_changed_since_are_shown_alone():
    out = quoted()
    out["text"] = "something else"
    page = summarise(out)._repr_html_()
    assert "<mark" not in page
    assert "It never came" in page
