"""``examples=``: checked before anything is sent, shown with every request, never asked."""

from __future__ import annotations

import json
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import llmframe as lf
from llmframe import testing
from llmframe.calls.plan import plan
from llmframe.engine.asking.outgoing import TextRules
from llmframe.errors import PlanError
from llmframe.frame.example_rows import example_rows
from llmframe.frame.examples import read_examples
from llmframe.options.layers import settle
from llmframe.task.definition import Added
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt, as_one

FIELDS = {"intent": ["refund", "delivery"], "note": str}
GOLD = pd.DataFrame(
    {
        "text": ["money back", "a parcel", "where is it"],
        "intent": ["refund", "Delivery", "delivery"],
        "note": ["m", "p", "w"],
    },
    index=[7, 8, 9],
)
DF = pd.DataFrame({"text": ["a parcel", "hello", "money back", "hello", "bye", "a parcel"]})


def examples(given, fields=None, asked="text", rules=None, **options):
    found = resolve_fields(FIELDS if fields is None else fields, into=options.pop("into", None))
    rules = rules or TextRules(options.get("redact"))
    return read_examples(settle({"examples": given, **options}), asked, found, rules)


def refusal(*args, **options):
    with pytest.raises(PlanError) as caught:
        examples(*args, **options)
    return str(caught.value)


@pytest.fixture
def bodies(tmp_path, monkeypatch):
    """The requests of a call, as they came."""
    monkeypatch.chdir(tmp_path)
    return []


@pytest.fixture
def server(bodies):
    def answer(text, body):
        bodies.append(body)
        return {"intent": "refund", "note": text}

    with testing.serve(answer=answer) as server:
        yield server


def call(server, **options):
    return {"model": "m", "base_url": server.url, "progress": False, "examples": GOLD} | options


# What is sent


def test_examples_stand_before_the_row_as_it_would_be_asked_and_answered(server, bodies):
    DF.llm.tag("text", FIELDS, **call(server))
    messages = bodies[0]["messages"]
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert "\nmoney back\n" in messages[1]["content"]
    answers = [json.loads(m["content"]) for m in messages if m["role"] == "assistant"]
    assert answers[1] == {"intent": "delivery", "note": "p"}  # repaired, as a reply is
    fences = [m["content"].splitlines()[0] for m in messages if m["role"] == "user"]
    assert len({*fences}) == 4


def test_examples_are_the_same_bytes_in_every_run(server, bodies):
    for _ in range(2):
        DF.llm.tag("text", FIELDS, checkpoint=False, **call(server))
    shown = {json.dumps(body["messages"][:7]) for body in bodies}
    assert len(shown) == 1


def test_a_model_without_system_messages_gets_them_too():
    prompt = Prompt("", resolve_fields(FIELDS), examples(GOLD))
    messages = as_one(prompt.messages("row", "n"))
    assert [m["role"] for m in messages] == [*["user", "assistant"] * 3, "user"]
    assert messages[0]["content"].startswith(prompt.system())
    assert "\nmoney back\n" in messages[0]["content"]
    assert prompt.size() > Prompt("", prompt.fields).size() + 100


@pytest.mark.parametrize("options", [{"api": "responses"}, {"confidence": "logprob"}])
def test_other_ways_of_asking_show_them_too(server, bodies, options):
    out = DF.llm.tag("text", FIELDS, **call(server, **options))
    assert (out["llm_status"] == "ok").all()
    assert {*server.ledger.rows()} == {"hello", "bye"}
    assert all("money back" in json.dumps(body) for body in bodies)


# Rows that are examples


def test_rows_with_the_text_of_an_example_are_not_asked_and_have_its_values(server):
    expected = DF.llm.estimate("text", FIELDS, **call(server))
    assert (expected.done, expected.unanswered, expected.requests) == (3, 2, 2)
    assert len(expected.sample["messages"]) == 8
    out = DF.llm.tag("text", FIELDS, details=True, **call(server))
    assert {*server.ledger.rows()} == {"hello", "bye"}
    assert out["intent"].tolist() == ["delivery", *["refund"] * 4, "delivery"]
    assert out["note"].tolist() == ["p", "hello", "m", "hello", "bye", "p"]
    assert (out["llm_status"] == "ok").all()
    report = lf.last_run().report
    assert (report.examples, report.ok, report.requests) == (3, 6, 2)


