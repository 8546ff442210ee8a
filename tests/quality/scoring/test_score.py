"""``df.llm.score`` against a column of truth."""

import math

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.quality.statistics.binomial import wilson
from tests.kits import reference_metrics as reference
from tests.kits.notebook_cases import HOSTILE, Seen
from tests.kits.tagged import tagged

LABELS = ["refund", "delivery", "billing"]
TAGS = {"div", "span", "b", "table", "tr", "th", "td"}


def frame(pairs, **columns):
    """A tagged frame with a truth. pairs: (said, truth) of each row."""
    df = pd.DataFrame({"gold": [truth for _, truth in pairs], **columns})
    return tagged(df, intent=pd.Categorical([said for said, _ in pairs], LABELS))


def right_of(right, n, **columns):
    pairs = [("refund", "refund")] * right + [("refund", "billing")] * (n - right)
    return frame(pairs, **columns)


def test_the_accuracy_has_an_interval():
    found = right_of(85, 100).llm.score("intent", truth="gold")
    assert found.accuracy == pytest.approx(0.85)
    assert found.accuracy_interval == pytest.approx((0.7671644041, 0.9069401472), abs=1e-9)
    assert (found.reviewed, found.effective, found.method) == (100, 100.0, "whole frame")
    narrow = right_of(85, 100).llm.score("intent", truth="gold", level=0.8)
    assert narrow.accuracy_interval == pytest.approx(wilson(0.85, 100, level=0.8))


def test_every_figure_is_that_of_the_definitions():
    for seed in range(30):
        case = reference.random_case(seed)._replace(weights=[])
        case = case._replace(weights=[1.0] * len(case.truth))
        df = pd.DataFrame({"said": case.said, "gold": case.truth})
        if not {*case.said} & {*case.truth}:
            continue
        found = df.llm.score("said", truth="gold")
        summary = (found.accuracy, found.macro_f1, found.weighted_f1)
        assert summary == pytest.approx(reference.means(case), abs=1e-12)
        assert found.kappa == pytest.approx(reference.kappa(case), abs=1e-12, nan_ok=True)
        for label, wanted in enumerate(reference.by_label(case)):
            if label in found.table.index:
                row = found.table.loc[label, [*wanted]].tolist()
                assert row == pytest.approx([*wanted.values()], abs=1e-12, nan_ok=True)


def test_precision_and_recall_have_wilsons_interval():
    pairs = [("refund", "refund")] * 8 + [("refund", "billing")] * 2 + [("billing", "refund")]
    row = frame(pairs).llm.score("intent", truth="gold").table.loc["refund"]
    assert (row["precision_low"], row["precision_high"]) == pytest.approx(wilson(0.8, 10))
    assert (row["recall_low"], row["recall_high"]) == pytest.approx(wilson(8 / 9, 9))
    assert row["f1_low"] < row["f1"] < row["f1_high"]


def test_the_confusion_counts_rows_by_truth_and_label():
    pairs = [("refund", "refund"), ("refund", "billing"), ("delivery", "billing")]
    found = frame(pairs).llm.score("intent", truth="gold").confusion
    assert (found.index.name, found.columns.name) == ("truth", "said")
    assert [*found.index] == [*found.columns] == LABELS
    assert found.loc["billing"].tolist() == [1, 1, 0]
    assert found.dtypes.unique().tolist() == [np.dtype("int64")]


def test_rows_without_a_label_are_not_counted_but_covered():
    df = frame([("refund", "refund")] * 8 + [(None, "refund")] * 2)
    found = df.llm.score("intent", truth="gold")
    assert (found.accuracy, found.reviewed, found.coverage) == (1.0, 8, 0.8)


def test_a_label_in_a_row_that_is_not_ok_is_no_answer():
    df = frame([("refund", "refund")] * 4)
    df["llm_status"] = pd.Categorical(["ok", "ok", "failed", "pending"])
    assert df.llm.score("intent", truth="gold").coverage == 0.5


def test_the_status_of_another_call_says_nothing_about_the_labels():
    df = frame([("refund", "refund")] * 4)
    df["llm_status"] = "failed"
    df.attrs["llmframe"]["columns"]["llm_status"]["task"] = "another"
    assert df.llm.score("intent", truth="gold").coverage == 1.0


