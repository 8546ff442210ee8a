"""Truth belongs to the text, whoever judged it and under whichever prompt."""

from collections import Counter

import pandas as pd
import pytest

from llmframe.errors import PlanError
from llmframe.quality.stored_reviews import find_reviewed
from tests.kits.reviews import judge, tagged

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def df():
    return tagged()


def test_one_review_counts_for_every_later_prompt(df):
    shown = judge(df.llm.review("intent", n=40), df)
    later = tagged(accuracy=0.95, seed=0, task="b2" * 16)
    found = find_reviewed(later.sort_values("text"), "intent")
    assert len(found.measured) == 40
    assert found.stratum_of is None
    assert all(later["truth"].iloc[at] for at in shown)
    fresh = later.llm.review("intent", n=40)  # mostly the same rows, which are not asked again
    assert fresh.left < 25


def test_a_frame_whose_attrs_are_lost_finds_its_review(df, tmp_path):
    judge(df.llm.review("intent", n=20), df)
    df.to_csv(tmp_path / "tagged.csv", index=False)
    read = pd.read_csv(tmp_path / "tagged.csv").assign(note="mine")
    assert len(find_reviewed(read, "intent").measured) == 20


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("labels", [(1, 2, 3), ("1", "2", "3")], ids=["numbers", "digits"])
def test_labels_that_a_file_keeps_as_numbers_find_their_review(labels, kind, tmp_path):
    df = tagged(labels=labels)
    judge(df.llm.review("intent", n=20), df)
    out, path = df.llm.review("intent", n=20).frame(), tmp_path / f"tagged.{kind}"
    getattr(out.llm, f"to_{kind}")(path)
    read = getattr(pd, f"read_{kind}")(path)
    assert read.llm.score("intent").accuracy == df.llm.score("intent").accuracy
    again = read.llm.review("intent", n=20)
    assert (again.done, again.labels) == (20, labels)
    for name in ("intent_truth", "intent_final"):
        assert again.frame()[name].astype(str).equals(out[name].astype(str))


def test_the_same_field_under_a_prefix_is_the_same_question(df):
    judge(df.llm.review("intent", n=20), df)
    other = tagged(task="b2" * 16, prefix="v2_")
    assert len(find_reviewed(other, "v2_intent").measured) == 20


def test_one_prompt_under_two_prefixes_is_one_question_and_each_has_its_status(df):
    judge(df.llm.review("intent", n=20), df)
    other = tagged(prefix="v2_")
    both = pd.concat([df.assign(llm_status="failed"), other.filter(like="v2_")], axis=1)
    columns = [one.attrs["llmframe"]["columns"] for one in (df, other)]
    both.attrs = {"llmframe": {**df.attrs["llmframe"], "columns": {**columns[0], **columns[1]}}}
    assert len(find_reviewed(both, "v2_intent").measured) == 20
    assert both.llm.score("v2_intent").coverage == 1


def test_a_text_that_occurs_again_is_not_shown_again_and_has_the_same_label():
    df = tagged(120)
    df["text"] = [f"text {at % 40}" for at in range(120)]
    df["truth"] = [["refund", "delivery"][at % 40 % 2] for at in range(120)]
    r = df.llm.review("intent", n=60)
    shown = judge(r, df)
    assert len(shown) < 41
    assert r.done == 60
    out = r.frame()
    copied = df["text"].isin(df["text"].iloc[shown])
    assert (out["intent_truth"].notna() == copied).all()
    assert (out["intent_truth"][copied].astype(str) == df["truth"][copied]).all()
    found = find_reviewed(df, "intent")
    assert len(found.judgements) == 60
    assert sum(one.weight for one in found.measured) == pytest.approx(120)
    assert out["intent_weight"].notna().sum() == 60


def test_a_reviewed_row_that_has_no_answer_any_more_is_not_wrong(df):
    shown = judge(df.llm.review("intent", n=40, order="random"), df)
    later = df.copy()
    later.loc[later.index[shown[:8]], "llm_status"] = "failed"
    accuracy = later.llm.score("intent").accuracy
    again = later.llm.review("intent", n=40, order="random")
    assert f"{100 * accuracy:.0f} % of the answers are right" in repr(again)


# -- several people ------------------------------------------------------------------------------


def test_two_people_at_once_share_the_rows(df):
    ann = df.llm.review("intent", n=40, who="Ann")
    shown = [*judge(ann, df, 1)]
    bo = df.llm.review("intent", n=40, who="Bo")
    while ann.row is not None or bo.row is not None:
        for person in (ann, bo):
            if person.row is not None:
                shown += judge(person, df, 1)
    assert len({*shown}) == 40
    assert len(shown) <= 42  # one row each may be on both screens
    assert {one.who for one in find_reviewed(df, "intent").judgements} == {"Ann", "Bo"}


def test_twice_asks_again_and_only_first_answers_measure(df):
    r = df.llm.review("intent", n=40, twice=0.5)
    shown = judge(r, df)
    repeated = [row for row, times in Counter(shown).items() if times == 2]
    assert 10 <= len(repeated) <= 30
    assert shown[:40] == [*dict.fromkeys(shown)]  # repeats come last
    found = find_reviewed(df, "intent")
    assert len(found.measured) == 40
    assert sum(not one.first for one in found.judgements) == len(repeated)
    words = f"{len(repeated)} rows were judged twice, by the same person: {len(repeated)} alike"
    assert f"{words} (alpha 1.00, AC1 1.00)" in repr(r)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_repeats_are_a_share_of_the_rows_whatever_the_seed(df, seed):
    r = df.llm.review("intent", n=40, order="random", seed=seed, twice=0.3)
    assert 4 <= len(judge(r, df)) - 40 <= 20


def test_somebody_else_judges_the_repeats_where_there_is_somebody_else(df):
    judge(df.llm.review("intent", n=30, who="Ann"), df)
    bo = df.llm.review("intent", n=30, who="Bo", twice=1.0)
    assert bo.left == 30
    judge(bo, df)
    found = find_reviewed(df, "intent")
    assert Counter((one.who, one.first) for one in found.judgements) == {
        ("Ann", True): 30, ("Bo", False): 30,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["intent_truth", "intent_final", "intent_role"])
def test_a_column_of_your_own_is_not_replaced(df, name, folder):
    own = df.assign(**{name: df["truth"]})
    with pytest.raises(PlanError, match=rf"{name}.*rename it first"):
        own.llm.review("intent", n=5)
    assert not folder.exists()
    assert own.rename(columns={name: "mine"}).llm.review("intent", n=5).left == 5


def test_the_columns_of_an_earlier_review_are_brought_up_to_date(df, tmp_path):
    r = df.llm.review("intent", n=20)
    judge(r, df)
    r.frame().to_csv(tmp_path / "reviewed.csv", index=False)
    read = pd.read_csv(tmp_path / "reviewed.csv")
    later = read.llm.review("intent", n=40)
    judge(later, df)
    out = later.frame()
    assert out.columns.equals(r.frame().columns)
    assert out["intent_truth"].notna().sum() == 40
