"""``votes=``: each row is asked several times, and a column says how far the answers agree."""

from __future__ import annotations

import itertools
import re

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import IncompleteWarning, PlanError
from llmframe.task.trust.votes import requests_a_row

LABELS = ["refund", "delivery", "billing", "other"]
FIELDS = {"intent": LABELS, "note": str}
N = 20


class Model:
    """A model that prefers the first label for every fifth row; keeps the bodies it gets."""

    def __init__(self):
        self.bodies = []
        self.bad = ()
        self.hasty = ()  # rows whose first vote is wrong

    def __call__(self, text, body):
        self.bodies.append(body)
        schema = body["response_format"]["json_schema"]["schema"]
        shown = schema["properties"]["intent"]["enum"]
        number = int(re.findall(r"\d+", text)[-1])
        if (number, body.get("seed")) in self.bad:
            return {"intent": "none of these", "note": ""}
        label = shown[0] if number % 5 == 0 else LABELS[number % 4]
        if number in self.hasty and body.get("seed") is None:
            label = "other"
        return testing.expected(text, schema) | {"intent": label, "note": f"{label}!"}


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def server(model):
    with testing.serve(answer=model) as server:
        yield server


@pytest.fixture
def tag(server):
    def tag(n=N, **options):
        df = pd.DataFrame({"text": [f"row {i}" for i in range(n)]})
        given = {"model": "m", "base_url": server.url, "progress": False, "concurrency": 3}
        fields = options.pop("fields", FIELDS)
        return lf.tag(df, "text", fields, **given | options)

    return tag


def test_the_agreement_stands_after_each_closed_choice(tag):
    out = tag(fields={"intent": LABELS, "ok": bool, "note": str, "n": int}, votes=3)
    assert [*out.columns] == ["text", "intent", "intent_agreement", "ok", "ok_agreement", "note",
                              "n", "llm_status", "llm_error"]  # fmt: skip
    assert out["intent_agreement"].dtype == "Float64"
    assert out["llm_status"].eq("ok").all()


