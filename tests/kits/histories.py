"""What happens to the rows of a run in a random history: who answers, what came back."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llmframe.journal import TaskInfo
from llmframe.task.keys import KeyMaker
from tests.kits.engine import Provider, lost_connection, refusal, reply, status_error

if TYPE_CHECKING:
    from collections.abc import Set

PROMPTS = [{"model": "m", "instructions": text} for text in ("Tag it.", "Tag it well.")]
KEYS = [KeyMaker(asked) for asked in PROMPTS]
TASKS = [TaskInfo(keys.digest, asked) for keys, asked in zip(KEYS, PROMPTS, strict=True)]
TEXTS = [f"text {i}" for i in range(12)]
NAMES = {
    keys.key(text).hex().encode(): (prompt, text)
    for prompt, keys in enumerate(KEYS)
    for text in TEXTS
}
BAD = "this is no JSON"


def chance(*what: object) -> int:
    """A number below 256 that depends on its arguments alone."""
    return blake2b(repr(what).encode(), digest_size=1).digest()[0]


def right(prompt: int, text: str) -> str:
    """The one right answer."""
    return "refund" if chance(prompt, text) % 2 else "other"


class Ledger(Provider):
    """Answers the rows of one run; now and then after a failure that passes.

    prompt: which is asked. bad: texts that fail for good. run: its number, which makes its
    luck. good: texts whose good answer came back while the run lived; dead: it does not.
    """

    def __init__(self, prompt: int, bad: Set[str], run: int) -> None:
        super().__init__(self.reply_to)
        self.prompt, self.bad, self.run = prompt, bad, run
        self.good: set[str] = set()
        self.dead = False

    def reply_to(self, text: str, attempt: int) -> Any:
        """A reply or what is raised, and how long it takes."""
        kind = chance(self.run, text) % 12 if attempt == 0 else 99
        seconds = 0.2 + chance(self.run, text, attempt) / 100
        passing = {
            0: status_error(500), 1: refusal(), 2: refusal(3), 3: reply(BAD),
            4: lost_connection(), 5: reply(None), 6: reply("{}", "length"),
        }  # fmt: skip
        if kind in passing:
            return seconds, passing[kind]
        if text in self.bad:
            return seconds, reply(None, refusal="no")
        return seconds, reply(json.dumps({"intent": right(self.prompt, text)}))

    async def send(self, body: dict[str, Any]) -> Any:
        response = await super().send(body)
        if not self.dead and '"intent"' in (response.content or ""):
            self.good.add(self.text_of(body))
        return response

    @staticmethod
    def text_of(body: dict[str, Any]) -> str:
        prompt: str = body["messages"][1]["content"]
        return prompt.split("\n", 1)[1].rsplit("\n", 1)[0]
