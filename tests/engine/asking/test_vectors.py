"""The vectors of a reply: every form that endpoints have, and whatever else may come."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.asking.vectors import Vector, place_vectors, vector_of
from llmframe.errors import OutputError


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def numbered(*vectors):
    return [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]


def test_base64_is_kept_exactly_as_it_came():
    text = packed(0.1, -2.5, 3e-9)
    assert place_vectors(numbered(text), 1) == [Vector(text, 3)]


def test_lists_of_numbers_become_the_same_base64():
    assert place_vectors(numbered([0.5, -1, 2.0]), 1) == [Vector(packed(0.5, -1, 2), 3)]


def test_vectors_are_placed_by_their_index():
    first, second = packed(1.0), packed(2.0)
    items = [{"index": 1, "embedding": second}, {"index": 0, "embedding": first}]
    assert [vector.text for vector in place_vectors(items, 2)] == [first, second]


@pytest.mark.parametrize("number", [None, 0, "0", True, 7])
def test_without_usable_numbers_their_order_counts(number):
    texts = [packed(1.0), packed(2.0)]
    items = [{"index": number, "embedding": text} for text in texts]
    assert [vector.text for vector in place_vectors(items, 2)] == texts


def test_of_a_list_with_gaps_every_other_vector_is_kept():
    items = numbered(packed(1.0), packed(2.0), packed(3.0))
    first, missing, last = place_vectors([items[0], items[2]], 3)
    assert (first.text, last.text) == (packed(1.0), packed(3.0))
    assert str(missing) == "the endpoint left out its vector"


@pytest.mark.parametrize("items", [[[1.0]], [[1.0]] * 3])
def test_nobody_guesses_whose_vectors_of_another_number_are(items):
    with pytest.raises(OutputError, match=f"{len(items)} vectors for 2 texts"):
        place_vectors(items, 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.1, math.nan], "NaN or infinity"),
        ([math.inf, -math.inf], "NaN or infinity"),
        ([1e300], "NaN or infinity"),  # beyond any float32
        (packed(1.0, math.nan), "NaN or infinity"),
        ([], "empty"),
        ("", "empty"),
        (None, "neither base64 nor a list"),
        ({"values": [1.0]}, "neither base64 nor a list"),
        ([0.1, None], "no number"),
        ([0.1, "0.2"], "no number"),
        ([True, False], "no number"),
        ("not base64!", "no base64"),
        ("AAAA", "no base64"),  # three bytes
        ([[0.1], [0.2]], "for each token"),
    ],
)
def test_what_is_no_vector_says_why(value, message):
    [found] = place_vectors(numbered(value), 1)
    assert isinstance(found, OutputError)
    assert message in str(found)


def test_a_vector_within_a_list_is_that_vector():
    assert place_vectors(numbered([[0.5, 1.0]]), 1) == [Vector(packed(0.5, 1.0), 2)]


@pytest.mark.parametrize("stored", [None, 7, "?", "", packed(math.nan), [0.1]])
def test_a_stored_text_that_holds_no_vector_is_none(stored):
    assert vector_of(stored) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["index", "embedding", "object"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(items=st.lists(JSON, max_size=5), count=st.integers(1, 5))
def test_any_reply_gives_every_text_a_vector_or_a_reason(items, count):
    try:
        placed = place_vectors(items, count)
    except OutputError:
        return
    assert len(placed) == count
    for found in placed:
        assert isinstance(found, OutputError) or vector_of(found.text) == found


@given(
    vectors=st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
        min_size=1,
        max_size=6,
    ),
    data=st.data(),
)
def test_any_order_and_form_gives_the_same_vectors(vectors, data):
    items = [
        {"index": at, "embedding": packed(*one) if data.draw(st.booleans()) else one}
        for at, one in enumerate(vectors)
    ]
    shuffled = data.draw(st.permutations(items))
    placed = place_vectors(shuffled, len(vectors))
    assert [vector.text for vector in placed] == [packed(*one) for one in vectors]