def test_rows_that_depend_on_the_labels_order_agree_least(tag, server):
    out = tag(n=40, votes=3)
    biased = out.index % 5 == 0
    assert out.loc[biased, "intent_agreement"].round(3).eq(0.333).all()
    assert out.loc[~biased, "intent_agreement"].eq(1.0).all()
    quarter = out["intent_agreement"].sort_values().head(len(out) // 4).index
    assert set(out.index[biased]) <= set(quarter)


def test_a_server_can_prefer_the_first_label_in_a_share_of_the_rows():
    answer = testing.first_label(0.2)

    def label(text, order):
        schema = {"properties": {"intent": {"enum": order}}}
        wanted = {"json_schema": {"schema": schema}}
        return answer(text, {"response_format": wanted, "messages": []})["intent"]

    texts = [f"row {i}" for i in range(500)]
    preferring = [text for text in texts if label(text, LABELS) != label(text, LABELS[::-1])]
    assert 0.15 < len(preferring) / len(texts) < 0.25
    assert {label(text, LABELS) for text in preferring} == {LABELS[0]}


def test_the_third_vote_is_asked_only_where_the_first_two_differ(tag, server):
    out = tag(votes="2+1")
    assert len(server.ledger) == 2.2 * N
    assert requests_a_row("2+1", agreeing=0.8) == pytest.approx(2.2)
    assert [requests_a_row(votes) for votes in (1, 3, "2+1")] == pytest.approx([1, 3, 2.2])
    assert out["intent_agreement"].round(3).value_counts().to_dict() == {1.0: 16, 0.333: 4}


def test_more_votes_buy_only_what_is_missing(tag, server):
    first = tag()
    bought = [len(server.ledger)]
    for votes in ("2+1", 3, 3, 1, "2+1"):
        last = tag(votes=votes)
        bought.append(len(server.ledger))
    assert [*itertools.pairwise(bought)] == [
        (20, 44), (44, 60), (60, 60), (60, 60), (60, 60)
    ]  # fmt: skip
    assert first["intent"].equals(last["intent"])
    run = lf.last_run().report
    assert (run.rows, run.ok, run.reused, run.requests) == (N, N, N, 0)


def test_each_vote_has_a_seed_and_an_order_of_its_own(tag, model):
    tag(n=1, votes=3)
    assert [body.get("seed") for body in model.bodies] == [None, 1, 2]
    shown = [
        body["response_format"]["json_schema"]["schema"]["properties"]["intent"]["enum"]
        for body in model.bodies
    ]
    assert shown[0] == LABELS
    assert all(sorted(order) == sorted(LABELS) for order in shown)
    assert len({order[0] for order in shown}) == 3
    for body, order in zip(model.bodies, shown, strict=True):
        listed = ", ".join(f'"{label}"' for label in order)
        assert f"one of {listed}" in body["messages"][0]["content"]


def test_descriptions_move_with_their_labels(tag, model):
    described = {"intent": {label: f"about {label}\nin two lines" for label in LABELS}}
    tag(n=1, votes=3, fields=described)
    for body in model.bodies:
        node = body["response_format"]["json_schema"]["schema"]["properties"]["intent"]
        texts = [f"{label}: about {label}\nin two lines" for label in node["enum"]]
        assert node["description"] == "\n".join(texts)


@pytest.mark.parametrize("given", [{"seed": 7}, {"extra_body": {"seed": 7}}])
def test_a_seed_of_the_persons_is_the_first_votes(tag, model, given):
    tag(n=1, votes=3, **given)
    assert [body["seed"] for body in model.bodies] == [7, 8, 9]


def test_a_seed_of_ours_is_left_out_where_it_is_refused(model):
    df = pd.DataFrame({"text": [f"row {i}" for i in range(N)]})
    with testing.serve(answer=model, unsupported=("seed",)) as server:
        call = {"model": "m", "base_url": server.url, "progress": False}
        out = lf.tag(df, "text", FIELDS, votes=3, **call)
        assert out["llm_status"].eq("ok").all()
        assert out["intent_agreement"].lt(1).sum() == N / 5
        with pytest.raises(lf.errors.RunAborted, match="seed"):
            lf.tag(df, "text", FIELDS, votes=3, seed=7, checkpoint=False, **call)


def test_rows_that_ask_the_same_share_their_votes(server):
    df = pd.DataFrame({"text": ["row 0"] * 5 + ["row 1"]})
    call = {"model": "m", "base_url": server.url, "progress": False}
    out = lf.tag(df, "text", FIELDS, votes=3, **call)
    assert len(server.ledger) == 6
    assert out["intent_agreement"].head(5).nunique() == 1
    report = lf.last_run().report
    assert (report.ok, report.shared) == (6, 4)


def test_a_tie_goes_to_the_first_vote_and_other_fields_come_whole_from_one_vote(tag):
    out = tag(n=1, votes=3)  # three votes, three labels
    assert out.loc[0, ["intent", "note"]].to_list() == ["refund", "refund!"]


def test_a_vote_that_fails_fails_the_row_and_the_others_are_kept(tag, server, model):
    model.bad = {(3, 2)}
    out = tag(votes=3, max_attempts=2)
    assert out["llm_status"].value_counts()["failed"] == 1
    assert "vote 3; the votes before it are saved" in out["llm_error"][3]
    assert pd.isna(out["intent_agreement"][3])
    model.bad, before = (), len(server.ledger)
    again = tag(votes=3, max_attempts=2)
    assert len(server.ledger) == before + 1
    assert again["intent_agreement"].notna().all()


def test_a_stopped_run_loses_no_vote(tag, server):
    with pytest.warns(IncompleteWarning):
        half = tag(votes=3, max_tokens=4000)
    asked = len(server.ledger)
    assert 0 < asked < 3 * N
    assert half["llm_status"].eq("pending").any()
    tag(votes=3)
    assert len(server.ledger) == 3 * N


def test_what_votes_take_is_counted_once(tag, server):
    tag(prices=(1, 2))
    before = [*server.ledger.calls]
    out = tag(votes=3, prices=(1, 2), details=True)
    report, new = lf.last_run().report, server.ledger.calls[len(before) :]
    assert (report.requests, report.retries, report.ok, report.reused) == (2 * N, 0, N, 0)
    assert report.tokens_in == sum(call.tokens_in for call in new)
    assert report.tokens_out == sum(call.tokens_out for call in new)
    assert report.cost == pytest.approx(sum(call.cost({"in": 1, "out": 2}) for call in new))
    whole = sum(call.tokens_in for call in server.ledger.calls)
    assert out["llm_tokens_in"].sum() == whole == report.table.tokens_in
    assert out["llm_attempts"].eq(3).all()


def test_earlier_votes_count_against_the_limit_of_the_task(tag):
    tag(votes=3)
    tag(votes=3, max_tokens=1_000_000)
    spent = lf.last_run().report
    assert spent.budget.tokens == spent.table.tokens_in + spent.table.tokens_out > 0


def test_a_checkpoint_shows_each_row_once(tag, tmp_path):
    tag(votes=3, checkpoint=tmp_path / "c.jsonl", store_input=True)
    shown = lf.read_checkpoint(tmp_path / "c.jsonl")
    assert len(shown) == N == lf.history().loc[0, "rows"]
    assert (tmp_path / "c.jsonl").read_text().count('"text":"row 7"') == 1


@pytest.mark.parametrize("votes", ["2+1", 3])
def test_what_the_votes_say_together_is_read_from_the_checkpoint(tag, votes, server, model):
    model.hasty = (1, 2, 4)
    out = tag(votes=votes, id="text")
    first = tag(id="text")["intent"]
    assert [*(first != out["intent"]).to_numpy().nonzero()[0]] == [1, 2, 4]
    sent = len(server.ledger)
    path = lf.history().loc[0, "checkpoint"]
    shown = ["text", "intent", "intent_agreement", "note"]
    for by in ({}, {"id": "text"}):
        loaded = lf.load(path, out[["text"]], **by)
        pd.testing.assert_frame_equal(loaded[shown], out[shown])
    read = lf.read_checkpoint(path).set_index("id").loc[out["text"], "intent"]
    assert read.tolist() == out["intent"].tolist()
    assert len(server.ledger) == sent


def test_two_calls_at_the_same_time_share_their_votes(server):
    df = pd.DataFrame({"text": [f"row {i}" for i in range(N)]})
    call = {"model": "m", "base_url": server.url, "progress": False, "concurrency": 2}
    once = lf.start(df, "text", FIELDS, **call)
    thrice = lf.start(df, "text", FIELDS, votes=3, **call)
    assert once is not thrice
    assert once.result()["llm_status"].eq("ok").all()
    assert thrice.result()["intent_agreement"].notna().all()
    assert len(server.ledger) == 3 * N


def test_hedging_goes_with_votes(tag):
    assert tag(votes=3, hedge=True)["intent_agreement"].notna().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fields": {"note": str}}, "no field is a closed choice"),
        ({"confidence": "logprob"}, "give one of them"),
        ({"mode": "batch", "provider": "openai", "api_key": "k"}, "first votes"),
        ({"votes": 2}, "1, 3 or"),
        ({"votes": True}, "1, 3 or"),
    ],
)
def test_votes_that_cannot_be(tag, options, words):
    with pytest.raises(PlanError, match=words):
        tag(**{"votes": 3} | options)


def test_a_stream_has_no_votes():
    with pytest.raises(PlanError, match="votes"):
        lf.tag_stream(["a"], FIELDS, votes=3, model="m", base_url="http://localhost:9")
