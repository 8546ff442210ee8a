"""The faults a server can have: which request gets which, and its form on the wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

from llmframe.testing.answers import closed_choice, resolve

Faults = Mapping[str, float] | Callable[[str, int], str | None]
Z99 = 2.3263478740408408  # the 99th percentile of the normal distribution
OFF_LIST = "off-list label"


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error as the API reports it. after: it comes with a Retry-After header."""

    status: int
    message: str
    type: str
    code: str | int | None = None
    param: str | None = None
    after: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One choice of a chat completion."""

    content: str | None
    finish_reason: str = "stop"
    refusal: str | None = None


RATE = "Rate limit reached for {model} on requests per min (RPM). Please slow down."
ERRORS: dict[str, ApiError] = {
    "429": ApiError(429, RATE, "requests", "rate_limit_exceeded"),
    "429_after": ApiError(429, RATE, "requests", "rate_limit_exceeded", after=True),
    "500": ApiError(500, "The server had an error while processing your request.", "server_error"),
    "502": ApiError(502, "Bad gateway.", "server_error"),
    "503": ApiError(503, "The engine is currently overloaded.", "server_error"),
    "503_after": ApiError(503, "The engine is currently overloaded.", "server_error", after=True),
    "content_filter": ApiError(
        400,
        "The prompt was filtered by the content management policy.",
        "invalid_request_error",
        "content_filter",
        "prompt",
    ),
    "context": ApiError(
        400,
        "This model's maximum context length is 128 tokens. Please shorten the messages.",
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
    ),
    "quota": ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "401": ApiError(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "402": ApiError(402, "Insufficient Balance", "unknown_error", "invalid_request_error"),
    "403": ApiError(403, "You have no access to this project.", "permission_error", "forbidden"),
    "404_model": ApiError(
        404, "The model {model} does not exist.", "invalid_request_error", "model_not_found"
    ),
    "error_200": ApiError(200, "Provider returned error", "provider_error", 502),
}
HTML = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
)
PAGES = ("html", "empty_choices")  # a 200 without a completion
WIRE = ("drop", "hang", "trickle")  # no answer at all
# of streams, after half of the answer; an answer that is not streamed gets the other fault
UNSTREAMED = {"break": "drop", "stall": "hang"}


def cut(content: str) -> str:
    """The first half of a content: JSON that is cut off."""
    return content[: max(1, len(content) // 2)]


def off_list(values: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The values with a label outside the list wherever the schema has a closed choice."""
    changed = dict(values)
    for name, wanted in schema.get("properties", {}).items():
        if closed_choice(wanted, schema):
            changed[name] = OFF_LIST
        elif closed_choice(resolve(wanted, schema).get("items", {}), schema):
            changed[name] = [OFF_LIST]
    return changed


SPOILT: dict[str, Callable[[str], Completion]] = {
    "malformed": lambda content: Completion(cut(content)),
    "schema": lambda _: Completion('{"unexpected": {"shape": true}}'),
    "null_content": lambda _: Completion(None),
    "blank": lambda _: Completion("   \n  "),
    "length": lambda content: Completion(cut(content), finish_reason="length"),
    "refusal": lambda _: Completion(None, refusal="I'm sorry, I can't help with that."),
}
# of replies with embeddings: of one text's vector, or of the whole list
VECTORS = ("nan_vector", "other_size", "no_vector", "left_out", "unordered", "unnumbered")
FAULTS: tuple[str, ...] = (*ERRORS, *SPOILT, "off_list", *PAGES, *WIRE, *UNSTREAMED, *VECTORS)
"""The names of all faults."""


def check_name(name: str) -> str:
    """The name, if a fault has it; else ValueError."""
    if name not in FAULTS:
        raise ValueError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    return name


def unit(seed: int, purpose: str, row: str, attempt: int) -> float:
    """A number in (0, 1) that depends on its arguments alone, not on the order of requests."""
    seeded = f"{seed}/{purpose}/{attempt}/{row}".encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(seeded, digest_size=6).digest()) + 0.5) / (1 << 48)


def choose_fault(faults: Faults, seed: int, row: str, attempt: int) -> str | None:
    """The fault of a row's attempt, None for a good answer."""
    if not isinstance(faults, Mapping):
        name = faults(row, attempt)
        return None if name is None else check_name(name)
    left = unit(seed, "fault", row, attempt) if faults else 0.0
    for name, share in faults.items():
        left -= share
        if left < 0:
            return name
    return None


def choose_latency(
    latency: float | tuple[float, float], seed: int, row: str, attempt: int
) -> float:
    """Seconds until the answer: fixed, or lognormal from (median, 99th percentile)."""
    if not isinstance(latency, tuple):
        return latency
    median, p99 = latency
    z = NormalDist().inv_cdf(unit(seed, "latency", row, attempt))
    return median * math.exp(z * math.log(p99 / median) / Z99)
