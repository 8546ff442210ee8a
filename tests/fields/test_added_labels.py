"""``other=`` and ``abstain=``: a label more for each closed choice; unsure is a missing cell."""

from __future__ import annotations

import json
from enum import Enum, IntEnum
from typing import Annotated, Literal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, field_validator

import llmframe as lf
from llmframe import testing
from llmframe.errors import OutputError, PlanError
from llmframe.task.definition import Added
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from llmframe.task.prompt import Prompt
from llmframe.task.trust.votes import reordered

OTHER = Added(other="other")
UNSURE = Added(abstain=True)
BOTH = Added(other="other", abstain=True)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Grade(Enum):
    GOOD = "g"
    BAD = "b"


class Stars(IntEnum):
    ONE = 1
    TWO = 2


def asked(fields, added=BOTH, name="x"):
    """The labels that the model may answer, as the schema has them."""
    node = resolve_fields(fields, added=added).schema["properties"][name]
    return node.get("enum") or node["items"]["enum"]


@pytest.mark.parametrize(
    "field",
    [
        ["red", "blue"],
        ("red", "blue"),
        Literal["red", "blue"],
        Color,
        [Color.RED, Color.BLUE],
        {"red": "as blood", "blue": ""},
        Annotated[Literal["red", "blue"], Field(description="Its colour.")],
        list[Literal["red", "blue"]],
        list[Color],
        Annotated[list[Annotated[Color, Field(description="One.")]], Field(max_length=2)],
    ],
)
def test_every_form_of_a_closed_choice_gets_the_labels_at_its_end(field):
    assert asked({"x": field}) == ["red", "blue", "other", "unsure"]


def test_each_of_several_choices_gets_the_label_and_those_that_have_it_stay_as_they_are():
    fields = {"a": ["p", "q"], "b": ["p", " Other"], "c": str, "n": [1, 2], "yes": bool}
    found = resolve_fields(fields, added=OTHER)
    assert [spec.labels for spec in found.specs] == [
        ("p", "q", "other"), ("p", " Other"), None, (1, 2), None,
    ]  # fmt: skip


def test_a_label_that_is_added_is_the_same_request_as_one_that_is_written():
    topics = list[Literal["p", "other"]]
    written = {"a": ["p", "other"], "b": {"p": "x", "q": "", "other": ""}, "t": topics}
    added = {"a": ["p"], "b": {"p": "x", "q": ""}, "t": list[Literal["p"]]}
    one, two = resolve_fields(written), resolve_fields(added, added=OTHER)
    assert one.canonical == two.canonical
    assert Prompt("", one).system() == Prompt("", two).system()


def test_nothing_given_changes_nothing():
    fields = {"a": ["p", "q"], "t": list[Literal["p"]]}
    assert resolve_fields(fields).canonical == resolve_fields(fields, added=Added()).canonical
    assert "abstain" not in json.dumps(resolve_fields(fields).canonical)


def test_unsure_is_asked_for_with_its_meaning_and_is_no_label():
    found = resolve_fields({"x": ["red", "blue"]}, added=UNSURE)
    [spec] = found.specs
    assert (spec.labels, spec.abstain) == (("red", "blue"), "unsure")
    assert "unsure: the record does not say enough to decide" in Prompt("", found).system()
    assert parse_reply('{"x": "Unsure"}', found) == {"x": None}
    assert parse_reply('{"x": "red"}', found) == {"x": "red"}
    with pytest.raises(OutputError, match="'green' is not one of 'red', 'blue', 'unsure'"):
        parse_reply('{"x": "green"}', found)


def test_an_unsure_of_the_persons_own_becomes_the_missing_cell():
    found = resolve_fields({"x": ["Unsure", "red", "blue"]}, added=UNSURE)
    assert found.specs[0].labels == ("red", "blue")
    assert asked({"x": ["Unsure", "red", "blue"]}, UNSURE) == ["Unsure", "red", "blue"]
    assert parse_reply('{"x": "unsure"}', found) == {"x": None}
    # what is stored differs, so the keys must
    assert found.canonical != resolve_fields({"x": ["Unsure", "red", "blue"]}).canonical