def test_rows_with_some_truth_are_no_sample():
    df = frame([("refund", "refund")] * 5 + [("refund", None)] * 5)
    found = df.llm.score("intent", truth="gold")
    assert found.method == "not a sample"
    figures = [found.accuracy, *found.accuracy_interval, found.kappa, found.ac1, found.macro_f1]
    figures += [found.weighted_f1, found.effective]
    assert all(map(math.isnan, figures))
    assert found.table[["precision", "recall", "f1"]].isna().all(axis=None)
    assert found.coverage == 1.0
    [note] = found.notes
    assert note.startswith("not a sample: 5 of 10 rows have a truth in 'gold'")
    assert "df[df['gold'].notna()].llm.score('intent', truth='gold')" in note
    assert df[df["gold"].notna()].llm.score("intent", truth="gold").accuracy == 1.0


def test_rows_that_are_examples_of_the_prompt_are_not_missing_from_the_coverage():
    df = pd.DataFrame({"text": [f"{n} wants a refund" for n in range(30)], "gold": "refund"})
    shown = [(text, {"intent": "delivery"}) for text in df["text"].head(5)]
    with testing.serve(answer=lambda *_: {"intent": "refund"}) as server:
        call = {"model": "m", "base_url": server.url, "checkpoint": False, "progress": False}
        out = df.llm.tag("text", {"intent": ["refund", "delivery"]}, examples=shown, **call)
    found = out.llm.score("intent", truth="gold", by="gold")
    assert (found.accuracy, found.reviewed, found.coverage) == (1.0, 25, 1.0)
    assert found.groups.loc["refund", "coverage"] == 1.0


def test_each_group_has_its_accuracy_and_interval():
    df = right_of(6, 8, lang=["en", "zh"] * 4)
    found = df.llm.score("intent", truth="gold", by="lang").groups
    assert found.index.name == "lang"
    assert found["accuracy"].tolist() == [0.75, 0.75]
    assert found.loc["zh", ["low", "high"]].tolist() == pytest.approx(wilson(0.75, 4))
    assert found["reviewed"].tolist() == found["rows"].tolist() == [4, 4]


def test_rows_without_a_group_are_a_group():
    df = right_of(3, 4, lang=["en", None, "en", None])
    assert df.llm.score("intent", truth="gold", by="lang").groups["rows"].tolist() == [2, 2]


def test_a_group_without_a_label_is_unknown():
    df = frame([("refund", "refund"), (None, "refund")], lang=["en", "zh"])
    found = df.llm.score("intent", truth="gold", by="lang").groups
    assert found.loc["zh", "coverage"] == 0
    assert math.isnan(found.loc["zh", "accuracy"])


def test_confidence_is_compared_with_what_is_right():
    df = right_of(60, 100, intent_confidence=[0.95] * 50 + [0.55] * 50)
    found = df.llm.score("intent", truth="gold")
    assert [*found.reliability.index] == ["0.5 to 0.6", "0.9 to 1.0"]
    assert found.reliability["accuracy"].tolist() == [0.2, 1.0]
    assert found.ece == pytest.approx((0.35 + 0.05) / 2)
    assert right_of(6, 10).llm.score("intent", truth="gold").reliability is None


def test_a_truth_that_the_model_never_gives_counts_as_wrong_and_is_named():
    df = frame([("refund", "refund")] * 3 + [("refund", "praise")])
    found = df.llm.score("intent", truth="gold")
    assert found.accuracy == 0.75
    assert [*found.table.index] == [*LABELS, "praise"]
    assert found.notes == (
        "in 1 row 'gold' has a label that 'intent' never has, which counts as wrong: 'praise'",
    )


def test_one_row_and_one_label_are_enough():
    found = frame([("refund", "refund")]).llm.score("intent", truth="gold")
    assert found.accuracy_interval == pytest.approx(wilson(1.0, 1))
    assert math.isnan(found.kappa)


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7, 7, 7]),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", "n"]),
        pd.date_range("2026-01-01", periods=4),
    ],
)
def test_any_index_will_do(index):
    df = frame([("refund", "refund")] * 3 + [("refund", "billing")], lang=[*"xyxy"])
    found = df.set_axis(index).llm.score("intent", truth="gold", by="lang")
    assert found.accuracy == 0.75
    assert found.groups["accuracy"].tolist() == [1.0, 0.5]


