"""The languages of the test records: the data of ``customers.json``, with the code it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from llmframe.testing.texts.slots import Vocabulary, fill_chinese, fill_english
from llmframe.testing.texts.typos import SLIPS_EN, SLIPS_ZH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

LEVELS = ("low", "mid", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One thing customers write about.

    says: how they put it; details: what they may add; asks: what they want; summary: its gold
    summary. ``{slots}`` are filled with the record's product, order, amount, ...
    powered: the product must be one with a plug or a battery.
    levels: the urgencies it can have; cues: its own sentences for an urgency, where those of
    its intent do not fit.
    """

    intent: str
    says: Sequence[str]
    details: Sequence[str]
    asks: Sequence[str]
    summary: str
    powered: bool = False
    levels: Sequence[str] = LEVELS
    cues: dict[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """All that is needed to write records in one language."""

    scenes: Sequence[Scene]
    vocabulary: Vocabulary
    cues: dict[str, dict[str, Sequence[str]]]  # intent -> urgency -> sentences
    asides: Sequence[str]  # may stand in any record except praise
    openings: Sequence[str]  # of a letter
    hellos: Sequence[str]  # before a sentence
    closings: Sequence[str]
    topics: dict[str, Sequence[str]]  # intent -> subject lines
    agent_lines: Sequence[str]
    speakers: Sequence[str]  # customer, agent
    form: str  # a web form, with {topic} and {body}
    joint: str  # between sentences
    stop: str  # ends a sentence that has no end
    slips: Sequence[Callable[[Random, str], str]]
    fill: Callable[[Random, Vocabulary, bool], dict[str, str]]  # makes the slots of one record


def _language(data: dict[str, Any], **code: Any) -> Language:
    scenes = [Scene(**scene) for scene in data.pop("scenes")]
    return Language(scenes=scenes, vocabulary=Vocabulary(**data.pop("vocabulary")), **data, **code)


# As bytes, because json knows them to be UTF-8, and the locale's encoding may be another.
_DATA = json.loads(resources.files(__package__).joinpath("customers.json").read_bytes())
ENGLISH = _language(_DATA["english"], slips=SLIPS_EN, fill=fill_english)
CHINESE = _language(_DATA["chinese"], slips=SLIPS_ZH, fill=fill_chinese)
