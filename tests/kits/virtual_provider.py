"""A provider with limits in virtual time: what it admits, what it refuses, what it says."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx2

from llmframe.engine.wire.reply import Reply
from llmframe.results import Usage
from llmframe.testing.limits import LimiterKind, Limits, Slots
from tests.kits.engine import GOOD, status_error


class LimitedProvider:
    """Stands where a Backend stands; in the loop's time.

    latency: median seconds of an answer, lognormal. rpm, tpm: limits a minute, token buckets
    of burst seconds' worth; claimed: the same in the headers. charge: tokens counted at arrival
    over those that usage says. max_in_flight: more are refused. slots: more wait in line.
    says: headers and Retry-After. retry_after: seconds that each refusal asks for in place of the
    true ones. counts_refused: refused requests count in the limits too. never: texts that are
    always refused begin with it. refusal: seconds that a refusal takes.
    """

    def __init__(
        self,
        *,
        latency: float = 2.0,
        spread: float = 0.1,
        rpm: float | None = None,
        tpm: float | None = None,
        max_in_flight: int | None = None,
        slots: int | None = None,
        says: bool = True,
        burst: float = 1.0,
        claimed: float | None = None,
        charge: float = 1.0,
        kind: LimiterKind = "bucket",
        retry_after: float | None = None,
        counts_refused: bool = False,
        never: str | None = None,
        refusal: float = 0.1,
    ) -> None:
        self.latency = latency
        self.spread = spread
        self.max_in_flight = max_in_flight
        self.says = says
        self.refused = 0
        self.calls: list[float] = []
        self.refused_at: list[float] = []
        self.tokens = 0
        self.broken = (0.0, 0.0)  # from and until when all is refused
        self.caps: tuple[tuple[float, int], ...] = ()  # max_in_flight from so many seconds on
        self.retry_after = retry_after
        self._limits = Limits(rpm, tpm, kind, burst, claimed)
        self._counts_refused = counts_refused
        self._never = never
        self._refusal = refusal
        self._charge = charge
        self.early = False
        self._slots = Slots(slots)
        self._random = random.Random(7)
        self._on_wire = 0

    async def send(self, body: dict[str, Any]) -> Reply:
        loop = asyncio.get_running_loop()
        self.calls.append(loop.time())
        size = sum(len(message["content"].encode()) for message in body["messages"]) // 4
        usage = Usage(size + 20, 12)
        for at, most in self.caps:
            if loop.time() - self.calls[0] >= at:
                self.max_in_flight = most
        full = self.max_in_flight is not None and self._on_wire >= self.max_in_flight
        cap = body.get("max_completion_tokens")
        charged = self._charge * (usage.tokens_in + usage.tokens_out)
        if self._charge > 1 and cap is not None:
            charged = size + 20 + cap
        refusal = self._limits.admit(loop.time(), charged)
        if refusal is not None and self._counts_refused:
            self._limits.meters["requests"].take(loop.time(), 1.0)
        never = self._never is not None and self._never in body["messages"][1]["content"]
        broken = self.broken[0] <= loop.time() < self.broken[1]
        if full or never or refusal is not None or broken:
            await self._refuse(0.0 if refusal is None else refusal[1])
        self._on_wire += 1
        headers = self._limits.headers(loop.time()) if self.says else {}
        try:
            await self._slots.take()
            try:
                await asyncio.sleep(self.latency * self._random.lognormvariate(0, self.spread))
            finally:
                self._slots.leave()
        finally:
            self._on_wire -= 1
        self.tokens += round(charged)
        if not self.early:
            headers = self._limits.headers(loop.time()) if self.says else {}
        return Reply(GOOD, "stop", None, usage, httpx2.Headers(headers))

    async def _refuse(self, wait: float) -> None:
        self.refused += 1
        self.refused_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._refusal)
        headers = self._limits.headers(asyncio.get_running_loop().time()) if self.says else {}
        if self.says:
            headers["retry-after"] = f"{wait:.3f}"
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        raise status_error(429, {"error": {"message": "slow down"}}, headers)
