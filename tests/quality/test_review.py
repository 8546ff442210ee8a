"""A review from the first row to the columns that it leaves, driven from code."""

import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.quality.stored_reviews import find_reviewed
from tests.kits.reviews import judge, tagged

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def df():
    return tagged()


def lines(folder):
    [file] = (folder / "reviews").glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


# -- the way through a review --------------------------------------------------------------------


def test_a_review_shows_rows_until_all_are_judged(df, folder):
    r = df.llm.review("intent", n=20)
    assert (r.done, r.left) == (0, 20)
    shown = judge(r, df)
    assert len(set(shown)) == 20
    assert (r.row, r.done, r.left) == (None, 20, 0)
    header, *keys = lines(folder)
    assert header["order"] == "design"
    assert sum(one["size"] for one in header["strata"]) == header["population"] == 300
    assert len(keys) == 20
    assert set(keys[0]) >= {
        "key", "stratum", "turn", "said", "first", "truth", "when", "seconds", "blind", "role",
    }  # fmt: skip
    assert "record" not in json.dumps(keys)  # never a text
    with pytest.raises(PlanError, match="undo"):
        r.answer("refund")


def test_undo_goes_back_as_far_as_the_first_row_in_another_process_too(df):
    r = df.llm.review("intent", n=20)
    shown = judge(r, df, 5)
    again = df.llm.review("intent", n=20)
    for row in reversed(shown):
        again.undo()
        assert again.row == row
    assert again.done == 0
    again.undo()  # nothing is left to take back
    assert again.row == shown[0]
    again.answer("other")
    assert again.frame()["intent_truth"].iloc[shown[0]] == "other"


def test_a_row_that_is_put_last_comes_again_and_stays_undecided_the_second_time(df):
    r = df.llm.review("intent", n=20)
    first = r.row
    r.skip()
    assert r.row != first
    shown = judge(r, df, 19)
    assert first not in shown
    assert r.row == first
    r.skip()
    assert (r.row, r.done, r.left) == (None, 19, 0)
    assert "1 row stayed undecided after being put last twice." in repr(r)
    assert find_reviewed(df, "intent").undecided == 1
    r.undo()
    assert r.row == first


def test_what_is_no_label_is_refused_and_another_spelling_is_taken(df):
    r = df.llm.review("intent", n=20)
    with pytest.raises(PlanError, match=r"'refnd' is no label of 'intent': .*'refund'"):
        r.answer("refnd")
    row = r.row
    r.answer(" REFUND ")
    assert r.frame()["intent_truth"].iloc[row] == "refund"


# -- the same rows every time --------------------------------------------------------------------


def test_the_same_rows_come_after_a_sort_a_restart_and_a_larger_n(df, monkeypatch, tmp_path):
    r = df.llm.review("intent", n=50)
    first = judge(r, df, 30)
    sorted_ = df.sort_values("text")
    later = sorted_.llm.review("intent", n=100)
    assert later.done == 30
    rest = [sorted_.index[at] for at in judge(later, sorted_)]
    assert len({*first, *rest}) == 100
    monkeypatch.chdir(tmp_path / "..")  # nothing is recorded there
    monkeypatch.chdir(_new(tmp_path / "elsewhere"))
    fresh = df.llm.review("intent", n=50)
    assert judge(fresh, df) == [*first, *rest][:50]


def _new(folder):
    folder.mkdir()
    return folder


def test_a_score_finds_the_review_after_the_working_directory_has_changed(
    df, monkeypatch, tmp_path
):
    judge(df.llm.review("intent", n=20), df)
    before = df.llm.score("intent")
    monkeypatch.chdir(_new(tmp_path / "elsewhere"))
    after = df.llm.score("intent")
    assert (after.accuracy, after.reviewed) == (before.accuracy, 20)
    assert df.llm.review("intent", n=20).done == 0  # a new review is begun where one is now
    judge(df.llm.review("intent", n=30, seed=1), df)
    assert df.llm.score("intent").reviewed == 30  # here comes first


