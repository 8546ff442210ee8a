"""The rows whose answer most likely is wrong, with the reason."""

import numpy as np
import pandas as pd
import pytest

from llmframe.errors import PlanError
from tests.kits.tagged import tagged


def frame(texts, said, **columns):
    df = tagged(pd.DataFrame({"text": texts}), intent=said).assign(**columns)
    df.attrs["llmframe"]["inputs"] = ["text"]
    return df


def plain(rows):
    """So many texts that have nothing in common."""
    return [f"{chr(97 + n % 26)}{chr(97 + n // 26)}one only here" for n in range(rows)]


def reasons(df):
    return df.llm.suspects("intent").set_index("position")["reason"].to_dict()


def test_nearly_equal_texts_with_different_labels_are_named():
    texts = [
        "Where is my parcel? Order 1234, sent on Monday",
        "Where is my parcel? Order 9876, sent on Monday!",
        "where is my PARCEL, order 55, sent on monday",
        "I want my money back at once, please",
    ]
    found = reasons(frame(texts, ["delivery", "delivery", "refund", "refund"]))
    assert found[2] == "2 nearly equal texts have the label 'delivery'"
    assert found[0] == "1 nearly equal text has the label 'refund'"
    assert 3 not in found


def test_the_one_that_stands_alone_is_the_most_suspect():
    texts = [f"please cancel my order number {n} today" for n in range(6)]
    table = frame(texts, ["refund"] * 5 + ["praise"]).llm.suspects("intent")
    assert [*table.columns] == ["position", "reason", "score"]
    assert table["position"].iloc[0] == 5
    assert table["score"].is_monotonic_decreasing
    assert table["score"].between(0, 1).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("我上周买的鞋子还没有到，请尽快退款", "我上周买的鞋子还没有到！请尽快退款。"),
        ("لم يصل طلبي منذ أسبوعين", "لم يصل طلبي منذ أسبوعين!!"),
        ("ＷＨＥＲＥ is my parcel", "where is my parcel"),
    ],
)
def test_texts_of_every_script_are_compared(one, other):
    assert len(reasons(frame([one, other], ["delivery", "refund"]))) == 2


def test_short_texts_mean_many_things():
    assert reasons(frame(["ok thanks", "ok thanks"], ["praise", "other"])) == {}


def test_little_confidence_and_agreement_are_named():
    sure = [0.99, 0.41, np.nan]
    df = frame(plain(3), ["a", "b", "a"], intent_confidence=sure, intent_agreement=[1.0, 0.5, 1.0])
    assert reasons(df) == {1: "confidence 0.41; votes agree 0.50"}


def test_a_rare_label_is_named():
    found = reasons(frame(plain(500), ["a"] * 250 + ["b"] * 248 + ["c"] * 2))
    assert found == dict.fromkeys((498, 499), "rare label: 'c' in 2 of 500 rows")


def test_where_most_labels_are_rare_being_rare_says_nothing():
    assert reasons(frame(plain(300), [f"t{n // 2}" for n in range(300)])) == {}


def test_an_answer_without_its_quote_is_named():
    df = frame(plain(3), ["a", "b", None], intent_evidence=["a quote", None, None])
    assert reasons(df) == {1: "no evidence in the text"}


def test_several_reasons_raise_the_score():
    sure = [0.5, 0.5, 0.9]
    df = frame(plain(3), ["a"] * 3, intent_confidence=sure, intent_evidence=[None, "q", "q"])
    table = df.llm.suspects("intent")
    assert table["position"].tolist() == [0, 1]
    assert table["reason"].iloc[0] == "no evidence in the text; confidence 0.50"


def test_nothing_suspect_is_an_empty_table():
    table = frame(plain(3), ["a", "b", "a"]).llm.suspects("intent")
    assert table.empty
    assert table.dtypes.astype(str).tolist() == ["int64", "object", "float64"]


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(PlanError, match="no column 'intention'"):
        frame(plain(3), ["a", "b", "a"]).llm.suspects("intention")
