"""What the pipeline's tests share: runs in virtual time, rates, and runs over the same rows."""

from __future__ import annotations

import asyncio
from collections import deque

from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.providers.dialect import Dialect
from tests.kits import virtual_time
from tests.kits.engine import (
    Provider,
    knowing,
    numbered,
    refusal,
    reply,
    wire,
)

BAD = '{"intent": "elsewhere"}'


def run(main):
    return virtual_time.run(main())


def for_row(bad, response, otherwise=None):
    """An answer for one row, and the good one for all others."""

    def answer(text, attempt):
        if text != bad:
            return otherwise or reply()
        return response(attempt) if callable(response) else response

    return answer


def lines(checkpoint, sort='"v"'):
    return [each for each in checkpoint.path.read_text().splitlines() if sort in each]


def outcome(rows, provider, **options):
    """Run to the end; the wired pipeline."""

    async def main():
        return await wire(rows, provider, **options).run()

    return run(main)


class Bucket:
    """At most so many requests a second, and a few at once."""

    def __init__(self, rate, *, burst=1.0, retry_after=None):
        self.rate, self.burst, self.level = rate, burst, burst
        self.at = None
        self.retry_after = retry_after

    def __call__(self, text, attempt):
        now = virtual_time.now()
        earned = 0.0 if self.at is None else (now - self.at) * self.rate
        self.level, self.at = min(self.burst, self.level + earned), now
        if self.level >= 1 - 1e-9:
            self.level -= 1
            return 2.0, reply()
        wait = self.retry_after
        return 0.1, refusal((1 - self.level) / self.rate if wait == "right" else wait)


class Window:
    """At most so many requests in any minute."""

    def __init__(self, limit, *, retry_after=None):
        self.limit = limit
        self.taken = deque()
        self.retry_after = retry_after

    def __call__(self, text, attempt):
        now = virtual_time.now()
        while self.taken and self.taken[0] <= now - 60:
            self.taken.popleft()
        if len(self.taken) < self.limit:
            self.taken.append(now)
            return 2.0, reply()
        wait = self.taken[0] + 60 - now if self.retry_after == "right" else self.retry_after
        return 0.1, refusal(wait)


class Pair:
    """Two runs over the same texts, which share what is in flight."""

    def __init__(self, rows=40, provider=None, **options):
        self.governor = knowing(Governor(virtual_time.now))
        self.in_flight = InFlight()
        self.provider = provider or Provider()
        self.wired = [
            wire(
                numbered(rows), self.provider, governor=self.governor, in_flight=self.in_flight,
                **options,
            )
            for _ in range(2)
        ]  # fmt: skip

    def start(self):
        return [asyncio.create_task(each.run()) for each in self.wired]


def wired_together(*rows, provider, **options):
    """A run over each of these rows, of one governor and with the keys that are being asked."""
    governor, in_flight = Governor(asyncio.get_running_loop().time), InFlight()
    governor.understood(Dialect())
    return [
        wire(each, provider, governor=governor, in_flight=in_flight, cap=4, **options)
        for each in rows
    ]