def test_they_are_known_wherever_they_move(server, tmp_path):
    out = DF.llm.tag("text", FIELDS, **call(server))
    assert example_rows(out).tolist() == [True, False, True, False, False, True]
    moved = out.sort_values("text", ascending=False).reset_index(drop=True)
    assert moved["text"][example_rows(moved)].tolist() == ["money back", "a parcel", "a parcel"]
    assert example_rows(out.query("intent == 'delivery'")).all()
    out.llm.to_parquet(tmp_path / "t.parquet")
    assert not example_rows(out.drop(columns="text")).any()
    assert not example_rows(DF).any()
    again = out.llm.tag("text", FIELDS, **call(server))
    assert example_rows(again).sum() == 3


def test_they_stay_known_as_long_as_the_frame_holds_answers_of_their_call(server):
    out = DF.llm.tag("text", FIELDS, **call(server))
    without = {"examples": None, "instructions": "anew"}
    beside = out.llm.tag("text", FIELDS, prefix="b_", **call(server, **without))
    assert example_rows(beside).sum() == 3
    some = out.llm.tag("text", FIELDS, where=[False] * 5 + [True], **call(server, **without))
    assert example_rows(some).sum() == 3
    with pytest.warns(UserWarning, match="status of another task"):
        anew = out.llm.tag("text", FIELDS, **call(server, **without))
    assert not example_rows(anew).any()
    assert "examples" not in anew.attrs["llmframe"]
    anew.attrs["llmframe"]["examples"] = [{"task": 1}, "x", {"task": "t", "inputs": 3}]
    assert not example_rows(anew).any()


def test_a_stream_and_a_series_do_not_ask_them_either(server):
    new = DF["text"].llm.tag(FIELDS, **call(server))
    assert new["note"].tolist() == ["p", "hello", "m", "hello", "bye", "p"]
    server.ledger.clear()
    pairs = [("money back", {"intent": "refund", "note": "m"})]
    records = ["money back", "new", "money back"]
    stream = lf.tag_stream(records, FIELDS, ordered=True, **call(server, examples=pairs))
    results = list(stream)
    assert [result.values["note"] for result in results] == ["m", "new", "m"]
    assert {*server.ledger.rows()} == {"new"}


def test_texts_are_compared_as_they_are_sent(server):
    df = pd.DataFrame({"a": ["x1", "y"], "b": [1, 2]})
    given = [({"a": "x", "b": 1}, {"intent": "refund", "note": "1"})]
    options = call(server, examples=given, redact=lambda text: text.replace("x1", "x"))
    out = df.llm.tag("{a}: {b}", FIELDS, **options)
    assert out["note"].tolist() == ["1", "y: 2"]
    listed = df.llm.tag(["a", "b"], FIELDS, prefix="l_", **options)
    assert listed["l_note"].tolist()[0] == "1"


def test_no_score_counts_them_and_no_review_draws_them(server):
    gold = DF.assign(gold=["delivery", "refund", "refund", "delivery", "refund", "delivery"])
    out = gold.llm.tag("text", FIELDS, **call(server))
    score = out.llm.score("intent", truth="gold")
    assert score.accuracy == pytest.approx(2 / 3)  # of the other three rows
    assert "3 rows left out" in repr(score)
    review = out.llm.review("intent", n=6)
    drawn = set()
    while review.row is not None:
        drawn.add(review.row)
        review.answer("refund")
    assert drawn <= {1, 3, 4}
    shown = [("hello", {"intent": "refund", "note": "n"})]
    with pytest.warns(UserWarning, match="status of another task"):
        again = out.llm.tag("text", FIELDS, **call(server, examples=shown, instructions="anew"))
    assert "left out: the model was shown the right answers" in repr(again.llm.score("intent"))


# Keys


