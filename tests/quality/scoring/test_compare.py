"""``df.llm.compare``: where two columns differ, and which is right more often."""

import math

import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.quality.statistics.binomial import bonett_price
from tests.kits.notebook_cases import HOSTILE, Seen
from tests.kits.tagged import tagged

TAGS = {"div", "span", "b", "table", "tr", "th", "td"}


def frame(*groups, **columns):
    """A tagged frame. groups: (rows, label of v1, label of v2, truth)."""
    rows = [group[1:] for group in groups for _ in range(group[0])]
    df = pd.DataFrame({"text": [f"text {at}" for at in range(len(rows))]})
    df["gold"] = [gold for *_, gold in rows]
    labels = ["a", "b", "c"]
    v1, v2 = (pd.Categorical([row[at] for row in rows], labels) for at in range(2))
    out = tagged(df, v1=v1, v2=v2)
    out.attrs["llmframe"]["inputs"] = ["text"]
    return out


@pytest.fixture
def two():
    """100 rows: v1 alone is right in 3, v2 alone in 11, both are wrong and differ in 2."""
    return frame(
        (84, "a", "a", "a"), (3, "a", "b", "a"), (11, "a", "b", "b"), (2, "a", "b", "c")
    )  # fmt: skip


def test_the_changed_rows_stand_beside_their_text_and_truth(two):
    found = two.llm.compare("v1", "v2", truth="gold")
    assert found.rows == 100
    assert [*found.changed.columns] == ["text", "v1", "v2", "gold"]
    assert [*found.changed.index] == list(range(84, 100))
    assert type(found.changed) is pd.DataFrame


def test_the_churn_says_from_which_label_to_which(two):
    churn = two.llm.compare("v1", "v2").churn
    assert (churn.index.name, churn.columns.name) == ("v1", "v2")
    assert churn.loc["a"].tolist() == [84, 16, 0]


def test_a_truth_says_which_is_right_more_often(two):
    found = two.llm.compare("v1", "v2", truth="gold")
    assert found.difference == pytest.approx(0.08)
    assert found.interval == pytest.approx(bonett_price(3, 11, 100))
    assert found.p == pytest.approx(0.057373046875)
    back = two.llm.compare("v2", "v1", truth="gold")
    assert back.difference == pytest.approx(-0.08)


def test_only_rows_that_differ_need_a_truth(two):
    two.loc[:83, "gold"] = None
    assert two.llm.compare("v1", "v2", truth="gold").difference == pytest.approx(0.08)


def test_some_of_the_rows_that_differ_are_no_sample(two):
    two.loc[99, "gold"] = None
    found = two.llm.compare("v1", "v2", truth="gold")
    assert all(map(math.isnan, (found.difference, *found.interval, found.p)))
    assert found.notes[0].startswith("not a sample: 15 of 16 rows that differ have a truth")


def test_without_a_truth_there_is_agreement_alone(two):
    found = two.llm.compare("v1", "v2")
    assert found.agreement == pytest.approx(0.84)
    assert found.kappa == pytest.approx(0.0)
    assert found.ac1 == pytest.approx(0.827288)
    assert math.isnan(found.difference)


def test_columns_that_are_equal_differ_by_nothing():
    found = frame((5, "a", "a", "a"), (5, "b", "b", "a")).llm.compare("v1", "v2")
    assert (len(found.changed), found.agreement, found.kappa, found.alpha) == (0, 1.0, 1.0, 1.0)
    assert (found.difference, found.p) == (0.0, 1.0)


def test_rows_with_one_label_alone_are_named():
    found = frame((8, "a", "a", "a"), (1, "a", None, "a")).llm.compare("v1", "gold")
    assert found.rows == 8
    assert found.notes == ("not counted: 1 row with a label in only one of the two columns",)


def test_labels_of_another_dtype_are_the_same():
    df = pd.DataFrame({"v1": pd.Categorical([1, 2, 3]), "v2": ["1", "2", "1"]})
    assert df.llm.compare("v1", "v2").agreement == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("v1", "v3"), "b: no column 'v3'"),
        (("v0", "v2"), "a: no column 'v0'"),
        (("v1", "v2", "golden"), "truth: no column 'golden'"),
        (("v1", "text"), "b: 'text' holds no answers"),
        (("v1", "v1"), "'v1' and 'v1' are one column"),
    ],
)
def test_a_mistake_is_named(two, arguments, words):
    with pytest.raises(PlanError, match=words):
        two.llm.compare(*arguments)


def test_it_is_printed_in_words(two):
    lines = repr(two.llm.compare("v1", "v2", truth="gold")).split("\n  ")
    assert lines[0] == "llmframe: 16 of 100 rows differ in v1 and v2 (16 %)"
    assert lines[1] == (
        "v2 is right 8.0 points more often than v1 (+0.3 to +15.4), p = 0.057; of 16 rows that "
        "differ and have a truth v1 alone is right in 3, v2 alone in 11"
    )
    assert lines[-1].split() == ["a", "->", "b", "16"]


def test_it_is_shown_as_a_table(two):
    seen = Seen(two.llm.compare("v1", "v2", truth="gold")._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert not seen.strange
    for words in ("16 of 100 rows differ", "8.0 points more", "kappa", "84"):
        assert words in seen.text


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_foreign_text_cannot_leave_its_place(text):
    columns = {"said": [text, "a", "b"], "other": [text, text, "a"]}
    df = pd.DataFrame(columns, dtype=object)  # which holds any text
    found = df.llm.compare("said", "other")
    seen = Seen(found._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert not seen.strange
    assert "\x1b" not in repr(found)


def test_of_many_labels_the_most_frequent_changes_are_named():
    df = pd.DataFrame({"v1": [f"t{n:03}" for n in range(300)]})
    df["v2"] = df["v1"].to_numpy()[::-1]
    found = df.llm.compare("v1", "v2")
    assert "and 290 other changes in .churn" in repr(found)
    assert len(found._repr_html_()) < 20_000


@pytest.mark.usefixtures("folder")
def test_a_review_of_the_changes_asks_about_the_rows_that_compare_counts(two):
    two["v2"] = two["v2"].astype(str).str.upper()  # another case is the same label
    found = two.llm.compare("v1", "v2")
    r = found.review(50)
    assert (len(found.changed), r.left) == (16, 16)
    assert r.labels == ("A", "B", "c")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("names", [(1, 2), (("v1", ""), ("v2", ""))], ids=["numbers", "levels"])
def test_columns_whose_names_are_no_text_can_be_reviewed(two, names):
    two = two.rename(columns=dict(zip(("v1", "v2"), names, strict=True)))
    if names[0] != 1:
        two.columns = pd.MultiIndex.from_tuples(
            [name if isinstance(name, tuple) else (name, "") for name in two.columns]
        )
    gold = two["gold"]
    r = two.llm.compare(*names).review(20)
    while r.row is not None:
        r.answer(gold.iloc[r.row])
    found = two.llm.compare(*names)
    assert found.outcome.known == 16
    assert found.difference == pytest.approx(0.08)


@pytest.mark.usefixtures("folder")
def test_labels_that_are_numbers_in_one_column_alone_can_be_reviewed(two):
    codes = {"a": 1, "b": 2, "c": 3}
    for name in ("v1", "v2"):
        two[name] = two[name].cat.rename_categories(codes)
    two["v2"] = two["v2"].astype("Int64")  # as a parquet file keeps it
    assert two.llm.compare("v1", "v2").review(5).labels == (1, 2, 3)
