"""Score, shares, threshold and compare by the rows that a person judged."""

import math

import numpy as np
import pandas as pd
import pytest

from llmframe.errors import PlanError
from tests.kits.judged import LABELS, frame, judge
from tests.kits.notebook_cases import Seen

TAGS = {"div", "span", "b", "table", "tr", "th", "td"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def right(df):
    return float((df["intent"].astype(str) == df["gold"]).mean())


@pytest.mark.parametrize("order", ["design", "random", "both"])
def test_a_sample_says_how_right_the_whole_frame_is(order):
    df = frame()
    judge(df, n=120, order=order)
    found = df.llm.score("intent")
    assert found.method == ("random" if order == "random" else "design")
    assert (found.reviewed, found.rows) == (120, 600)
    low, high = found.accuracy_interval
    assert low < right(df) < high
    assert 0.05 < high - low < 0.2
    assert found.effective > 120


def test_a_sample_is_weighted_by_the_rows_that_each_row_stands_for():
    df = frame()
    out = judge(df, n=100).frame()
    known = out.dropna(subset=["intent_truth"])
    weight = known["intent_weight"].to_numpy(dtype=float)
    hit = (known["intent"].astype(str) == known["intent_truth"].astype(str)).to_numpy()
    found = df.llm.score("intent")
    assert weight.sum() == pytest.approx(600)
    assert found.accuracy == pytest.approx(float(weight @ hit) / 600)
    assert found.confusion.to_numpy().sum() == pytest.approx(600)
    assert found.table["support"].sum() == pytest.approx(600)
    assert found.table["reviewed"].sum() == 100
    # the review's own column stands for the review, not for a truth in some rows
    again = out.llm.score("intent", truth="intent_truth")
    assert (again.method, again.accuracy) == ("design", found.accuracy)


@pytest.mark.parametrize("order", ["confidence", "suspects", "disagreement"])
def test_rows_in_an_order_for_mending_give_no_number(order):
    df = frame()
    other = pd.Series(df["gold"]).where(df.index % 9 != 0, "billing")
    judge(df.assign(other=other), n=40, order=order, against="other")
    found = df.llm.score("intent")
    assert found.method == "not a sample"
    assert (found.reviewed, found.coverage) == (40, 1.0)
    figures = [found.accuracy, *found.accuracy_interval, found.kappa, found.ac1, found.macro_f1]
    assert all(map(math.isnan, figures))
    assert found.table.drop(columns="reviewed").isna().all(axis=None)
    assert found.confusion.isna().all(axis=None)
    [note] = found.notes
    assert note.startswith("not a sample: the reviewed rows are those")
    shares = df.llm.shares("intent").table
    assert shares[["share", "low", "high"]].isna().all(axis=None)
    assert shares["said"].sum() == pytest.approx(1.0)
    threshold = df.llm.threshold("intent")
    assert (threshold.value, threshold.needed) == (None, 59)


def test_rows_to_learn_from_are_in_no_score():
    df = frame()
    out = judge(df, n=100, learn=0.3).frame()
    measured = int((out["intent_role"] == "measure").sum())
    assert df.llm.score("intent").reviewed == measured < 100


def test_a_review_that_was_left_early_is_a_sample_too():
    df = frame()
    judge(df, n=100, some=30)
    found = df.llm.score("intent")
    assert found.reviewed == 30
    low, high = found.accuracy_interval
    assert low < right(df) < high


def test_strata_that_were_not_reached_may_be_all_right_or_all_wrong():
    df = frame()
    judge(df, n=100, some=3)
    early = df.llm.score("intent")
    assert early.accuracy_interval[1] - early.accuracy_interval[0] > 0.5


def test_a_later_prompt_is_scored_by_the_same_truth():
    df = frame()
    judge(df, n=100)
    later = df.copy()
    later["intent"] = pd.Categorical(df["gold"], LABELS)
    later.attrs["llmframe"]["columns"]["intent"]["task"] = "u" * 16
    later.attrs["llmframe"]["columns"]["llm_status"]["task"] = "u" * 16
    found = later.llm.score("intent")
    assert (found.accuracy, found.reviewed) == (1.0, 100)
    assert found.method == "design"


def test_the_rows_that_both_takes_whole_are_in_no_later_prompts_score():
    df = frame()
    judge(df, n=100, order="both")
    assert df.llm.score("intent").reviewed == 100
    later = df.copy()
    for name in ("intent", "llm_status"):
        later.attrs["llmframe"]["columns"][name]["task"] = "u" * 16
    assert later.llm.score("intent").reviewed == 70


def test_rows_that_were_added_since_are_named():
    df = frame()
    judge(df, n=100)
    more = pd.concat([df, frame(50, seed=1)], ignore_index=True)
    more.attrs = df.attrs
    found = more.llm.score("intent")
    assert found.notes == (
        "50 rows added since the rows were drawn: the numbers are not about them",
    )


def test_some_rows_of_the_frame_are_scored_by_their_own_part_of_the_sample():
    df = frame()
    judge(df, n=150)
    part = df[df.index % 2 == 0]
    found = part.llm.score("intent")
    assert 60 < found.reviewed < 90
    assert found.rows == 300
    assert found.confusion.to_numpy().sum() == pytest.approx(300)


def test_groups_of_a_sample_have_intervals():
    df = frame(shop=["a", "b"] * 300)
    judge(df, n=120)
    groups = df.llm.score("intent", by="shop").groups
    assert groups["reviewed"].sum() == 120
    assert (groups["low"] < groups["accuracy"]).all()
    assert (groups["accuracy"] < groups["high"]).all()


@pytest.mark.parametrize("order", ["design", "random"])
def test_shares_are_corrected_by_the_sample(order):
    df = frame()
    judge(df, n=150, order=order)
    found = df.llm.shares("intent")
    assert [*found.table.columns] == ["said", "share", "low", "high", "reviewed"]
    assert [*found.table.index] == LABELS
    said = df["intent"].value_counts(normalize=True).reindex(LABELS)
    assert found.table["said"].tolist() == pytest.approx(said.tolist())
    true = df["gold"].value_counts(normalize=True).reindex(LABELS)
    assert (found.table["low"] < true).all()
    assert (true < found.table["high"]).all()
    assert found.table["reviewed"].sum() == 150


def test_shares_sum_to_all_rows():
    df = frame()
    judge(df, n=150)
    assert df.llm.shares("intent").table["share"].sum() == pytest.approx(1.0, abs=0.02)


def test_shares_are_given_for_each_group():
    df = frame(shop=["a", "b"] * 300)
    judge(df, n=150)
    table = df.llm.shares("intent", by="shop").table
    assert table.index.names == ["shop", "label"]
    assert len(table) == 6
    said = df[df["shop"] == "b"]["intent"].value_counts(normalize=True)["refund"]
    assert table.loc[("b", "refund"), "said"] == pytest.approx(said)
    assert table.loc["a", "reviewed"].sum() + table.loc["b", "reviewed"].sum() == 150


def test_shares_need_a_review():
    with pytest.raises(PlanError, match=r"judge a sample with df.llm.review\('intent'\)"):
        frame().llm.shares("intent")


def test_shares_are_shown_with_the_models_own():
    df = frame()
    judge(df, n=100)
    found = df.llm.shares("intent")
    assert repr(found).startswith("llmframe: shares of intent in 600 labelled rows, corrected by 1")
    assert "width" in repr(found)
    seen = Seen(found._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert not seen.strange
    assert "refund" in seen.text


def test_a_threshold_is_found_where_the_surest_labels_are_right():
    df = frame(3_000)
    hit = df["intent"].astype(str) == df["gold"]
    df["intent_confidence"] = np.where(hit, 0.97, 0.5) + np.linspace(0, 0.02, 3_000)
    judge(df, n=200)
    found = df.llm.threshold("intent", accuracy=0.9)
    assert 0.5 < found.value <= 0.97
    assert found.kept == pytest.approx(float((df["intent_confidence"] >= found.value).mean()))
    assert found.rows.dtype == bool
    assert found.rows.index.equals(df.index)
    assert (~found.rows).mean() == pytest.approx(found.kept)
    assert found.needed == 0
    assert "is 90 % right with 95 % certainty where its confidence is" in repr(found)


def test_without_enough_rows_there_is_no_threshold_but_what_it_needs():
    df = frame(3_000, right=0.99)
    judge(df, n=30)
    found = df.llm.threshold("intent")
    assert (found.value, found.kept) == (None, 0.0)
    assert found.rows.all()
    assert 29 <= found.needed < 2_000
    assert "more reviewed rows may show one" in repr(found)


def test_where_the_surest_labels_are_wrong_no_review_helps():
    df = frame(3_000, right=0.3)
    df["intent_confidence"] = np.linspace(0.5, 1, 3_000)
    judge(df, n=200)
    found = df.llm.threshold("intent", accuracy=0.99)
    assert (found.value, found.needed) == (None, None)
    assert "a stronger model or prompt is needed" in repr(found)


def test_rows_without_a_label_or_confidence_are_not_sure():
    df = frame(3_000, right=1.0)
    df.loc[:9, "intent_confidence"] = np.nan
    df.loc[10:19, "llm_status"] = "failed"
    judge(df, n=120)
    found = df.llm.threshold("intent", accuracy=0.9)
    assert found.value is not None
    assert found.rows.iloc[:20].all()
    assert found.kept == pytest.approx(2_980 / 2_990)


def test_a_threshold_needs_a_confidence_and_a_review():
    df = frame()
    with pytest.raises(PlanError, match="judge a sample"):
        df.llm.threshold("intent")
    with pytest.raises(
        PlanError, match="'intent' has no confidence; tag with confidence='logprob'"
    ):
        df.drop(columns="intent_confidence").llm.threshold("intent")
    with pytest.raises(PlanError, match="accuracy=95 is no share between 0 and 1"):
        df.llm.threshold("intent", accuracy=95)


def test_a_threshold_is_shown_as_a_table():
    df = frame(3_000, right=0.97)
    judge(df, n=150)
    seen = Seen(df.llm.threshold("intent", accuracy=0.9)._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert "confidence from" in seen.text


def two_prompts():
    """A frame with a second prompt's answers, a little better."""
    df = frame(2_000)
    worse, better = df["intent"].astype(str).to_numpy(), df["gold"].to_numpy()
    mended = np.random.default_rng(7).random(2_000) < 0.5
    second = np.where(mended, better, worse)
    spoilt = np.flatnonzero(worse == better)[:40]
    second[spoilt] = "billing"
    return df.assign(second=pd.Categorical(second, LABELS))


def gain(df):
    return float((df["second"].astype(str) == df["gold"]).mean()) - right(df)


@pytest.mark.parametrize("order", ["random", "design"])
def test_two_columns_are_compared_by_a_sample_that_was_drawn_for_one(order):
    df = two_prompts()
    judge(df, n=300, order=order)
    found = df.llm.compare("intent", "second")
    low, high = found.interval
    assert low < gain(df) < high
    assert math.isnan(found.p) == (order == "design")
    assert found.outcome.known < 300


def test_the_changed_rows_alone_say_more():
    df = two_prompts()
    comparison = df.llm.compare("intent", "second")
    assert math.isnan(comparison.difference)
    review = comparison.review(n=50)
    while review.row is not None:
        review.answer(df["gold"].iloc[review.row])
    found = df.llm.compare("intent", "second")
    assert found.outcome.known == 50
    low, high = found.interval
    assert low < gain(df) < high
    assert high - low < 0.1
    assert found.p < 0.05
    judged = found.changed["second_truth"]
    assert judged.notna().sum() == 50
    assert (judged.dropna().astype(str) == df.loc[judged.dropna().index, "gold"]).all()
    assert [*comparison.changed.columns] == ["text", "intent", "second"]
    assert [*found.changed.columns] == ["text", "intent", "second", "second_truth"]


def test_answers_that_were_judged_right_or_wrong_have_an_accuracy_alone():
    df = frame(300)
    df["note"] = [f"a summary of record {at}" for at in range(300)]
    review = df.llm.review("note", n=40)
    while review.row is not None:
        review.answer("wrong" if review.row % 4 == 0 else "right")
    found = df.llm.score("note")
    assert 0.5 < found.accuracy < 0.95
    assert math.isnan(found.kappa)
    assert "kappa" not in repr(found) + found._repr_html_()
    with pytest.raises(PlanError, match="have no labels whose shares"):
        df.llm.shares("note")


def test_the_column_that_frame_adds_stands_for_the_review_in_a_comparison():
    df = frame()
    df["second"] = df["gold"].astype("category")
    out = judge(df, n=60).frame()
    wanted = out.llm.compare("intent", "second")
    found = out.llm.compare("intent", "second", truth="intent_truth")
    assert (found.difference, found.interval) == (wanted.difference, wanted.interval)
    assert found.outcome.known > 0


def test_a_comparison_without_p_says_why():
    df = frame()
    df["second"] = df["gold"].astype("category")
    judge(df, n=60)
    found = df.llm.compare("intent", "second")
    assert math.isnan(found.p)
    assert "no p: the reviewed rows were drawn at different rates" in repr(found)


def test_a_frame_that_is_reviewed_whole_is_not_worth_infinitely_many_rows():
    df = frame().head(3)
    judge(df, n=10)
    found = df.llm.score("intent")
    assert found.effective == math.inf
    assert "inf" not in repr(found)
    assert "3 reviewed rows of 3" in repr(found)
    assert df.llm.threshold("intent").value is None
