"""The tokens and money that a reply states, in whichever of the usual spellings.

Most endpoints count cached tokens inside the prompt's and thoughts inside the completion's. Some
count them beside: Anthropic's ``cache_read_input_tokens``, the thoughts of xAI and Gemini. The
total shows which it is.
"""

from __future__ import annotations

from typing import Any

from llmframe.results import Usage

MOST_TOKENS = 1e8  # of one request; ten times the longest context there is
LONGEST_THOUGHTS = 1e6  # tokens; a total that leaves more unexplained is junk
MOST_MONEY = 1e6  # for one request, in any currency

_IN = ("prompt_tokens", "input_tokens")
_OUT = ("completion_tokens", "output_tokens")
_HITS = ("prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek; Moonshot
_READ, _WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"


def read_usage(stated: object) -> Usage:
    """What a reply's ``usage`` says; 0 for tokens, None for a cost, where it says nothing usable.

    A count of cached tokens above the prompt's is nothing usable.
    """
    if not isinstance(stated, dict):
        return Usage()
    total = _tokens(stated, "total_tokens")
    tokens_in, tokens_out = _tokens(stated, *_IN), _tokens(stated, *_OUT)
    beside = _beside(stated, tokens_in, total - tokens_in - tokens_out)
    cached = _tokens(stated, _READ) if beside else _inside(stated) or _tokens(stated, _READ)
    tokens_in += beside
    if tokens_in:  # else half the usage is missing, and the rest of the total may be anything
        tokens_out += _thoughts_beside(stated, tokens_out, total - tokens_in - tokens_out)
    usable = cached if cached <= tokens_in else 0
    return Usage(tokens_in, tokens_out, _cost(stated.get("cost")), tokens_cached=usable)


def _inside(stated: dict[str, Any]) -> int:
    """Cached tokens that the prompt's tokens include."""
    details = (stated.get(f"{name}_details") for name in _IN)
    counts = [_tokens(each, "cached_tokens") for each in details if isinstance(each, dict)]
    return max(counts, default=0) or _tokens(stated, *_HITS)


def _beside(stated: dict[str, Any], tokens_in: int, unexplained: int) -> int:
    """Tokens read from or written to the cache that the prompt's tokens leave out."""
    read, written = _tokens(stated, _READ), _tokens(stated, _WRITTEN)
    if "prompt_tokens" not in stated:
        # Anthropic's own spelling; Responses has the same names, but details of its own
        return 0 if _inside(stated) else read + written
    left_out = read > tokens_in or (unexplained > 0 and unexplained == read + written)
    return read + written if left_out else 0


def _thoughts_beside(stated: dict[str, Any], tokens_out: int, unexplained: int) -> int:
    """Tokens of thoughts that the completion's tokens leave out."""
    details = (stated.get(f"{name}_details") for name in _OUT)
    counts = [_tokens(each, "reasoning_tokens") for each in details if isinstance(each, dict)]
    thoughts = max(counts, default=0) or _tokens(stated, "reasoning_tokens")
    if thoughts > tokens_out:  # they cannot be inside
        return thoughts
    return unexplained if 0 < unexplained < LONGEST_THOUGHTS else 0


def _tokens(stated: dict[str, Any], *names: str) -> int:
    """The first of these counts that is usable; else 0."""
    counts = (_amount(stated.get(name), MOST_TOKENS) for name in names)
    return next((int(count) for count in counts if count), 0)


def _cost(stated: object) -> float | None:
    """Money; Perplexity states the parts and their sum."""
    if isinstance(stated, dict):
        stated = stated.get("total_cost")
    cost = _amount(stated, MOST_MONEY)
    return None if cost is None else float(cost)


def _amount(value: object, most: float) -> int | float | None:
    """A number from 0; None for all else, infinity and not-a-number included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < most else None
