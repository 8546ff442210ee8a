"""Labels proposed from a sample: few requests, nothing bought twice, every mistake before any."""

from __future__ import annotations

import copy
import json
import pickle

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import IncompleteWarning, LLMFrameError, PlanError
from llmframe.testing.texts import themes
from tests.benchmarks.propose import intents_matched

RECORDS = pd.DataFrame(testing.records(300, blanks=0.05, duplicates=0.05))
SMALL = RECORDS.head(40)


@pytest.fixture
def models():
    """A server whose model names themes, configured."""
    with testing.serve(answer=themes.answer) as server:
        lf.configure(model="themes", base_url=server.url, progress=False)
        yield server


def test_six_hidden_intents_are_found_in_few_requests_and_never_bought_again(models):
    labels = RECORDS.llm.propose_labels("text")
    assert len(intents_matched(labels, RECORDS["intent"])) >= 5
    assert labels.other <= 0.1
    assert sum(labels.shares.values()) + labels.other == pytest.approx(1)
    assert len(models.ledger) <= 15
    asked = len(models.ledger)
    assert RECORDS.llm.propose_labels("text") == labels
    assert len(models.ledger) == asked
    RECORDS.llm.propose_labels("text", seed=1)
    assert len(models.ledger) > asked


def test_the_sample_holds_different_texts_that_are_not_blank_on_the_frame_s_index(models):
    labels = RECORDS.llm.propose_labels("text", n=100)
    sample = labels.sample
    assert len(sample) == 100
    assert sample["text"].is_unique
    assert list(sample["text"]) == list(RECORDS["text"].loc[sample.index])
    assert set(sample["label"].dropna()) <= {*labels}
    texts = " ".join(call.row for call in models.ledger.calls)
    assert sum(json.dumps(text, ensure_ascii=False) in texts for text in sample["text"]) == 100


@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_product([["a", "b"], range(20)], names=["shop", "day"]),
        pd.CategoricalIndex(["x", "y"] * 20, name="kind"),
        pd.Index([(at, "x") for at in range(40)], tupleize_cols=False, name="pair"),
    ],
    ids=["levels", "labels", "tuples"],
)
def test_the_sample_keeps_the_kind_and_the_names_of_the_index(models, index):
    sample = SMALL.set_axis(index).llm.propose_labels("text", n=5).sample
    assert sample.index.names == index.names
    assert type(sample.index) is type(index)
    assert sample.index.isin(index).all()


def test_labels_that_are_kept_may_be_a_column(models):
    column = pd.Series(["refund", "zz"])
    for seeds in (column, pd.Index(column), column.to_numpy(dtype=object)):
        assert list(SMALL.llm.propose_labels("text", seeds=seeds))[:2] == ["refund", "zz"]


def test_the_dict_is_a_field_as_it_stands(models):
    labels = SMALL.llm.propose_labels("text")
    with testing.serve() as server:
        for fields, name in ((labels, "label"), ({"kind": labels}, "kind")):
            out = SMALL.llm.tag("text", fields, base_url=server.url, checkpoint=False)
            assert list(out[name].cat.categories) == list(labels)


def test_it_is_edited_copied_pickled_and_dumped_as_a_dict(models):
    labels = SMALL.llm.propose_labels("text")
    assert json.loads(json.dumps(labels)) == dict(labels)
    for same in (
        pickle.loads(pickle.dumps(labels)),
        copy.deepcopy(labels),
        labels.copy(),
        labels | {},
    ):
        assert same == labels
        assert same.shares == labels.shares
    first, share = next(iter(labels)), labels.shares[next(iter(labels))]
    before = labels.other
    del labels[first]
    labels["warranty"] = "Repairs."
    assert labels.other == pytest.approx(before + share)
    assert labels.shares["warranty"] == 0
    assert f"\n  {first}: " not in str(labels)
    assert "\n  warranty: none in the sample" in str(labels)


def test_k_and_labels_that_exist_already_are_respected(models):
    seeds = {"Refund Request": "Mine.", "fraud": ""}
    labels = RECORDS.llm.propose_labels("text", k=4, seeds=seeds)
    assert list(labels)[:2] == ["Refund Request", "fraud"]
    assert labels["Refund Request"] == "Mine."
    assert len(labels) == 4
    assert labels.shares["Refund Request"] > 0.1
    assert SMALL.llm.propose_labels("text", seeds=["fraud"])["fraud"] == ""


