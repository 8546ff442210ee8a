"""``evidence=``: a quote beside each answer, which counts only where it stands in the text."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pandas as pd
import pydantic
import pytest
from pydantic import Field

import llmframe as lf
from llmframe import testing
from llmframe.errors import PlanError
from llmframe.task.fields import resolve_fields
from llmframe.task.trust.evidence import with_evidence

FIELDS = {"intent": ["refund", "delivery"], "note": str}
TEXT = "Hello,\r\nI want my money back!"


class Model:
    """Answers each row with the quotes that a test has set; keeps the bodies it gets."""

    def __init__(self):
        self.quotes, self.bodies = {}, []
        self.label = "refund"

    def __call__(self, text, body):
        self.bodies.append(body)
        schema = body["response_format"]["json_schema"]["schema"]
        quote = next((quote for key, quote in self.quotes.items() if key in text), None)
        names = [name for name in schema["properties"] if name.endswith("_evidence")]
        return testing.expected(text, schema) | dict.fromkeys(names, quote)


@pytest.fixture(scope="module")
def running():
    model = Model()
    with testing.serve(answer=lambda text, body: model(text, body)) as server:
        server.model = model
        yield server


@pytest.fixture
def server(running):
    running.model.__init__()
    running.ledger.clear()
    return running


def tag(server, df, asked="text", fields=FIELDS, **options):
    given = {"model": "m", "base_url": server.url, "progress": False, "evidence": True}
    return lf.tag(df, asked, fields, **given | options)


def test_the_quote_and_its_place_stand_after_their_field(server):
    server.model.quotes = {"Hello": "want my money", "none": None, "other": "never said"}
    df = pd.DataFrame({"text": [TEXT, "none here", "other words"]})
    out = tag(server, df, evidence="intent")
    assert [*out.columns] == ["text", "intent", "intent_evidence", "intent_evidence_at", "note",
                              "llm_status", "llm_error"]  # fmt: skip
    assert out["intent_evidence"].dtype == out["note"].dtype
    begin, end = out["intent_evidence_at"][0]
    assert out["intent_evidence"][0] == TEXT[begin:end] == "want my money"
    assert out["intent_evidence"].isna().to_list() == [False, True, True]
    assert out["intent_evidence_at"].isna().to_list() == [False, True, True]
    assert out["llm_status"].eq("ok").all()
    counts = out.attrs["llmframe"]["evidence"]
    assert counts == {"intent": {"found": 1, "not_in_text": 1, "not_given": 1}}


def test_the_column_has_the_persons_own_text(server):
    server.model.quotes = {"ＡＢＣ": "ABC 123", "Hello": "Hello, I want"}
    df = pd.DataFrame({"text": ["订单 ＡＢＣ\u3000１２３ 取消", TEXT]})
    out = tag(server, df, evidence=["note"])
    assert out["note_evidence"].to_list() == ["ＡＢＣ\u3000１２３", "Hello,\r\nI want"]


def test_what_only_the_sent_text_holds_does_not_count(server):
    server.model.quotes = {"NAME": "NAME", "From": "From ann", "cut": "cut"}
    df = pd.DataFrame({"text": ["I am Bob", "hi"], "who": ["bob", "ann"]})
    redacted = tag(server, df, redact=lambda text: text.replace("Bob", "NAME"))
    assert redacted["intent_evidence"].isna().all()
    templated = tag(server, df, asked="From {who}: {text}", instructions="b")
    assert templated["intent_evidence"].isna().all()


def test_what_truncation_left_stands_in_the_text(server):
    server.model.quotes = {"Hello": "Hello"}
    long = pd.DataFrame({"text": ["Hello " + "word " * 100]})
    out = tag(server, long, max_input_tokens=5, on_long="truncate")
    assert out["intent_evidence_at"][0] == [0, 5]


@pytest.mark.parametrize("asked", ["{who}: {text}", ["who", "text"]])
def test_with_several_columns_the_place_names_its_own(server, asked):
    server.model.quotes = {"line": "two\nlines", "ann": "ann two"}
    df = pd.DataFrame({"who": ["bob", "ann"], "text": ['has two\nlines, "quoted"', "two"]})
    out = tag(server, df, asked=asked, evidence="intent")
    assert out["intent_evidence_at"].to_list() == [[4, 13, "text"], None]
    begin, end, column = out["intent_evidence_at"][0]
    assert df[column][0][begin:end] == out["intent_evidence"][0] == "two\nlines"


def test_answers_without_evidence_keep_their_keys_and_those_with_it_are_kept(server, tmp_path):
    df = pd.DataFrame({"text": [TEXT]})
    server.model.quotes = {"Hello": "Hello"}
    tag(server, df, evidence=False)
    [plain] = server.model.bodies
    assert "evidence" not in json.dumps(plain)
    assert "evidence" not in json.dumps(resolve_fields(FIELDS).canonical)
    first = tag(server, df, checkpoint=tmp_path / "c.jsonl")
    again = tag(server, df, checkpoint=tmp_path / "c.jsonl")
    assert len(server.ledger) == 2
    pd.testing.assert_frame_equal(first, again)
    stored = lf.read_checkpoint(tmp_path / "c.jsonl")
    assert "intent" in stored
    assert not [name for name in stored if "evidence" in name]


def test_a_reply_without_its_quote_is_an_answer_all_the_same():
    def answer(text, body):
        return {"intent": "refund", "note": "n"}

    with testing.serve(answer=answer) as server:
        out = tag(server, pd.DataFrame({"text": [TEXT]}))
        assert len(server.ledger) == 1
    assert out["llm_status"].to_list() == ["ok"]
    assert out.attrs["llmframe"]["evidence"]["intent"]["not_given"] == 1


class Ticket(pydantic.BaseModel):
    """A customer's ticket."""

    model_config = pydantic.ConfigDict(extra="forbid")
    intent: Literal["refund", "delivery"]
    note: Annotated[str, Field(description="a note")] = "none"

    @pydantic.model_validator(mode="after")
    def _checked(self):
        assert self.intent
        return self


