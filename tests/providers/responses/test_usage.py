"""The tokens and the money of a reply, however they are spelt."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.providers.responses.usage import read_usage
from llmframe.results import Usage

CHAT = {"prompt_tokens": 1_000, "completion_tokens": 20, "total_tokens": 1_020}
RESPONSES = {"input_tokens": 1_000, "output_tokens": 20, "total_tokens": 1_020}

CACHED = {
    "OpenAI": CHAT | {"prompt_tokens_details": {"cached_tokens": 900, "audio_tokens": 0}},
    "DeepSeek": CHAT | {"prompt_cache_hit_tokens": 900, "prompt_cache_miss_tokens": 100},
    "DeepSeek, both": CHAT
    | {"prompt_cache_hit_tokens": 900, "prompt_tokens_details": {"cached_tokens": 900}},
    "Moonshot": CHAT | {"cached_tokens": 900},
    "Responses": RESPONSES | {"input_tokens_details": {"cached_tokens": 900}},
    "Anthropic": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 900},
    "Anthropic, written too": {
        "input_tokens": 40,
        "output_tokens": 20,
        "cache_read_input_tokens": 900,
        "cache_creation_input_tokens": 60,
    },
    "a gateway, inside": CHAT | {"cache_read_input_tokens": 900},
    "a gateway, inside and in the details": CHAT
    | {"cache_read_input_tokens": 900, "prompt_tokens_details": {"cached_tokens": 900}},
    "a gateway, beside": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cache_read_input_tokens": 900,
    },
    "a gateway, beside by its total": CHAT
    | {"prompt_tokens": 940, "cache_read_input_tokens": 60, "total_tokens": 1_020},
}


@pytest.mark.parametrize("name", CACHED)
def test_cached_tokens_are_part_of_the_tokens_in(name):
    cached = 60 if "total" in name else 900
    assert read_usage(CACHED[name]) == Usage(1_000, 20, tokens_cached=cached)


@pytest.mark.parametrize(
    ("more", "out"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 15}}, 20),
        ({"completion_tokens_details": {"reasoning_tokens": 500}, "total_tokens": 1_520}, 520),
        ({"completion_tokens_details": {"reasoning_tokens": 15}, "total_tokens": 1_035}, 35),
        ({"reasoning_tokens": 500, "total_tokens": 1_520}, 520),
        ({"total_tokens": 1_520}, 520),  # Gemini does not name its thoughts
        ({"completion_tokens_details": {"reasoning_tokens": 500}, "total_tokens": None}, 520),
        ({"completion_tokens": None, "total_tokens": 1_020}, 20),
        ({"total_tokens": 3}, 20),
        ({"total_tokens": 10**7}, 20),
        ({"completion_tokens_details": {"reasoning_tokens": "many"}}, 20),
        ({"completion_tokens_details": []}, 20),
    ],
)
def test_thoughts_that_the_completion_leaves_out_are_added(more, out):
    assert read_usage(CHAT | more) == Usage(1_000, out)


@pytest.mark.parametrize("cached", [-5, "900", None, math.nan, math.inf, 10**30, 1_001, True, []])
@pytest.mark.parametrize("name", ["prompt_cache_hit_tokens", "cached_tokens", "details"])
def test_nonsense_is_no_cached_token(cached, name):
    where = {"prompt_tokens_details": {"cached_tokens": cached}}
    more = where if name == "details" else {name: cached}
    assert read_usage(CHAT | more) == Usage(1_000, 20)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [(0.0123, 0.0123), (0, 0.0), ({"total_cost": 0.5, "input_tokens_cost": 0.1}, 0.5),
     ("0.1", None), (-1, None), (math.nan, None), (1e9, None), ({}, None), (None, None)],
)  # fmt: skip
def test_the_endpoint_s_own_cost_is_read(cost, expected):
    assert read_usage(CHAT | {"cost": cost}).cost == expected


names = st.sampled_from(
    ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens",
     "prompt_tokens_details", "completion_tokens_details", "input_tokens_details",
     "cached_tokens", "reasoning_tokens", "prompt_cache_hit_tokens", "cost", "total_cost",
     "cache_read_input_tokens", "cache_creation_input_tokens"]
)  # fmt: skip
wild = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(0, 2_000) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
)


@given(wild | st.dictionaries(names, wild))
def test_wild_usage_never_breaks_a_total(stated):
    used = read_usage(stated)
    counts = (used.tokens_in, used.tokens_cached, used.tokens_out)
    assert all(type(each) is int and 0 <= each < 1e9 for each in counts)
    assert used.tokens_cached <= used.tokens_in
    assert used.cost is None or 0 <= used.cost < math.inf
    assert used + Usage() == used
