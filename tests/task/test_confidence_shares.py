"""With alternatives told, a confidence is the label's share among all labels of its choice."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.task.confidence import confidences, read_alternatives
from llmframe.task.fields import resolve_fields

INTENT = resolve_fields({"intent": ["refund", "delivery", "other"]})


def share(*pieces, fields=INTENT):
    """The confidence in a reply: a piece is a text, or (text, probability, {alternative: one})."""
    pieces = [piece if isinstance(piece, tuple) else (piece, 1.0, {}) for piece in pieces]
    tokens = [(text.encode(), math.log(chance)) for text, chance, _ in pieces]
    near = [
        [(text.encode(), math.log(chance)), *((o.encode(), math.log(p)) for o, p in others.items())]
        for text, chance, others in pieces
    ]
    whole = "".join(text for text, _, _ in pieces)
    return confidences(tokens, fields, whole, near).get("intent")


CASES = {
    "labels of one token": ([("refund", 0.4, {"delivery": 0.1})], 0.8),
    "what no label is has no part": ([("refund", 0.4, {"deliv": 0.1, "I": 0.3, "the": 0.2})], 0.8),
    "case and blanks are the same": ([("refund", 0.4, {" Refund": 0.2, "DELIV": 0.2})], 0.75),
    "full width too": ([("refund", 0.4, {"ｒｅｆ": 0.2, "other": 0.2})], 0.75),
    "another cut of the same label": ([("refund", 0.4, {"ref": 0.2, "o": 0.2})], 0.75),
    "one of the tokens alone": ([("refund", 0.4, {})], 1.0),
}


@pytest.mark.parametrize(("value", "expected"), CASES.values(), ids=CASES)
def test_a_share_counts_what_leads_to_a_label_and_nothing_else(value, expected):
    assert share('{"intent": "', *value, '"}') == pytest.approx(expected)


def test_the_quote_and_a_blank_may_stand_in_the_token_and_in_its_alternatives():
    assert share(
        '{"intent":', (' "refund', 0.4, {' "deliv': 0.1, "null": 0.3}), '"}'
    ) == pytest.approx(0.8)
    assert share('{"intent":', (' "', 0.6, {' "deliv': 0.1}), ("refund", 0.5, {"other": 0.5}),
                 '"}') == pytest.approx(0.3 / 0.7)  # fmt: skip


def test_a_label_of_several_tokens_loses_at_each_of_them():
    fields = resolve_fields({"intent": ["pay in", "pay out", "none"]})
    reply = ['{"intent": "', ("pay", 0.8, {"none": 0.1}), (" out", 0.5, {" in": 0.25}), '"}']
    assert share(*reply, fields=fields) == pytest.approx(0.4 / (0.4 + 0.2 + 0.1))


def test_where_a_label_begins_another_its_end_decides():
    fields = resolve_fields({"intent": ["bill", "billing"]})
    ends = ('"', 0.5, {"ing": 0.25, '",': 0.25})
    assert share('{"intent": "', ("bill", 1.0, {}), ends, "}", fields=fields) == pytest.approx(0.75)


def test_the_same_holds_for_numbers():
    scale = resolve_fields({"intent": [1, 10, 2]})
    ends = ("}", 0.5, {"0": 0.25, "\n": 0.25})
    assert share('{"intent": ', ("1", 0.5, {"2": 0.5}), ends, fields=scale) == pytest.approx(0.375)


def test_truth_values_and_null_have_shares_too():
    true = resolve_fields({"intent": bool})
    assert share(
        '{"intent": ', ("true", 0.3, {"false": 0.1, "yes": 0.5}), "}", fields=true
    ) == pytest.approx(0.75)
    maybe = resolve_fields({"intent": Literal["a", "b"] | None})
    reply = ('{"intent": ', ("null", 0.3, {'"a': 0.1, '"': 0.2}), "}")
    assert share(*reply, fields=maybe) == pytest.approx(0.5)  # '"' leads to both others


def test_without_alternatives_it_is_the_probability_of_the_tokens():
    tokens = [(b'{"intent": "', 0.0), (b"refund", math.log(0.4)), (b'"}', 0.0)]
    answer = '{"intent": "refund"}'
    assert confidences(tokens, INTENT, answer)["intent"] == pytest.approx(0.4)


def test_a_value_in_other_words_than_its_label_keeps_that_probability():
    fields = resolve_fields({"intent": ["pay in", "pay out"]})
    reply = ('{"intent": "', ("pay_in", 0.4, {"pay out": 0.1}), '"}')
    assert share(*reply, fields=fields) == pytest.approx(0.4)


def test_odd_alternatives_cost_themselves_alone():
    good = {"token": "a", "logprob": -0.5}
    odd = [good, {"token": "b", "logprob": "x"}, 3, {"token": "c", "logprob": -1.0}]
    content = [good | {"top_logprobs": odd}, good, good | {"top_logprobs": 7}]
    assert read_alternatives({"content": content}) == (((b"a", -0.5), (b"c", -1.0)), (), ())
    assert read_alternatives({"content": [good | {"top_logprobs": [good]}]}) == ()
    assert read_alternatives(None) == read_alternatives({"content": None}) == ()


@given(st.data())
def test_the_shares_of_all_labels_add_up_to_one(data):
    """A model that writes labels letter by letter: what it could have written is known exactly."""
    labels = ["ab", "abc", "b", "ba"]
    fields = resolve_fields({"intent": labels})
    written = [f'{label}"' for label in labels]
    weights = dict(zip(written, data.draw(st.lists(st.floats(0.01, 1), min_size=4, max_size=4)),
                       strict=True))  # fmt: skip

    def steps(value):
        """Each letter with its probability after those before it, and its alternatives."""
        for at in range(len(value)):
            begun = [one for one in written if one.startswith(value[:at])]
            whole = sum(weights[one] for one in begun)
            letters = itertools.groupby(sorted(begun, key=lambda w: w[at]), key=lambda w: w[at])
            chances = {letter: sum(weights[w] for w in ones) / whole for letter, ones in letters}
            yield value[at], chances.pop(value[at]), chances

    shares = [share('{"intent": "', *steps(value), "}", fields=fields) for value in written]
    assert sum(shares) == pytest.approx(1)
    whole = sum(weights.values())
    assert shares == pytest.approx([weight / whole for weight in weights.values()])


def test_a_reply_without_the_value_has_none():
    assert share('{"note": "x"}') is None
