"""A server's options, checked once and able to travel to another process."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, get_args

from llmframe.testing.batches import BatchRules, Rules
from llmframe.testing.embeddings.serving import EmbeddingRules
from llmframe.testing.faults import Faults, check_name
from llmframe.testing.limits import LimiterKind

if TYPE_CHECKING:
    from llmframe.testing.answers import Answer

UNSUPPORTED = (
    "json_schema",
    "json_object",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "seed",
    "logprobs",
    "top_logprobs",
    "encoding_format",
    "dimensions",
    "stream",
    "stream_options",
)

USAGES = ("openai", "deepseek", "anthropic", "responses", "openrouter")


class Changes(TypedDict, total=False):
    """The options by name; ``serve`` says what they mean."""

    latency: float | tuple[float, float]
    answer: Mapping[str, Any] | Answer | str | None
    faults: Faults
    fault_rows: Mapping[str, str]
    rpm: float | None
    tpm: float | None
    limiter: LimiterKind
    burst: float
    claimed: float | None
    max_in_flight: int | None
    slots: int | None
    stream: float | None
    retry_after: float | str | None
    headers: bool
    key: str | None
    echo_key: bool
    models: tuple[str, ...]
    apis: tuple[str, ...]
    batches: BatchRules | None
    embeddings: Mapping[str, Any]
    unsupported: tuple[str, ...]
    most_labels: int | None
    most_label_characters: int | None
    logprobs: bool
    cache: bool
    usage: str | None
    prices: Mapping[str, float]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The checked options of one server; ``serve`` says what they mean."""

    latency: float | tuple[float, float] = 0.0
    answer: Mapping[str, Any] | Answer | str | None = None
    faults: Faults = field(default_factory=dict)
    fault_rows: Mapping[str, str] = field(default_factory=dict)
    rpm: float | None = None
    tpm: float | None = None
    limiter: LimiterKind = "bucket"
    burst: float = 1.0
    claimed: float | None = None
    max_in_flight: int | None = None
    slots: int | None = None
    stream: float | None = None
    retry_after: float | str | None = 1.0
    headers: bool = True
    key: str | None = None
    echo_key: bool = False
    models: tuple[str, ...] = ("test-model",)
    batches: BatchRules | None = field(default_factory=BatchRules)
    apis: tuple[str, ...] = ("chat", "responses", "embeddings")
    embeddings: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    most_labels: int | None = None
    most_label_characters: int | None = None
    logprobs: bool = True
    cache: bool = False
    usage: str | None = "openai"
    prices: Mapping[str, float] = field(default_factory=lambda: {"in": 1.0, "out": 2.0})
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latency", "models", "apis", "unsupported"):  # JSON knows lists only
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        check_latency(self.latency)
        check_answer(self.answer)
        EmbeddingRules.of(self.embeddings)
        check_faults(self.faults, self.fault_rows)
        Rules.of(self.batches or {})
        for name in (
            *("rpm", "tpm", "max_in_flight", "slots", "stream"),
            *("most_labels", "most_label_characters"),
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}; it must be above 0, or None for no limit")
        if self.limiter not in get_args(LimiterKind):
            raise ValueError(f"limiter={self.limiter!r}; it is one of {get_args(LimiterKind)}")
        if self.usage not in (None, *USAGES):
            raise ValueError(f"usage={self.usage!r}; it is one of {USAGES}, or None for none")
        if unknown := set(self.unsupported) - set(UNSUPPORTED):
            raise ValueError(f"unsupported={sorted(unknown)}; known are {UNSUPPORTED}")

    def changed(self, changes: Mapping[str, Any]) -> Options:
        """A copy with some options changed. ValueError for an unknown name or a wrong value."""
        names = [f.name for f in dataclasses.fields(self)]
        if unknown := [name for name in changes if name not in names]:
            raise ValueError(f"no option {unknown[0]!r}; there are {', '.join(names)}")
        return dataclasses.replace(self, **changes)

    def limits(self) -> tuple[float | None, float | None, LimiterKind, float, float | None]:
        """What the limits are made of."""
        return self.rpm, self.tpm, self.limiter, self.burst, self.claimed


def check_latency(latency: object) -> None:
    """ValueError unless it is seconds, or (median, p99) in seconds."""
    match latency:
        case int() | float() if 0 <= latency < math.inf:
            return
        case (int() | float() as median, int() | float() as p99) if 0 < median <= p99 < math.inf:
            return
    raise ValueError(
        f"latency={latency!r}; it is seconds from 0, or (median, p99) with 0 < median <= p99"
    )


def check_answer(answer: object) -> None:
    """ValueError unless it is None, "gold", "gold:SEED", a mapping or a callable."""
    gold = isinstance(answer, str) and (
        answer == "gold" or (answer.startswith("gold:") and answer[5:].isdecimal())
    )
    if not (answer is None or gold or isinstance(answer, Mapping) or callable(answer)):
        raise ValueError(
            f'answer={answer!r}; it is None, "gold", "gold:SEED", a mapping from row text'
            " to an answer, or a callable (text, request body) -> dict or str"
        )


def check_faults(faults: Faults, rows: Mapping[str, str]) -> None:
    """ValueError for an unknown fault or shares that are no shares."""
    shares = faults if isinstance(faults, Mapping) else {}
    for name in (*shares, *rows.values()):
        check_name(name)
    if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"faults={dict(shares)}; shares are from 0 and sum up to 1 at most")


def portable(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options as JSON values. ValueError for a callable: it cannot go to another process."""
    for name, value in changes.items():
        if callable(value):
            raise ValueError(  # noqa: TRY004 - as for every option that cannot be
                f"{name}={value!r} is a callable, which a server in another process cannot get;"
                " give a mapping, or serve with process=False"
            )
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in changes.items()}
