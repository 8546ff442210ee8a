"""How files and batches behave: durations, limits, outcomes and faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from llmframe.testing.faults import ERRORS

STEPS = {  # by method, kind, whether an id is named, and what follows it
    ("POST", "files", False, None): "upload",
    ("GET", "files", False, None): "list_files",
    ("GET", "files", True, None): "retrieve_file",
    ("GET", "files", True, "content"): "download",
    ("DELETE", "files", True, None): "delete_file",
    ("POST", "batches", False, None): "create",
    ("GET", "batches", False, None): "list",
    ("GET", "batches", True, None): "retrieve",
    ("POST", "batches", True, "cancel"): "cancel",
}
OUTCOMES = ("completed", "failed", "expired")
FAULTS = (*ERRORS, "missing", "drop", "hang", "cut")
LINES = ("broken", "unknown", "repeated", "absent")
DAY = 86_400.0


class BatchRules(TypedDict, total=False):
    """How files and batches behave. Durations are seconds; ``server.advance`` moves the clock.

    validating, working, finalizing, cancelling: how long a batch stays in each state. While it
        works, its rows are answered evenly, in any order. ``math.inf`` keeps it there.
    window: after as long a batch expires; what it answered until then is in its files.
    outcomes: how the first, second, ... batch ends, later ones complete: ``"completed"``,
        ``"failed"`` (its file is found to be invalid) or ``"expired"`` (after ``partial`` of its
        rows).
    max_requests, max_bytes: of one file. Above them the create, or the upload, gets a 400.
    max_enqueued: tokens of all batches that have not ended (a file's bytes / 4). A batch above it
        fails, or its create gets a 429, by ``over_quota``: ``"failed"`` or ``"429"``.
    lag: how long lists do not show what was created.
    delays: step -> how long its reply takes in real seconds, not by the clock.
    faults: step -> a fault for each request, or a list: of the first, second, ... request, None
        for none. A name of ``testing.FAULTS`` with a status, ``"missing"`` (a 404), ``"drop"``
        (the connection ends; an upload's half-way), ``"hang"``, or ``"cut"`` (a download ends
        half-way). ``"done:500"``, ``"done:drop"``, ...: after the step was done.
    lines: part of a row's text -> how its line in the results is spoilt: ``"broken"`` JSON, an
        ``"unknown"`` custom_id, ``"repeated"``, or ``"absent"``.

    The steps are upload, list_files, retrieve_file, download, delete_file, create, list, retrieve
    and cancel.
    """

    validating: float
    working: float
    finalizing: float
    cancelling: float
    window: float
    outcomes: Sequence[str]
    partial: float
    max_requests: int
    max_bytes: int
    max_enqueued: float
    over_quota: str
    lag: float
    delays: Mapping[str, float]
    faults: Mapping[str, str | Sequence[str | None]]
    lines: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The checked rules of one server; ``BatchRules`` says what they mean."""

    validating: float = 0.0
    working: float = 0.0
    finalizing: float = 0.0
    cancelling: float = 0.0
    window: float = DAY
    outcomes: Sequence[str] = ()
    partial: float = 0.5
    max_requests: int = 50_000
    max_bytes: int = 200_000_000
    max_enqueued: float = float("inf")
    over_quota: str = "failed"
    lag: float = 0.0
    delays: Mapping[str, float] = field(default_factory=dict)
    faults: Mapping[str, str | Sequence[str | None]] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _known("outcomes", self.outcomes, OUTCOMES)
        _known("over_quota", [self.over_quota], ("failed", "429"))
        _known("delays", self.delays, STEPS.values())
        _known("faults", self.faults, STEPS.values())
        named = {name for given in self.faults.values() for name in _names(given)}
        _known("faults", {name.removeprefix("done:") for name in named}, FAULTS)
        _known("lines", self.lines.values(), LINES)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rules:
        """The rules by name. ValueError for an unknown name or a value that cannot be."""
        _known("batches", given, [each.name for each in fields(cls)])
        return cls(**given)

    def fault(self, step: str, turn: int) -> str | None:
        """The fault of a step's request number ``turn``, from 0."""
        given = self.faults.get(step)
        if given is None or isinstance(given, str):
            return given
        return given[turn] if turn < len(given) else None

    def spoiling(self, row: str) -> str | None:
        """How the line of a row's result is spoilt, None for not at all."""
        return next((how for part, how in self.lines.items() if part in row), None)

    def outcome(self, number: int) -> str:
        """How batch ``number`` ends, from 0."""
        return self.outcomes[number] if number < len(self.outcomes) else "completed"


def _names(given: str | Sequence[str | None]) -> list[str]:
    return [given] if isinstance(given, str) else [name for name in given if name]


def _known(what: str, names: Any, known: Any) -> None:
    """ValueError for a name that is not known."""
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{what}: no {unknown[0]!r}; there are {', '.join(known)}")