def test_redact_sees_every_text_alone_and_the_sample_shows_what_was_sent(models):
    seen = []

    def redact(text):
        seen.append(text)
        if "refund" in text:
            raise ValueError("no")
        return f"<{text}>"

    labels = SMALL.llm.propose_labels("text", redact=redact)
    assert set(seen) <= set(SMALL["text"])
    assert labels.sample["text"].str.startswith("<").all()
    assert not labels.sample["text"].str.contains("refund").any()


def test_where_and_a_template_choose_what_is_read(models):
    some = SMALL.assign(part=["a", "b"] * 20)
    labels = some.llm.propose_labels("{part}: {text}", where="part == 'a'", seeds=["x", "y"])
    assert labels.sample["text"].str.startswith("a: ").all()
    assert set(some["part"].loc[labels.sample.index]) == {"a"}


def test_a_budget_holds_for_both_steps_and_a_larger_one_goes_on(models):
    limit = {"max_tokens": 4000, "concurrency": 1}
    with pytest.raises(IncompleteWarning, match="budget"):
        RECORDS.llm.propose_labels("text", **limit)
    assert sum(call.tokens_in + call.tokens_out for call in models.ledger.calls) < 8000
    asked = len(models.ledger)
    RECORDS.llm.propose_labels("text")
    assert len(models.ledger) <= asked + 12
    without = {"checkpoint": False, "seed": 3, "concurrency": 1}
    whole = RECORDS.llm.propose_labels("text", **without)
    assert whole
    with pytest.raises(IncompleteWarning, match="budget"):
        RECORDS.llm.propose_labels("text", max_tokens=20_000, **without)


def test_a_request_that_fails_costs_its_texts_alone_and_is_retried_by_the_next_call(models):
    bad = RECORDS["text"].dropna().iloc[7]
    models.update(fault_rows={json.dumps(bad, ensure_ascii=False)[1:-1]: "refusal"})
    labels = RECORDS.llm.propose_labels("text")
    assert 0 < len(labels.sample) < 300
    assert "could not be read" in str(labels)
    models.update(fault_rows={})
    assert "could not be read" not in str(RECORDS.llm.propose_labels("text"))


def test_where_nothing_is_answered_the_error_says_why(models):
    models.update(faults={"refusal": 1.0})
    with pytest.raises(LLMFrameError, match="refus"):
        SMALL.llm.propose_labels("text")


def test_answers_that_name_no_label_are_an_error_with_a_cure(models):
    models.update(answer=lambda *_: {"groups": []})
    with pytest.raises(LLMFrameError, match="name no label"):
        SMALL.llm.propose_labels("text")


def test_one_theme_alone_gets_other_beside_it_so_that_it_is_a_field(models):
    one = {"groups": [{"label": "mail", "description": "d", "entries": [*range(1, 31)]}]}
    with testing.serve(answer=lambda *_: one) as server:
        labels = SMALL.llm.propose_labels("text", base_url=server.url)
    assert list(labels) == ["mail", "other"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 1}, "k=1"),
        ({"k": True}, "k=True"),
        ({"k": 2, "seeds": ["a", "b", "c"]}, "seeds"),
        ({"seeds": "refund"}, "seeds"),
        ({"seeds": ["a", "A"]}, "differ only"),
        ({"seeds": [1, 2]}, "texts"),
        ({"seeds": [["a"], ["b"]]}, "texts"),
        ({"seeds": {"a": None}}, "describes 'a' by None"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": "a"}, "seed='a'"),
        ({"n": 0}, "n=0"),
        ({"into": "x"}, "into="),
        ({"mode": "batch"}, "mode="),
        ({"confidence": "logprob"}, "confidence="),
        ({"where": "intent == 'no such'"}, "no text"),
        ({"nn": 3}, "nn"),
    ],
)
def test_a_mistake_costs_nothing(models, options, words):
    with pytest.raises(PlanError, match=words):
        SMALL.llm.propose_labels("text", **options)
    assert not len(models.ledger)


@pytest.mark.parametrize("lacks", [("json_schema",), ("json_schema", "json_object", "temperature")])
def test_it_works_where_no_schema_is_taken_and_behind_thoughts_and_fences(lacks):
    def answer(text, body):
        groups = json.dumps(themes.answer(text, body), ensure_ascii=False)
        return f"<think>Let me see. {{}}</think>\n```json\n{groups}\n```"

    with testing.serve(answer=answer, unsupported=lacks) as server:
        labels = RECORDS.llm.propose_labels(
            "text", model="m", base_url=server.url, progress=False, checkpoint=False
        )
        assert len(intents_matched(labels, RECORDS["intent"])) >= 5
        assert sum(call.status == 200 for call in server.ledger.calls) <= 15