def test_another_seed_draws_other_rows(df, monkeypatch, tmp_path):
    one = judge(df.llm.review("intent", n=30), df)
    monkeypatch.chdir(_new(tmp_path / "elsewhere"))
    other = judge(df.llm.review("intent", n=30, seed=1), df)
    assert len({*one} & {*other}) < 15


def test_rows_added_since_the_draw_are_counted_and_not_drawn(df):
    judge(df.llm.review("intent", n=20), df)
    more = pd.concat([df, tagged(40, seed=9).assign(text=lambda d: d["text"] + " new")])
    more.attrs = df.attrs
    found = find_reviewed(more, "intent")
    assert (found.added, len(found.measured)) == (40, 20)


# -- what the statistics are given ---------------------------------------------------------------


def test_weights_sum_to_the_population_whenever_a_person_stops(df):
    r = df.llm.review("intent", n=100)
    for stop in (30, 61, 100):
        judge(r, df, stop - r.done)
        found = find_reviewed(df, "intent")
        assert found.method == "design"
        assert sum(one.weight for one in found.measured) == pytest.approx(300)
        assert {one.stratum for one in found.judgements} == set(range(len(found.strata)))
        assert [part.size for part in found.strata] == np.bincount(found.stratum_of).tolist()


def test_of_a_part_of_the_frame_the_rows_of_that_part_alone_are_weighted(df):
    judge(df.llm.review("intent", n=100), df)
    part = df[df.index % 2 == 0]
    found = find_reviewed(part, "intent")
    assert sum(one.weight for one in found.measured) == pytest.approx(150)
    assert part.llm.review("intent", n=60).left < 40  # a draw of its own, partly judged already


def test_a_random_sample_has_one_stratum_and_equal_weights(df):
    judge(df.llm.review("intent", n=60, order="random"), df)
    found = find_reviewed(df, "intent")
    assert (found.method, len(found.strata)) == ("random", 1)
    assert {one.weight for one in found.judgements} == {5.0}


def test_both_judges_all_of_the_least_sure_rows_and_a_sample_of_the_others(df):
    judge(df.llm.review("intent", n=50, order="both"), df)
    found = find_reviewed(df, "intent")
    least = set(np.argsort(df["intent_confidence"].to_numpy(), kind="stable")[:15].tolist())
    learnt = {one.position for one in found.judgements if one.role == "learn"}
    assert learnt == least
    assert {one.weight for one in found.judgements if one.role == "learn"} == {1.0}
    assert {one.weight for one in found.measured} == {285 / 35}
    assert [part.complete for part in found.strata] == [False, True]


@pytest.mark.parametrize("order", ["confidence", "suspects", "disagreement"])
def test_an_order_for_mending_is_no_sample_and_only_learns(df, order):
    df["other_model"] = pd.Categorical(df["truth"])
    judge(df.llm.review("intent", n=20, order=order, against="other_model"), df)
    found = find_reviewed(df, "intent")
    assert (found.method, found.measured) == ("not a sample", ())
    assert {one.role for one in found.judgements} == {"learn"}
    assert all(math.isnan(one.weight) for one in found.judgements)
    r = df.llm.review("intent", n=20, order=order, against="other_model")
    assert r.precision is None


def test_confidence_shows_the_least_sure_rows_first(df):
    shown = judge(df.llm.review("intent", n=20, order="confidence"), df)
    sure = df["intent_confidence"].to_numpy()
    assert shown == np.argsort(sure, kind="stable")[:20].tolist()


def test_changed_rows_are_a_sample_of_those_that_differ(df):
    df["intent_v2"] = pd.Categorical(df["truth"], categories=df["intent"].cat.categories)
    r = df.llm.review("intent", n=10, order="changed", against="intent_v2")
    judge(r, df)
    assert "Next: df.llm.compare('intent_v2', 'intent')" in repr(r)
    found = find_reviewed(df, "intent", order="changed", against="intent_v2")
    differ = (df["intent"].astype(str) != df["truth"]).sum()
    assert sum(one.weight for one in found.measured) == pytest.approx(differ)
    assert all(one.said != one.truth for one in found.judgements)
    assert found.method == "not a sample"