def test_other_examples_ask_again_and_no_text_is_in_the_file(server, tmp_path):
    def asked(**options):
        server.ledger.clear()
        DF.llm.tag("text", FIELDS, checkpoint="kept.jsonl", **call(server, **options))
        return {*server.ledger.rows()}

    assert asked() == {"hello", "bye"}
    assert asked() == set()
    assert asked(examples=GOLD.iloc[::-1]) == {"hello", "bye"}
    assert asked(examples=GOLD.iloc[:2], reuse=True) == {"hello", "bye"}
    assert asked(examples=None) == {"hello", "bye", "a parcel", "money back"}
    assert asked(examples=[*zip(GOLD["text"], GOLD[["intent", "note"]].to_dict("records"),
                                strict=True)]) == set()  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines()]
    assert "where is it" not in json.dumps([line for line in lines if "v" not in line])


def test_without_examples_the_key_is_what_it_was():
    options = {"model": "m", "base_url": "http://127.0.0.1:1", "checkpoint": False}
    bare = plan(DF, "text", FIELDS, settle(options))
    assert "examples" not in bare.asked
    shown = plan(DF, "text", FIELDS, settle(options | {"examples": GOLD}))
    assert len(shown.asked["examples"]) == 3
    assert bare.asked == {k: v for k, v in shown.asked.items() if k != "examples"}


# What is refused


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (GOLD.assign(intent=["refund", "parcel", "delivery"]), "row 8: intent='parcel' is not one"),
        (GOLD.assign(note=["m", None, "w"]), "row 8: note"),
        (GOLD.assign(text=["m", " ", "w"]), "row 8: its text is blank"),
        (GOLD.drop(columns="note"), "no column 'note'"),
        (GOLD.rename(columns={"text": "txt"}), "no column 'text'"),
        (GOLD.iloc[:0], "holds no example"),
        ([], "holds no example"),
        (["a"], "example 1 is 'a'"),
        ([(1, {"intent": "refund"})], "example 1 has 1 for its text"),
        ([("a", "refund")], "example 1: its values are 'refund'"),
        ([("a", {"intent": "refund"})], "example 1: it has no value for 'note'"),
        ([("a", {"intent": "refund", "nota": ""})], "there is no field 'nota'"),
        ([("a", {"intent": "x", "note": ""})], "example 1: intent='x' is not one of"),
        ([("", {"intent": "refund", "note": ""})], "its text is blank"),
        (
            [("a", {"intent": "refund", "note": ""}), ("a", {"intent": "delivery", "note": ""})],
            "example 1 and example 2 have the same text and different values",
        ),
    ],
)
def test_a_mistake_names_the_row_and_the_reason(given, says):
    assert says in refusal(given)


def test_what_is_no_list_of_examples_is_refused_with_its_cure():
    for wrong in ("text", 3, {"a": "refund"}):
        assert "examples=" in refusal(wrong)
    assert "list(examples.items())" in refusal({"a": "refund"})
    assert "a list of (record, values)" in refusal(GOLD, asked=None)
    many = [(f"t{n}", {"intent": "refund", "note": ""}) for n in range(101)]
    assert 'pick="balanced"' in refusal(many)
    with pytest.raises(PlanError, match="chooses among examples"):
        examples(None, pick="balanced")


def test_a_text_that_is_too_long_is_refused_or_cut_as_a_row_is():
    given = [("long " * 100, {"intent": "refund", "note": ""})]
    assert "max_input_tokens=5" in refusal(given, rules=TextRules(None, 5))
    [cut] = examples(given, rules=TextRules(None, 5, truncate=True))
    assert cut.text == "long long long long "


def test_redact_sees_texts_and_free_answers_and_no_labels():
    seen = []

    def redact(text):
        seen.append(text)
        return text.replace("Bob", "X")

    given = [("Bob calls", {"intent": "refund", "note": "Bob"})]
    [shown] = examples(given, redact=redact)
    assert seen == ["Bob calls", "Bob"]
    assert (shown.text, shown.values) == ("X calls", {"intent": "refund", "note": "X"})
    assert "Bob" not in shown.answer

    def fails(text):
        raise ValueError("Bob")

    message = refusal(given, redact=fails)
    assert "example 1: ValueError in redact=" in message
    assert "Bob" not in message


