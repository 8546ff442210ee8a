"""The server's embeddings: the same vectors everywhere, limits of providers, and faults."""

from __future__ import annotations

import base64
import math
import struct

import openai
import pytest

from llmframe.testing import embedding, serve
from llmframe.testing.faults import VECTORS


def ask(server, texts, **more):
    client = openai.OpenAI(base_url=server.url, api_key="k", max_retries=0)
    body = {"model": "m", "input": texts, **more}
    return client.post("/embeddings", body=body, cast_to=object)


def numbers(text):
    data = base64.b64decode(text)
    return struct.unpack(f"<{len(data) // 4}f", data)


def test_a_vector_has_length_one_and_is_near_those_of_texts_with_the_same_words():
    one, other, third = map(embedding, ["my parcel is late", "is my parcel late", "a red house"])
    assert sum(x * x for x in one) == pytest.approx(1.0)
    assert one == pytest.approx(other)
    assert sum(a * b for a, b in zip(one, third, strict=True)) < 0.9


@pytest.mark.parametrize("size", [None, 8])
def test_lists_and_base64_hold_the_same_vectors(size):
    more = {} if size is None else {"dimensions": size}
    with serve() as server:
        lists = ask(server, ["a", "b c"], **more)
        texts = ask(server, ["a", "b c"], encoding_format="base64", **more)
        for text, listed, packed in zip(["a", "b c"], lists["data"], texts["data"], strict=True):
            assert listed["embedding"] == pytest.approx(embedding(text, size or 64), abs=1e-6)
            assert [*numbers(packed["embedding"])] == listed["embedding"]
        assert lists["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
        assert server.ledger.texts() == {"a": 2, "b c": 2}


@pytest.mark.parametrize(
    ("rules", "texts", "status", "words"),
    [
        ({"texts": 2}, ["a", "b", "c"], 400, "3 items, the maximum is 2"),
        ({"tokens": 2, "status": 413}, ["abcd", "efgh", "i"], 413, "Requested 3 tokens, max 2"),
        ({"text_tokens": 2}, ["a", "b" * 12], 400, "maximum context length is 2 tokens"),
        ({}, ["a", ""], 400, "cannot be an empty string"),
        ({}, [], 400, "cannot be an empty string"),
        ({}, [1, 2], 400, "could not parse"),
    ],
)
def test_what_is_above_a_limit_is_refused_and_not_paid(rules, texts, status, words):
    with serve(embeddings=rules) as server:
        with pytest.raises(openai.APIStatusError, match=words) as caught:
            ask(server, texts)
        assert caught.value.status_code == status
        assert not server.ledger.texts()


def test_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there are dimensions, texts, tokens"):
        serve(embeddings={"size": 3})


@pytest.mark.parametrize("fault", VECTORS)
def test_a_fault_spoils_the_texts_that_it_names(fault):
    with serve(fault_rows={"BAD": fault}) as server:
        data = ask(server, ["fine", "BAD"])["data"]
        found = {one.get("index"): one["embedding"] for one in data}
        if fault == "unordered":
            assert [one["index"] for one in data] == [1, 0]
        elif fault == "unnumbered":
            assert [*found] == [None]
        elif fault == "left_out":
            assert [*found] == [0]
        elif fault == "no_vector":
            assert found[1] is None
        elif fault == "other_size":
            assert (len(found[0]), len(found[1])) == (64, 65)
        else:
            assert math.isnan(found[1][0])
            assert not math.isnan(found[0][0])


def test_base64_may_be_ignored_and_dimensions_too():
    with serve(embeddings={"base64": False, "shortens": False}) as server:
        [one] = ask(server, "a", encoding_format="base64", dimensions=8)["data"]
        assert len(one["embedding"]) == 64