def test_labels_that_only_the_other_column_has_can_be_chosen(df):
    df["intent_v2"] = df["intent"].astype(str).replace("other", "praise")
    r = df.llm.review("intent", n=10, order="changed", against="intent_v2")
    assert r.labels == ("refund", "delivery", "billing", "other", "praise")
    r.answer("praise")
    assert r.done == 1


def test_rows_to_learn_from_never_measure_nor_the_other_way_round(df):
    judge(df.llm.review("intent", n=60, learn=0.25), df)
    found = find_reviewed(df, "intent")
    assert Counter(one.role for one in found.judgements) == {"measure": 45, "learn": 15}
    assert sum(one.weight for one in found.measured) == pytest.approx(300)
    mended = {*judge(df.llm.review("intent", n=40, order="confidence"), df)}
    assert not mended & {one.position for one in found.judgements}
    judge(df.llm.review("intent", n=150, learn=0.25), df)
    now = find_reviewed(df, "intent")
    assert not mended & {one.position for one in now.measured}


def test_stopping_early_says_how_precise_it_is_and_nothing_else(df):
    r = df.llm.review("intent", n=100)
    assert r.precision is None
    judge(r, df, 30)
    early = r.precision
    assert "right" not in repr(r)
    judge(r, df)
    assert 0.03 < r.precision < early < 0.3
    score = df.llm.score("intent")
    low, high = score.accuracy_interval
    assert (high - low) / 2 == pytest.approx(r.precision)
    assert f"{100 * score.accuracy:.0f} % of the answers are right ({100 * low:.0f} to" in repr(r)


# -- the frame -----------------------------------------------------------------------------------


def test_the_frame_has_the_final_label_the_truth_the_weight_and_the_role(df):
    r = df.llm.review("intent", n=50)
    row = r.row
    r.answer("other")
    out = r.frame()
    assert [*out.columns[-4:]] == [
        "intent_final", "intent_truth", "intent_weight", "intent_role",
    ]  # fmt: skip
    assert out["intent_final"].dtype == df["intent"].dtype
    assert str(out["intent_weight"].dtype) == "Float64"
    assert out["intent_final"].iloc[row] == out["intent_truth"].iloc[row] == "other"
    assert out["intent_truth"].notna().sum() == 1
    rest = out.drop(out.index[row])
    assert (rest["intent_final"] == rest["intent"]).all()
    assert (out["intent_role"] == "measure").sum() == 50  # fixed at the draw
    assert "intent_truth" not in df
    judge(r, df)
    assert r.frame()["intent_weight"].sum() == pytest.approx(300)


@pytest.mark.parametrize("index", [[0] * 300, [*"ab"] * 150])
def test_an_index_with_equal_labels_is_no_trouble(df, index):
    df.index = pd.Index(index)
    r = df.llm.review("intent", n=20)
    shown = judge(r, df)
    out = r.frame()
    assert np.flatnonzero(out["intent_truth"].notna()).tolist() == sorted(shown)


def test_columns_with_levels_and_names_that_no_file_can_have_are_reviewed(df):
    df = df.rename(columns={"intent": "意图/a b:*?" * 20})
    df.columns = pd.MultiIndex.from_tuples([(name, "") for name in df.columns])
    field = df.columns[2][0]
    r = df.llm.review(field, n=np.int64(10), seed=np.int64(3))
    row = r.row
    r.answer("other")
    assert r.frame()[(f"{field}_truth", "")].iloc[row] == "other"
    assert len(find_reviewed(df, field).measured) == 1


def test_rows_without_a_label_are_not_drawn():
    df = tagged(100)
    df.loc[10:, "intent"] = None
    df.loc[5:, "llm_status"] = "failed"
    r = df.llm.review("intent", n=50)
    assert {*judge(r, df)} == {*range(5)}
    assert len(find_reviewed(df, "intent").measured) == 5