def test_a_model_of_the_persons_keeps_its_rules_and_its_words(server):
    server.model.quotes = {"Hello": "money back"}
    out = tag(server, pd.DataFrame({"text": [TEXT]}), fields=Ticket, evidence="intent")
    assert out["intent_evidence"].to_list() == ["money back"]
    schema = server.model.bodies[0]["response_format"]["json_schema"]["schema"]
    assert [*schema["properties"]] == ["intent", "intent_evidence", "note"] == schema["required"]
    assert schema["description"] == "A customer's ticket."
    prompt = server.model.bodies[0]["messages"][0]["content"]
    assert prompt.index('"intent_evidence": text or null. The shortest') < prompt.index('"note"')


def test_a_quote_stays_with_the_label_that_wins(server):
    labels = ["refund", "delivery"]
    answers = iter([labels[0], labels[1], labels[1]])

    def answer(text, body):
        label = next(answers)
        return {"intent": label, "intent_evidence": {"refund": "back", "delivery": "Hello"}[label]}

    with testing.serve(answer=answer) as served:
        df = pd.DataFrame({"text": [TEXT]})
        out = tag(served, df, fields={"intent": labels}, votes=3)
    assert [*out.columns][1:5] == ["intent", "intent_agreement", "intent_evidence",
                                   "intent_evidence_at"]  # fmt: skip
    assert out.loc[0, ["intent", "intent_evidence"]].to_list() == ["delivery", "Hello"]


def test_rows_that_are_not_tagged_keep_their_quotes(server):
    server.model.quotes = {"row": "row"}
    df = pd.DataFrame({"text": ["row 1", "row 2"]})
    once = tag(server, df)
    server.model.quotes = {"row": "2"}
    out = tag(server, once, where=[False, True], instructions="another")
    assert out["intent_evidence"].to_list() == ["row", "2"]
    assert out["intent_evidence_at"].to_list() == [[0, 3], [4, 5]]


def test_quotes_survive_a_file(server, tmp_path):
    server.model.quotes = {"Hello": "money"}
    df = pd.DataFrame({"text": [TEXT, "b"], "who": ["a", "b"]})
    for number, asked in enumerate(("text", ["who", "text"])):
        out = tag(server, df, asked=asked)
        out.llm.to_parquet(tmp_path / f"{number}.parquet")
        read = pd.read_parquet(tmp_path / f"{number}.parquet")
        assert read["intent_evidence"][0] == "money"
        at = read["intent_evidence_at"][0]
        assert [*(json.loads(at) if isinstance(at, str) else at)] == out["intent_evidence_at"][0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"evidence": "intention"}, "the fields are intent, note"),
        ({"evidence": 3}, "a field's name"),
        ({"fields": {"intent": str, "intent_evidence": str}}, "exist already"),
    ],
)
def test_evidence_that_cannot_be(server, options, words):
    with pytest.raises(PlanError, match=words):
        tag(server, pd.DataFrame({"text": ["a"]}), **options)


def test_a_stream_has_no_evidence():
    with pytest.raises(PlanError, match="evidence"):
        lf.tag_stream(["a"], FIELDS, evidence=True, model="m", base_url="http://localhost:9")


def test_no_field_at_all_is_the_same_as_none():
    fields = resolve_fields(FIELDS)
    assert with_evidence(fields, []).canonical == fields.canonical
