"""How much a provider takes at a time."""

import pytest

from llmframe.engine.batch.room import FEWEST, LONGEST, SHORTEST, Room
from llmframe.providers.batch_limits import DEFAULT, batch_limits


def test_a_full_queue_is_tried_again_ever_later_and_with_less():
    room, waits = Room(), []
    for _ in range(20):
        room.refused("full", 0.0, requests=room.requests, halve=True)
        waits.append(room.until)
    assert 0.8 * SHORTEST <= waits[0] <= 1.2 * SHORTEST
    assert waits[0] < waits[1] < waits[2] < waits[3]
    assert max(waits) <= 1.2 * LONGEST
    assert room.requests == FEWEST
    room.accepted()
    room.refused("full", 0.0, requests=7, halve=False, at_least=5000.0)
    assert room.until == 5000.0
    assert room.requests == FEWEST


def test_what_is_too_large_is_halved():
    room = Room()
    room.too_large()
    assert room.size == DEFAULT.size // 2
    room.too_many(50_000)
    assert room.requests == 25_000


@pytest.mark.parametrize(
    ("url", "size", "purpose"),
    [
        ("https://api.openai.com/v1", 200_000_000, "batch"),
        ("https://x.openai.azure.com/openai/v1", 200_000_000, "batch"),
        ("https://api.together.xyz/v1", 100_000_000, "batch-api"),
        ("https://api.perplexity.ai", 200_000_000, "batch"),
        ("https://api.groq.com/openai/v1", 100_000_000, "batch"),
        ("https://gateway.example/v1", 100_000_000, "batch"),
    ],
)
def test_the_limits_are_those_of_the_provider(url, size, purpose):
    limits = batch_limits(url)
    assert (limits.requests, limits.size, limits.purpose) == (50_000, size, purpose)


@pytest.mark.parametrize("url", ["https://api.deepseek.com/v1", "https://api.mistral.ai/v1"])
def test_a_provider_without_such_an_api_has_no_limits(url):
    assert batch_limits(url) is None
