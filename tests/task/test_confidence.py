"""The probability of a label is that of the tokens that decided for it."""

from __future__ import annotations

import json
import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.task.confidence import confidences, read_tokens
from llmframe.task.fields import resolve_fields

INTENT = resolve_fields({"intent": ["refund", "delivery", "other"], "note": str})


def tokens(*pieces):
    """Pieces of a reply: a text alone is certain, else (text, probability)."""
    weighted = [piece if isinstance(piece, tuple) else (piece, 1.0) for piece in pieces]
    return [(text.encode(), math.log(probability)) for text, probability in weighted]


def intent(*pieces, fields=INTENT):
    return found_in(tokens(*pieces), fields).get("intent")


def found_in(pieces, fields=INTENT, answer=None):
    """The confidences in a reply that is an answer as a whole, or holds one at its end."""
    whole = b"".join(text for text, _ in pieces).decode(errors="replace")
    return confidences(pieces, fields, whole if answer is None else answer)


def test_one_token_may_be_the_whole_label():
    assert intent('{"', "intent", '":', ' "', ("refund", 0.8), '"}') == pytest.approx(0.8)


def test_the_quote_may_stand_in_the_token():
    assert intent('{"intent":', (' "refund"', 0.8), "}") == pytest.approx(0.8)


def test_what_follows_the_decision_does_not_count():
    reply = ('{"intent": "', ("ref", 0.8), ("und", 0.1), '"}')
    assert intent(*reply) == pytest.approx(0.8)


def test_a_choice_in_several_tokens_is_the_product():
    fields = resolve_fields({"intent": ["pay in", "pay out"]})
    reply = ('{"intent": "', ("pay", 0.9), (" ", 1.0), ("out", 0.5), '"}')
    assert intent(*reply, fields=fields) == pytest.approx(0.45)


def test_where_a_label_begins_another_its_end_decides():
    fields = resolve_fields({"intent": ["bill", "billing"]})
    assert intent('{"intent": "', ("bill", 0.9), ('"', 0.5), "}", fields=fields) == pytest.approx(
        0.45
    )
    reply = ('{"intent": "', ("bill", 0.9), ("ing", 0.5), '"}')
    assert intent(*reply, fields=fields) == pytest.approx(0.45)


def test_where_a_number_begins_another_what_follows_decides():
    scale = resolve_fields({"intent": [1, 10, 100]})
    for end in ("}", " }", "\n", ', "note": "x"}'):
        reply = ('{"intent": ', ("1", 0.9), (end, 0.5), ("}", 0.1))
        assert intent(*reply, fields=scale) == pytest.approx(0.45)
    reply = ('{"intent": ', ("1", 0.9), ("0", 0.5), ("}", 0.5), "\n")
    assert intent(*reply, fields=scale) == pytest.approx(0.225)
    assert intent('{"intent": ', ("100", 0.9), ("}", 0.5), fields=scale) == pytest.approx(0.9)


def test_numbers_and_null_are_labels_too():
    stars = resolve_fields({"intent": [1, 2, 12]})
    assert intent('{"intent": ', ("2", 0.7), "}", fields=stars) == pytest.approx(0.7)
    optional = resolve_fields({"intent": Literal["no", "yes"] | None})
    reply = ('{"intent": ', ("null", 0.6), "}")
    assert intent(*reply, fields=optional) == pytest.approx(0.6)


def test_case_and_order_and_other_fields_do_not_matter():
    reply = ('{"note": "a \\"intent\\": b", "intent": "', ("REFUND", 0.8), '"}')
    assert intent(*reply) == pytest.approx(0.8)


def test_an_object_inside_a_fence_is_found():
    reply = ('```json\n{"intent": "', ("other", 0.3), '", "note": ""}\n```')
    assert intent(*reply) == pytest.approx(0.3)


def test_a_character_may_be_split_between_two_tokens():
    fields = resolve_fields({"intent": ["退款", "物流"]})
    first, second = "退".encode()[:2], "退".encode()[2:] + "款".encode()
    reply = [*tokens('{"intent": "'), (first, math.log(0.5)), (second, math.log(0.8))]
    assert found_in([*reply, *tokens('"}')], fields)["intent"] == pytest.approx(0.4)


def test_a_draft_before_the_answer_does_not_count():
    answer = '{"intent": "other"}'
    pieces = [*tokens('<think>{"intent": "', ("other", 0.2), '"}? yes</think>')]
    pieces += tokens('{"intent": "', ("other", 0.9), '"}')
    assert found_in(pieces, answer=answer)["intent"] == pytest.approx(0.9)


def test_an_answer_that_the_tokens_do_not_hold_has_none():
    assert found_in(tokens('{"intent": "other"}'), answer='{"intent": "refund"}') == {}


def test_the_object_inside_a_wrapper_and_a_name_in_another_style_are_found():
    fields = resolve_fields({"issue_type": ["refund", "other"]})
    pieces = tokens('{"answer": {"issueType": "', ("other", 0.7), '"}}')
    assert found_in(pieces, fields)["issue_type"] == pytest.approx(0.7)


@pytest.mark.parametrize("odd", [1000, 0.5, "x", None, [], "nan", "inf", "-inf", 10**400])
def test_a_logprob_that_is_none_costs_the_confidence_alone(odd):
    good = {"token": "a", "logprob": -0.1, "bytes": None}
    assert read_tokens({"content": [good, {"token": "b", "logprob": odd}]}) is None
    assert read_tokens({"content": [good]}) == ((b"a", -0.1),)


def test_only_closed_choices_have_one():
    assert set(found_in(tokens('{"intent": "other", "note": "x"}'))) == {"intent"}


@pytest.mark.parametrize("content", ["", "none", "{", '{"intent"', '{"intent": ', '{"intent": tru'])
def test_a_reply_that_is_broken_has_none(content):
    assert found_in(tokens(content)) == {}


@given(st.sampled_from(["refund", "delivery", "other"]), st.text(), st.data())
def test_however_a_reply_is_split_it_is_a_probability(label, note, data):
    content = json.dumps({"note": note, "intent": label}, ensure_ascii=False).encode(
        errors="replace"
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    logprobs = data.draw(st.lists(st.floats(-20, 0), min_size=len(pieces), max_size=len(pieces)))
    found = found_in(list(zip(pieces, logprobs, strict=True)))
    assert 0 <= found["intent"] <= 1
    assert found["intent"] >= math.exp(sum(logprobs)) * 0.999999
