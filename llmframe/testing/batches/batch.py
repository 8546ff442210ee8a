"""One batch, from its creation to its end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import IO, TYPE_CHECKING, Any

from llmframe.testing.batches.lines import EXPIRED, Check, problem, result, spoilt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmframe.testing.batches.clock import Clock
    from llmframe.testing.batches.files import Files, Stored
    from llmframe.testing.batches.rules import Rules
    from llmframe.testing.ledger import Call
    from llmframe.testing.wire import Reply

    # a request's body, its URL and the batch's id -> the reply (None for none), and its entry
    Answer = Callable[[dict[str, Any], str, str], tuple[Reply | None, Call]]

ENDED = ("completed", "failed", "expired", "cancelled")
SLICE = 100  # rows answered in one go, about 10 ms, so that the server goes on replying


@dataclass(frozen=True, slots=True)
class Context:
    """What all batches of a server share."""

    clock: Clock
    files: Files
    rules: Callable[[], Rules]
    answer: Answer


class Batch:
    """A batch and its work. shown: the object that the API returns. listed: as in Stored.

    tokens: what it has in the queue. outcome: see ``BatchRules``.
    """

    def __init__(
        self, shown: dict[str, Any], *, source: Stored, outcome: str, context: Context
    ) -> None:
        self.shown = shown
        self.listed = context.clock.now() + context.rules().lag
        self.tokens = source.shown["bytes"] // 4
        self.outcome = outcome
        self._since = context.clock.now()  # when its state began, had it all been done at once
        self._source = source.path
        self._context = context
        self._offsets: list[int] = []  # of the rows that are not answered
        self._counts: dict[str, int] = shown["request_counts"]
        self._spent: Counter[str] = Counter()

    def has_ended(self) -> bool:
        """Nothing more is going to happen to it."""
        return self.shown["status"] in ENDED

    def cancel(self) -> None:
        """End it with what it has answered."""
        self._since = self._context.clock.now()
        self._enter("cancelling")
        self._context.clock.wake()

    def fail(self, *problems: dict[str, Any]) -> None:
        """End it before any work is done."""
        self.shown["errors"] = {"object": "list", "data": list(problems)}
        self._enter("failed")

    async def run(self) -> None:
        """Live from validating to the end."""
        rules = self._context.rules
        goes_on = await self._reaches(lambda: self._since + rules().validating)
        if problems := await self._validate():
            self.fail(*problems)
            return
        if goes_on:
            self._since += rules().validating
            self._enter("in_progress")
        output, errors = self._context.files.new_path(), self._context.files.new_path()
        with output.open("wb") as good, errors.open("wb") as bad:
            if goes_on:
                await self._work(good, bad)
            ending = await self._finish(bad)
        self._keep(output, "output")
        self._keep(errors, "error")
        self.shown["usage"] = self._usage()
        self._enter(ending)

    def _enter(self, status: str) -> None:
        self.shown["status"] = status
        self.shown[f"{status}_at"] = int(self._context.clock.now())

    async def _reaches(self, due: Callable[[], float]) -> bool:
        """Wait for a time; False, perhaps before it, where it is cancelled or expires by then."""
        shown, expires = self.shown, self.shown["expires_at"]

        def end() -> float:
            return 0.0 if shown["status"] == "cancelling" else min(due(), expires)

        await self._context.clock.until(end)
        # a test may have moved the clock beyond both: what was due before the end is done
        return bool(shown["status"] != "cancelling" and due() < expires)

    async def _validate(self) -> list[dict[str, Any]]:
        """What is wrong with the file; notes where its rows begin."""
        if self.outcome == "failed":
            return [problem("invalid_json_line", "This line is not parseable as valid JSON.", 1)]
        check, offset = Check(self.shown["endpoint"]), 0
        with self._source.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    check.add(line, number)
                    self._offsets.append(offset)
                offset += len(line)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
        self._counts["total"] = len(self._offsets)
        self.shown["model"] = check.model
        if not self._offsets:
            return [problem("empty_file", "The input file has no requests.")]
        return check.problems

    async def _work(self, good: IO[bytes], bad: IO[bytes]) -> None:
        """Answer the rows in any order, evenly over the time that this takes."""
        rules = self._context.rules
        total = last = len(self._offsets)
        if self.outcome == "expired":
            last = int(total * rules().partial)
        Random(self.shown["id"]).shuffle(self._offsets)
        step = max(1, min(SLICE, total // 20))
        with self._source.open("rb") as lines:
            for done in range(0, last, step):
                share = min(done + step, last) / total
                if not await self._reaches(partial(self._share_done, share)):
                    return
                for _ in range(min(step, last - done)):
                    lines.seek(self._offsets.pop())
                    self._answer(json.loads(lines.readline()), good, bad)
                await asyncio.sleep(0)

    def _share_done(self, share: float) -> float:
        """When a share of its rows is answered."""
        return self._since + self._context.rules().working * share

    def _answer(self, asked: dict[str, Any], good: IO[bytes], bad: IO[bytes]) -> None:
        """Answer one request, and write its line."""
        reply, call = self._context.answer(asked["body"], asked["url"], self.shown["id"])
        self._spent.update(input=call.tokens_in, cached=call.tokens_cached, output=call.tokens_out)
        is_good = reply is not None and reply.status == 200
        self._counts["completed" if is_good else "failed"] += 1
        number = self._counts["completed"] + self._counts["failed"]
        how = self._context.rules().spoiling(call.row)
        name = f"unknown-{number}" if how == "unknown" else asked["custom_id"]
        written = result(f"{self.shown['id']}_{number}", name, reply)
        (good if is_good else bad).writelines(spoilt([written], how))

    async def _finish(self, bad: IO[bytes]) -> str:
        """Do what follows the work; returns the last status."""
        clock, rules = self._context.clock, self._context.rules
        if self.shown["status"] == "cancelling":
            await clock.until(lambda: self._since + rules().cancelling)
            return "cancelled"
        if self._offsets:
            with self._source.open("rb") as lines:
                for offset in self._offsets:
                    lines.seek(offset)
                    name = json.loads(lines.readline())["custom_id"]
                    bad.write(result(f"{self.shown['id']}_at_{offset}", name, None, EXPIRED))
            return "expired"
        self._since += rules().working
        self._enter("finalizing")
        await clock.until(lambda: self._since + rules().finalizing)
        return "completed"

    def _keep(self, path: Path, kind: str) -> None:
        """Offer what was written as a file; an empty one is not offered, as at OpenAI."""
        if path.stat().st_size:
            name = f"{self.shown['id']}_{kind}.jsonl"
            lag = self._context.rules().lag
            stored = self._context.files.add(path, name, "batch_output", lag=lag)
            self.shown[f"{kind}_file_id"] = stored.shown["id"]

    def _usage(self) -> dict[str, Any]:
        spent = self._spent
        return {
            "input_tokens": spent["input"],
            "input_tokens_details": {"cached_tokens": spent["cached"]},
            "output_tokens": spent["output"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": spent["input"] + spent["output"],
        }
