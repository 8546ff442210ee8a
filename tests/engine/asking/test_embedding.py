"""Rows as requests for embeddings: the body, each text's share of the usage, and each result."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.engine.asking.embedding import Capacity, EmbeddingAsker, shares
from llmframe.engine.row import Row
from llmframe.engine.wire.reply import Reply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import Dialect
from llmframe.results import Usage


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def asker(dimensions=None, **options):
    return EmbeddingAsker(Settings(model="m", **options), Capacity(100, 10_000, dimensions))


def row(*texts):
    first, *others = (Row(at, bytes([at]), text) for at, text in enumerate(texts))
    first.others = others
    return first


def reply(*vectors):
    items = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return Reply(None, "stop", None, Usage(10), {}, vectors=items)


def test_a_request_has_all_its_texts_and_asks_for_base64():
    body = asker(dimensions=256).body(row("a", "b"), Dialect())
    assert body == {
        "model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64",
    }  # fmt: skip


def test_where_base64_is_refused_the_parameter_is_left_out():
    body = asker().body(row("a"), Dialect().without("encoding_format"))
    assert body == {"model": "m", "input": ["a"]}


def test_what_the_person_adds_wins_except_the_texts():
    extra = {"encoding_format": "float", "input_type": "query", "input": ["other"]}
    made = asker(extra_body=extra)
    body = made.body(row("a"), Dialect())
    assert (body["encoding_format"], body["input_type"]) == ("float", "query")
    assert body["input"] == ["a"]
    assert made.features(row("a")) == frozenset()  # a refusal is the person's to hear


def test_every_member_gets_its_own_vector():
    results = asker().results(row("a", "b"), reply(packed(1.0), packed(2.0)), final=False)
    assert [result.values for result in results] == [
        {"embedding": packed(1.0)}, {"embedding": packed(2.0)},
    ]  # fmt: skip


def test_only_the_member_without_a_vector_is_asked_again():
    found = asker().results(row("a", "b"), reply(packed(1.0), None), final=False)
    assert [result and result.status for result in found] == ["ok", None]


def test_alone_it_is_asked_once_more_and_then_fails():
    made, alone = asker(), row("a")
    assert made.results(alone, reply(None), final=False) == [None]
    [result] = made.results(alone, reply(None), final=False)
    assert str(result.error) == "output: its vector is neither base64 nor a list of numbers"
    assert result.usage == Usage(20)


def test_a_vector_of_another_length_fails_at_once():
    made = asker()
    made.results(row("a"), reply(packed(1.0, 2.0)), final=False)
    [result] = made.results(row("b"), reply(packed(1.0)), final=False)
    assert "has 1 numbers, those of other rows 2" in str(result.error)


def test_a_model_that_ignores_dimensions_is_told_so():
    [result] = asker(dimensions=2).results(row("a"), reply(packed(1.0)), final=False)
    assert "dimensions=2 was asked for" in str(result.error)


def test_stored_vectors_of_another_length_or_none_are_asked_again():
    holds = asker(dimensions=2).recheck
    assert holds({"embedding": packed(1.0, 2.0)})
    assert not holds({"embedding": packed(1.0)})
    assert not holds({"embedding": "?"})
    assert not holds({})


@given(
    st.lists(st.text(max_size=20), min_size=1, max_size=30),
    st.integers(0, 10**8),
    st.floats(0, 100) | st.none(),
)
def test_the_shares_of_a_request_add_up_to_the_whole(texts, tokens, cost):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    usage = Usage(tokens, 0, cost, tokens // 2, 1, "USD")
    found = shares(usage, row(*texts).members)
    total = sum(found[1:], found[0])
    assert (total.tokens_in, total.tokens_cached, total.estimated) == (tokens, tokens // 2, 1)
    assert total.cost == (None if cost is None else pytest.approx(cost))
    assert all(min(share.tokens_in, share.tokens_cached) >= 0 for share in found)
