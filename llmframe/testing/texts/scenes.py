"""The pieces that test records are put together from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

LEVELS = ("low", "mid", "high")


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing customers write about.

    says: how they put it; details: what they may add; asks: what they want; summary: its gold
    summary. ``{slots}`` are filled with the record's product, order, amount, ...
    powered: the product must be one with a plug or a battery.
    levels: the urgencies it can have; cues: its own sentences for an urgency, where those of
    its intent do not fit.
    """

    intent: str
    says: tuple[str, ...]
    details: tuple[str, ...]
    asks: tuple[str, ...]
    summary: str
    powered: bool = False
    levels: tuple[str, ...] = LEVELS
    cues: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Language:
    """All that is needed to write records in one language."""

    scenes: tuple[Scene, ...]
    cues: dict[str, dict[str, tuple[str, ...]]]  # intent -> urgency -> sentences
    asides: tuple[str, ...]  # may stand in any record that is no praise
    openings: tuple[str, ...]  # of a letter
    hellos: tuple[str, ...]  # before a sentence
    closings: tuple[str, ...]
    topics: dict[str, tuple[str, ...]]  # intent -> subject lines
    agent_lines: tuple[str, ...]
    speakers: tuple[str, str]
    form: str  # a web form, with {topic} and {body}
    joint: str  # between sentences
    stop: str  # ends a sentence that has no end
    slips: tuple[Callable[[Random, str], str], ...]