def test_columns_may_have_levels():
    df = pd.DataFrame({("intent", ""): ["a", "b"], ("gold", "x"): ["a", "a"]})
    assert df.llm.score("intent", truth=("gold", "x")).accuracy == 0.5


def test_a_frame_that_lost_its_attrs_is_scored():
    df = right_of(3, 4)
    df.attrs = {}
    assert df.llm.score("intent", truth="gold").accuracy == 0.75


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("intention", "gold"), "field: no column 'intention'; did you mean 'intent'?"),
        (("intent", "golden"), "truth: no column 'golden'; did you mean 'gold'?"),
        (("intent", "gold", "language"), "by: no column 'language'"),
        (("intent", "intent"), "the field itself"),
        (("text", "gold"), "field: 'text' holds no answers of a model; answers are in 'intent'"),
        (("llm_status", "gold"), "'llm_status' holds no answers"),
        (("intent", "none"), r"no row has both a label in 'intent' \(4 have one\) and a truth in"),
        (("intent", "tail"), "no label in common: 'refund', 'delivery', 'billing' against 'x'"),
        ((["intent"], "gold"), "field: a list names no column; give a column's name"),
        (("intent", pd.Series(["refund"] * 4, name="gold")), "a Series names no column; give its"),
        (("intent",), r"nothing says what is right for 'intent'.*df.llm.review\('intent'\)"),
    ],
)
def test_a_mistake_is_named_with_its_cure(arguments, words):
    df = right_of(3, 4, text=[*"abcd"], none=[None] * 4, tail=["x"] * 4)
    df.attrs["llmframe"]["inputs"] = ["text"]
    with pytest.raises(PlanError, match=words):
        df.llm.score(*arguments)


@pytest.mark.parametrize(
    ("level", "words"), [(95, "write 95 % as 0.95"), ("a", "no share"), (0, "no share")]
)
def test_a_level_that_is_no_share_is_refused(level, words):
    with pytest.raises(PlanError, match=words):
        right_of(3, 4).llm.score("intent", truth="gold", level=level)


def test_an_empty_frame_has_no_score():
    with pytest.raises(PlanError, match="the frame has no rows"):
        right_of(3, 4).head(0).llm.score("intent", truth="gold")


def test_it_is_printed_in_words():
    lines = repr(right_of(85, 100).llm.score("intent", truth="gold")).split("\n  ")
    assert lines[0] == "llmframe: intent is 85 % right (77 to 91 %, 95 % interval)"
    assert lines[1] == "100 rows: every labelled row has a truth"
    assert lines[2] == "coverage 100 % of all rows"
    assert any(line.split()[:2] == ["refund", "85"] for line in lines)


def test_it_is_shown_as_pictures():
    df = right_of(6, 8, lang=["en", "zh"] * 4, intent_confidence=[0.9] * 8)
    seen = Seen(df.llm.score("intent", truth="gold", by="lang")._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert not seen.strange
    for words in ("75 % of intent is right", "kappa", "precision", "truth", "right by lang", "zh"):
        assert words in seen.text


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_foreign_text_cannot_leave_its_place(text):
    columns = {"said": [text, "a", "b"], "gold": [text, "a", text], "by": [text, "x", "y"]}
    df = pd.DataFrame(columns, dtype=object)  # which holds any text
    found = df.llm.score("said", truth="gold", by="by")
    seen = Seen(found._repr_html_())
    assert set(seen.tags) <= TAGS
    assert not seen.odd
    assert not seen.strange
    assert "\x1b" not in repr(found)


def test_of_many_labels_the_most_frequent_are_shown():
    df = pd.DataFrame({"topic": [f"t{n:03}" for n in range(300)], "gold": ["t000"] * 300})
    found = df.llm.score("topic", truth="gold")
    assert "and 280 more in .table" in repr(found)
    assert len(found._repr_html_()) < 60_000


def test_it_is_the_same_by_the_function():
    assert lf.llm(right_of(3, 4)).score("intent", truth="gold").accuracy == 0.75