# -- fields that are no closed choice ------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [
        [f"a long summary {at}" for at in range(300)],
        [[f"topic {at % 3}"] for at in range(300)],
        pd.array([at % 7 for at in range(300)], dtype="Int64"),
        [{"city": "Bonn"}] * 300,
    ],
)
def test_of_other_answers_a_person_says_whether_they_are_right(df, cells):
    df["intent"] = cells
    r = df.llm.review("intent", n=10)
    assert r.labels == ("right", "wrong")
    right, wrong = r.row, None
    r.answer("right")
    wrong = r.row
    r.answer("wrong")
    out = r.frame()
    assert pd.isna(out["intent_final"].iloc[[wrong]]).all()
    assert not pd.isna(out["intent_final"].iloc[[right]]).any()
    found = find_reviewed(df, "intent")
    assert found.is_verdict
    assert [(one.said, one.truth) for one in found.measured] == [
        ("right", "right"), ("right", "wrong"),
    ]  # fmt: skip
    with pytest.raises(PlanError, match="no closed choice"):
        df.llm.review("intent", n=10, blind=True)


def test_another_answer_to_a_judged_text_is_judged_anew(df):
    df["intent"] = [f"summary {at}" for at in range(300)]
    judged = df.llm.review("intent", n=10)
    while judged.row is not None:
        judged.answer("right")
    df["intent"] = [f"better summary {at}" for at in range(300)]
    assert df.llm.review("intent", n=10).left == 10


def test_yes_or_no_is_a_closed_choice(df):
    df["intent"] = pd.array([True, False] * 150, dtype="boolean")
    r = df.llm.review("intent", n=10)
    assert r.labels == (True, False)
    row = r.row
    r.answer(False)
    out = r.frame()
    assert str(out["intent_truth"].dtype) == "boolean"
    assert not out["intent_truth"].iloc[row]


# -- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "rndom"}, "none of 'design'"),
        ({"n": 0}, "n=0"),
        ({"n": True}, "n=True"),
        ({"learn": 1.0}, "share"),
        ({"twice": 2}, "share"),
        ({"blind": "yes"}, "blind"),
        ({"order": "changed"}, "against"),
        ({"order": "changed", "against": "intent_v3"}, "no column 'intent_v3'"),
        ({"order": "disagreement"}, "no column 'intent_agreement'"),
        ({"highlight": "quotes"}, "highlight: no column 'quotes'"),
        ({"keys": {"refund": "u"}}, "u, n and h"),
        ({"keys": {"refnd": "r"}}, "no label"),
        ({"keys": {"refund": "r", "other": "r"}}, "two labels"),
        ({"keys": "rd"}, "2 keys for 4 labels"),
        ({"keys": 3}, "keys=3"),
        ({"who": " "}, "no name"),
        ({"twice": "half"}, "twice='half' is a share"),
        ({"learn": "half"}, "learn='half' is a share"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(df, folder, options, words):
    with pytest.raises(PlanError, match=words):
        df.llm.review("intent", **options)
    assert not folder.exists()


def test_without_a_confidence_there_is_no_order_by_it(df):
    for order in ("confidence", "both", "disagreement"):
        with pytest.raises(PlanError, match="votes=3"):
            df.drop(columns="intent_confidence").llm.review("intent", order=order)


def test_where_all_votes_agree_that_is_said(df):
    df = df.rename(columns={"intent_confidence": "intent_agreement"}).assign(intent_agreement=1.0)
    with pytest.raises(PlanError, match="all votes agree"):
        df.llm.review("intent", order="disagreement")


def test_a_frame_without_labels_is_not_reviewed():
    df = pd.DataFrame({"text": ["a"], "intent": [None]})
    with pytest.raises(PlanError, match="tag the frame first"):
        df.llm.review("intent")
    with pytest.raises(PlanError, match="did you mean 'intent'"):
        df.llm.review("intnet")


def test_where_nobody_can_be_asked_waiting_names_truth(df):
    with pytest.raises(PlanError, match='truth="gold"'):
        df.llm.review("intent", n=10).wait()