# What values may be


class Home(BaseModel):
    city: str
    since: date | None


@pytest.mark.parametrize(
    ("field", "value", "kept", "shown"),
    [
        (["a", "b"], "B", "b", '"b"'),
        ([1, 2], np.int64(2), 2, "2"),
        (int, 5.0, 5, "5"),
        (float, np.float32(0.5), 0.5, "0.5"),
        (bool, np.bool_(True), True, "true"),
        (date, pd.Timestamp("2020-01-02"), "2020-01-02", '"2020-01-02"'),
        (str | None, None, None, "null"),
        (str | None, float("nan"), None, "null"),
        (list[Literal["a", "b"]], np.array(["a"], dtype=object), ["a"], '["a"]'),
        (list[Literal["a", "b"]], ("a", "b"), ["a", "b"], '["a", "b"]'),
        (Home, Home(city="Rome", since=None), {"city": "Rome", "since": None}, None),
        (str, "é\ud800", "é\ufffd", None),
    ],
)
def test_one_field_takes_its_value_alone(field, value, kept, shown):
    [example] = examples([("t", value)], fields={"x": field})
    assert example.values["x"] == kept
    if shown is not None:
        assert example.answer == f'{{"x": {shown}}}'


def test_a_missing_value_shows_how_to_be_unsure():
    found = settle({"examples": [("t", None)], "abstain": True})
    fields = resolve_fields({"x": ["a", "b"]}, added=Added(abstain=True))
    [example] = read_examples(found, "text", fields, TextRules())
    assert (example.values, example.answer) == ({"x": None}, '{"x": "unsure"}')


# pick


def test_balanced_takes_as_many_of_each_label_in_turns():
    given = [(f"r{n}", "refund") for n in range(9)] + [(f"d{n}", "delivery") for n in range(2)]
    field = {"x": ["refund", "delivery"]}
    texts = [one.text for one in examples(given, fields=field, pick="balanced")]
    assert texts == ["r0", "d0", "r1", "d1"]
    many = [(f"{label}{n}", label) for label in ("refund", "delivery") for n in range(90)]
    assert len(examples(many, fields=field, pick="balanced")) == 8
    assert "no field is a closed choice" in refusal(
        [("a", "b")], fields={"x": str}, pick="balanced"
    )


def test_examples_that_were_not_picked_are_asked(server):
    given = pd.concat([GOLD, GOLD.assign(text=GOLD["text"] + "!")])
    df = pd.DataFrame({"text": [*given["text"]]})
    out = df.llm.tag("text", FIELDS, **call(server, examples=given, pick="balanced"))
    assert lf.last_run().report.examples == 4
    assert example_rows(out).sum() == 4
    assert len({*server.ledger.rows()}) == 2


labels = st.lists(st.sampled_from("abcde"), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None)
@given(labels=labels)
def test_whatever_is_given_every_label_is_shown_as_often(labels):
    given = [(f"t{n}", label) for n, label in enumerate(labels)]
    picked = examples(given, fields={"x": [*"abcde"]}, pick="balanced")
    counts = pd.Series([one.values["x"] for one in picked]).value_counts()
    assert counts.nunique() == 1
    assert {*counts.index} == {*labels}


wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=8), value=wild)
def test_wild_examples_are_valid_or_a_plan_error(text, value):
    try:
        [example] = examples([(text, value)], fields={"x": ["a", "b", "none"]})
    except PlanError:
        return
    assert example.values["x"] in ("a", "b", "none")
    assert json.loads(example.answer) == example.values


def test_batches_show_them_and_leave_their_rows_out(configured):
    df = pd.DataFrame({"text": ["a parcel", "hello", "bye"]})
    options = {"examples": GOLD, "mode": "batch", "prices": (1.0, 2.0)}
    out = lf.tag(df, "text", FIELDS, **options)
    assert out["note"].iloc[0] == "p"
    assert {call.row for call in configured.ledger.calls} == {"hello", "bye"}
    assert lf.last_run().report.examples == 1