def test_a_list_that_holds_unsure_is_missing():
    found = resolve_fields({"x": list[Literal["a", "b"]]}, added=UNSURE)
    assert found.specs[0].items == ("a", "b")
    assert parse_reply('{"x": ["unsure"]}', found) == {"x": None}
    assert parse_reply('{"x": ["a", "unsure"]}', found) == {"x": None}
    assert parse_reply('{"x": []}', found) == {"x": []}


@pytest.mark.parametrize("field", [[1, 2], Stars, Literal[1, 2], Literal[1, 2] | None])
def test_a_choice_of_numbers_is_answered_with_null(field):
    found = resolve_fields({"x": field}, added=UNSURE)
    assert found.schema["properties"]["x"]["enum"] == [1, 2, None]
    assert parse_reply('{"x": null}', found) == {"x": None}
    assert "null: the record does not say enough to decide" in Prompt("", found).system()


def test_names_of_an_enum_and_descriptions_stay_beside_the_new_label():
    text = Prompt("", resolve_fields({"x": Grade}, added=BOTH)).system()
    assert "g: GOOD" in text
    assert "b: BAD" in text
    assert "unsure: " in text
    about = Annotated[Literal["p", "q"], Field(description="The kind.")]
    assert "The kind." in Prompt("", resolve_fields({"x": about}, added=BOTH)).system()


def test_one_label_is_enough_where_another_is_added():
    assert asked({"x": ["spam"]}) == ["spam", "other", "unsure"]
    assert asked({"x": ["spam"]}, UNSURE) == ["spam", "unsure"]
    with pytest.raises(PlanError, match="only label"):
        resolve_fields({"x": ["unsure"]}, added=UNSURE)


class Ticket(BaseModel):
    """A ticket."""

    kind: Literal["refund", "delivery"] = Field(description="What it is about.", alias="Kind")
    color: Literal["red", "blue"] | None
    note: str

    @field_validator("kind")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "delivery":
            raise ValueError("no deliveries today")
        return value


def test_a_pydantic_class_stays_as_it_is_and_keeps_its_rules():
    before = Ticket.model_json_schema()
    found = resolve_fields(Ticket, added=BOTH)
    assert found.names == ("Kind", "color", "note")
    assert found.specs[0].labels == ("refund", "delivery", "other")
    assert found.schema["properties"]["color"]["enum"] == ["red", "blue", "other", "unsure", None]
    text = Prompt("", found).system()
    assert "A ticket." in text
    assert "What it is about." in text
    read = parse_reply('{"Kind": "other", "color": "unsure", "note": "n"}', found)
    assert read == {"Kind": "other", "color": None, "note": "n"}
    with pytest.raises(OutputError, match="no deliveries today"):
        parse_reply('{"Kind": "delivery", "color": null, "note": "n"}', found)
    assert Ticket.model_json_schema() == before
    # a stored answer without a value is the answer "unsure", and is not asked again
    assert found.holds({"Kind": None, "color": None, "note": "n"})
    assert not found.holds({"Kind": "delivery", "color": None, "note": "n"})


class Painted(BaseModel):
    color: Color

    @field_validator("color")
    @classmethod
    def known(cls, value: Color) -> Color:
        return Color[value.name]


def test_validators_that_expect_an_enum_never_get_a_text():
    with pytest.raises(PlanError, match="write the further labels into the Enum"):
        resolve_fields(Painted, added=OTHER)


def test_what_no_field_can_take_is_a_mistake():
    with pytest.raises(PlanError, match="no field is one"):
        resolve_fields({"x": str, "n": [1, 2]}, added=OTHER)
    with pytest.raises(PlanError, match=r"bool \| None"):
        resolve_fields({"x": bool}, added=UNSURE)
    with pytest.raises(PlanError, match="abstain=True turns into"):
        Added(other=" Unsure", abstain=True)


