"""Customer-service records in English and Chinese with gold labels, for tests and notebooks."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from llmframe.testing.texts.languages import CHINESE, ENGLISH
from llmframe.testing.texts.slots import pick

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmframe.testing.texts.languages import Language, Scene

GOLD = ("intent", "urgency", "summary")
INTENTS = {
    "refund": 0.22,
    "delivery": 0.26,
    "billing": 0.17,
    "account": 0.13,
    "praise": 0.10,
    "other": 0.12,
}
"""The intents and about how often each comes."""
URGENCIES = {"low": 0.32, "mid": 0.42, "high": 0.26}
"""The urgencies and about how often each comes, where a matter can have all three."""
STYLES = {"chat": 0.34, "plain": 0.28, "mail": 0.24, "form": 0.07, "dialogue": 0.07}
CHINESE_SHARE = 0.3
BLANK_TEXTS = (None, "", "   ", "\n")


def records(
    n: int = 10_000, seed: int = 0, *, blanks: float = 0.0, duplicates: float = 0.0
) -> list[dict[str, Any]]:
    """n customer-service records, about 30 % of them in Chinese, the rest in English.

    Each is a dict of ``id``, ``text`` and the gold labels ``intent`` (refund, delivery, billing,
    account, praise, other), ``urgency`` (low, mid, high) and ``summary``. All texts differ, save
    blanks: the share of records whose text is None or blank, and whose labels are None;
    duplicates: the share of records that repeat an earlier text.

    The same seed gives the same records on every machine, and more of them begin with the same.
    Only records that are blank or repeated differ from those of ``records(n, seed)``.
    """
    rng = Random(f"{seed}/repeats")
    rows: list[dict[str, Any]] = []
    for i, written in zip(range(n), _written(seed), strict=False):
        chance, row = rng.random(), written
        if chance < blanks:
            row = dict.fromkeys(("text", *GOLD)) | {"text": pick(rng, BLANK_TEXTS)}
        elif chance < blanks + duplicates and rows:
            row = {k: v for k, v in pick(rng, rows).items() if k != "id"}
        rows.append({"id": f"CS-{i + 1:05d}", **row})
    return rows


def _written(seed: int) -> Iterator[dict[str, Any]]:
    """Records without end, no text twice."""
    rng = Random(f"{seed}/records")
    seen: set[str] = set()
    while True:
        row = _record(rng)
        if row["text"] not in seen:
            seen.add(row["text"])
            yield row


def _record(rng: Random) -> dict[str, Any]:
    language = CHINESE if rng.random() < CHINESE_SHARE else ENGLISH
    intent = _weighted(rng, INTENTS)
    scene = pick(rng, [scene for scene in language.scenes if scene.intent == intent])
    slots = language.fill(rng, language.vocabulary, scene.powered)
    levels = ("low",) if intent == "praise" else scene.levels
    urgency = _weighted(rng, {level: URGENCIES[level] for level in levels})
    return {
        "text": _Letter(rng, language, scene, urgency, slots).text(),
        "intent": intent,
        "urgency": urgency,
        "summary": scene.summary.format_map(slots),
    }


def _weighted(rng: Random, shares: dict[str, float]) -> str:
    left = rng.random() * sum(shares.values())
    for name, share in shares.items():
        left -= share
        if left < 0:
            return name
    return name


class _Letter:
    """One text: its sentences, and the style they are put down in."""

    def __init__(
        self, rng: Random, language: Language, scene: Scene, urgency: str, slots: dict[str, str]
    ) -> None:
        self.rng, self.language, self.scene = rng, language, scene
        self.urgency, self.slots = urgency, slots
        self.style = _weighted(rng, STYLES)

    def text(self) -> str:
        says, *rest = self.mistyped(self.sentences())
        body = self.language.joint.join([says, *rest])
        match self.style:
            case "mail":
                ends = self.one(self.language.openings), self.one(self.language.closings)
                return f"{ends[0]}\n\n{body}\n\n{ends[1]}"
            case "form":
                topic = self.one(self.language.topics[self.scene.intent])
                return self.language.form.format(**self.slots, topic=topic, body=body)
            case "dialogue":
                return self.dialogue(says, rest)
            case "plain" if self.rng.random() < 0.5:
                return f"{self.one(self.language.hellos)}{self.language.joint}{body}"
            case _:
                return body

    def dialogue(self, says: str, rest: list[str]) -> str:
        asker, agent = self.language.speakers
        lines = [
            asker + self.one(self.language.hellos) + self.language.joint + says,
            agent + self.one(self.language.agent_lines),
            asker + self.language.joint.join(rest),
        ]
        return "\n".join(lines)

    def sentences(self) -> list[str]:
        """What the customer says, first the matter itself."""
        scene, brief = self.scene, self.style == "chat"
        parts = [self.one(scene.says)]
        details = self.few(scene.details, 1 if brief else 3)
        if scene.intent != "praise" and not brief:
            details += self.few(self.language.asides, 2 if self.style == "mail" else 1)
        parts += details
        if self.rng.random() < (0.7 if brief else 0.9):
            parts.append(self.one(scene.asks))
        cue = self.cue()
        if cue:
            parts.insert(max(1, len(parts) - int(self.rng.random() * 1.3)), cue)
        stop = self.language.stop
        return [*(p + stop if p[-1].isalnum() else p for p in parts[:-1]), parts[-1]]

    def mistyped(self, parts: list[str]) -> list[str]:
        """The sentences as they are typed: now and then with one or two slips."""
        text = "\n".join(parts)
        if self.rng.random() < (0.4 if self.style == "chat" else 0.12):
            for _ in range(1 + int(self.rng.random() * 2)):
                text = pick(self.rng, self.language.slips)(self.rng, text)
        return text.split("\n")

    def cue(self) -> str:
        """The sentence that shows the urgency; a plain request without one is "mid"."""
        if self.scene.intent == "praise" or (self.urgency == "mid" and self.rng.random() < 0.3):
            return ""
        own = self.scene.cues.get(self.urgency)
        return self.one(own or self.language.cues[self.scene.intent][self.urgency])

    def one(self, templates: Sequence[str]) -> str:
        return pick(self.rng, templates).format_map(self.slots)

    def few(self, templates: Sequence[str], most: int) -> list[str]:
        """None to ``most`` of the templates, no one twice."""
        left, found = list(templates), []
        for _ in range(int(self.rng.random() * (min(most, len(left)) + 1))):
            found.append(left.pop(int(self.rng.random() * len(left))).format_map(self.slots))
        return found
