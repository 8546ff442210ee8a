"""Composed replies against an oracle: never a wrong value, a draft or a crash, and few requests.

python -m tests.strangers.composed --examples 10000
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import httpx2

from llmframe.engine.asking.asking import Asker
from llmframe.engine.row import Row
from llmframe.engine.wire.reply import read_reply
from llmframe.engine.wire.verdict import BadReply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import FULL_DIALECT
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt
from tests.strangers.composing import FIELDS, Composed, as_stream, compose, record

PROMPT = Prompt("Tag it.", resolve_fields(FIELDS))
MOST_PAID_IF_SURE, MOST_PAID = 2, 3
BROKEN = 2  # replies that the server broke off, at most
SHOWN = 5  # failures that are printed


@dataclass
class Figures:
    """What came of all examples."""

    examples: int = 0
    wrong_values: int = 0
    drafts_taken: int = 0
    crashes: int = 0
    too_many_paid: int = 0
    not_answered: int = 0  # although a reply was given in which one reading is sure
    most_paid_if_sure: int = 0
    most_paid: int = 0
    first_reply_was_enough: int = 0
    sure_at_first: int = 0
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str, replies: list[bytes], found: object) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.failures) < SHOWN:
            texts = [body.decode(errors="replace") for body in replies]
            self.failures.append("\n   ".join([f"{what}: {found}", *texts]))

    @property
    def is_good(self) -> bool:
        return not self.failures


def ask(bodies: list[bytes]) -> tuple[Any, Row]:
    """Put the replies to the layer that reads them, one after the other, until the row is done."""
    asker = Asker(PROMPT, Settings(model="m", details=True), nonce="n")
    row = Row(0, b"k", "a record")
    for body in bodies:
        row.note_sent(0.0, FULL_DIALECT)
        try:
            reply = read_reply(httpx2.Response(200, content=body))
        except BadReply as exc:
            if not exc.broken_off:
                raise
            continue  # the server's failure: sent again as it was
        result = asker.read(row, reply, final=False)
        if result is not None:
            return result, row
    raise AssertionError(f"the row is not done after {len(bodies)} replies")


def try_one(rng: random.Random, figures: Figures) -> None:
    """One row: a composed reply, then another or a plain good one, at most three in all."""
    gold = record(rng)
    replies = [compose(gold, rng) for _ in range(MOST_PAID + BROKEN)]
    while sum(each.end == "broken" for each in replies) > BROKEN:
        replies = [compose(gold, rng) for _ in range(MOST_PAID + BROKEN)]
    bodies = [as_stream(each.completion, rng) for each in replies]
    if rng.random() < 0.5:
        replies[1] = Composed({}, sure=True, holds=True)
        bodies[1] = _plain(gold)
    figures.examples += 1
    try:
        result, row = ask(bodies)
    except Exception:  # noqa: BLE001 - whatever it is, it is a crash of ours
        figures.fail("crashes", bodies, traceback.format_exc(limit=3))
        return
    _judge(figures, gold, replies, bodies, (result, row.paid))


def _plain(gold: dict[str, Any]) -> bytes:
    message = {"content": json.dumps(gold)}
    usage = {"prompt_tokens": 100, "completion_tokens": 30}
    return json.dumps({"choices": [{"message": message}], "usage": usage}).encode()


def _judge(
    figures: Figures,
    gold: dict[str, Any],
    replies: list[Composed],
    bodies: list[bytes],
    outcome: tuple[Any, int],
) -> None:
    result, paid = outcome
    read = [each for each in replies if each.end != "broken"]
    taken = read[paid - 1]
    is_ok = result.status == "ok"
    if is_ok and result.values != gold:
        is_draft = result.values["note"] == "a draft"
        figures.fail("drafts_taken" if is_draft else "wrong_values", bodies[:paid], result.values)
    elif is_ok and not taken.holds:
        figures.fail("drafts_taken", bodies[:paid], "an answer where there was none")
    final = next((n for n, each in enumerate(read) if each.end == "withheld"), MOST_PAID)
    is_sure = any(each.sure for each in read[: min(2, final)])
    figures.most_paid = max(figures.most_paid, paid)
    figures.sure_at_first += replies[0].sure
    figures.first_reply_was_enough += is_ok and paid == 1
    if is_sure:
        figures.most_paid_if_sure = max(figures.most_paid_if_sure, paid)
        if not is_ok:
            figures.fail("not_answered", bodies[:paid], result.error)
    if paid > (MOST_PAID_IF_SURE if is_sure else MOST_PAID):
        figures.fail("too_many_paid", bodies[:paid], paid)


def run(examples: int, seed: int) -> Figures:
    """The figures of so many composed rows."""
    rng, figures = random.Random(seed), Figures()
    for _ in range(examples):
        try_one(rng, figures)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    began = time.perf_counter()
    figures = run(options.examples, seed)
    print(f"seed {seed}, {time.perf_counter() - began:.1f} s")
    for name, value in vars(figures).items():
        if name != "failures":
            print(f"{name.replace('_', ' '):26} {value}")
    for each in figures.failures:
        print(f"\n{each}")
    return 0 if figures.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