labels = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(labels=labels, other=st.text(min_size=1, max_size=6), said=st.text(max_size=6))
def test_whatever_the_labels_are_no_answer_is_off_the_list(labels, other, said):
    try:
        found = resolve_fields({"x": labels}, added=Added(other=other, abstain=True))
    except PlanError:
        return
    [spec] = found.specs
    assert spec.abstain not in spec.labels
    for text in (said, other, "unsure", *labels):
        try:
            value = parse_reply(json.dumps({"x": text}), found)["x"]
        except OutputError:
            continue
        assert value is None or value in spec.labels


def odd(value: str) -> str:
    return value


def test_validators_of_an_annotation_stay():
    field = Annotated[Literal["a", "b"], AfterValidator(odd)]
    found = resolve_fields({"x": field}, added=BOTH)
    assert found.runs_own_code
    assert parse_reply('{"x": "other"}', found) == {"x": "other"}


# In a frame


DF = pd.DataFrame({"text": ["a parcel", "who knows", "a cat", "money back"]})
SAID = {"a parcel": "delivery", "who knows": "unsure", "a cat": "other", "money back": "refund"}
FIELDS = {"intent": ["refund", "delivery"]}


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with testing.serve(answer=lambda text, _: {"intent": SAID[text]}) as server:
        yield server


def call(server, **options):
    base = {"model": "m", "base_url": server.url, "progress": False}
    return base | {"other": "other", "abstain": True} | options


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_unsure_is_a_missing_cell_of_a_row_that_is_ok(server, api):
    out = DF.llm.tag("text", FIELDS, **call(server, api=api))
    assert out["llm_status"].tolist() == ["ok"] * 4
    assert out["intent"].cat.categories.tolist() == ["refund", "delivery", "other"]
    assert out["intent"].isna().tolist() == [False, True, False, False]
    assert out["intent"].tolist()[2:] == ["other", "refund"]


def test_answers_are_saved_and_each_option_asks_anew(server):
    def asked(**options):
        server.ledger.clear()
        out = DF.llm.tag("text", FIELDS, **call(server, **options))
        return {*server.ledger.rows()}, out["intent"].tolist()

    everything = {*SAID}
    assert asked() == (everything, ["delivery", pytest.approx(float("nan"), nan_ok=True), "other",
                                    "refund"])  # fmt: skip
    assert asked()[0] == set()
    assert asked(abstain=False)[0] == everything
    assert asked(other=None)[0] == everything
    assert asked(other="something else")[0] == everything
    assert asked()[0] == set()


def test_a_checkpoint_holds_no_label_that_is_none(server):
    DF.llm.tag("text", FIELDS, checkpoint="kept.jsonl", **call(server))
    assert lf.read_checkpoint("kept.jsonl")["intent"].isna().sum() == 1


def test_a_series_and_a_stream_take_them_too(server):
    new = DF["text"].llm.tag(FIELDS, **call(server))
    assert new["intent"].isna().tolist() == [False, True, False, False]
    results = list(lf.tag_stream([*SAID], FIELDS, ordered=True, **call(server)))
    assert [result.values["intent"] for result in results] == ["delivery", None, "other", "refund"]
    assert {result.status for result in results} == {"ok"}


def test_confidence_counts_unsure_among_the_labels(server):
    out = DF.llm.tag("text", FIELDS, **call(server, confidence="logprob"))
    assert out["intent_confidence"].notna().all()
    assert out["intent_confidence"].between(0, 1).all()


def test_later_votes_move_the_labels_and_unsure_stays_last():
    found = resolve_fields({"x": {"a": "an a", "b": "a b", "c": ""}}, added=BOTH)
    moved = reordered(found, 1).schema["properties"]["x"]
    assert moved["enum"][0] != "a"
    assert moved["enum"][-1] == "unsure"
    assert {*moved["enum"]} == {"a", "b", "c", "other", "unsure"}
    assert moved["description"].splitlines()[-1].startswith("unsure: ")
