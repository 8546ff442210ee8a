"""Random providers in virtual time: caps, rates, buckets, headers that lie, storms, outages.

``draw(seed)`` makes one; what happens to a row's n-th request depends on the seed, the row and n
alone, so that a sender who knows everything (random_floor.py) meets the same luck.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import httpx2

from llmframe.engine.wire.reply import Reply
from llmframe.engine.wire.verdict import BadReply
from llmframe.results import Usage
from llmframe.testing.limits import LimiterKind, Limits
from tests.kits.engine import GOOD, Texts, lost_connection, status_error

REFUSAL = 0.05  # seconds
FOREVER = 1e5
OUTPUT = 12  # tokens of an answer
BEGIN = 1000.0  # of virtual time

Headers = Literal["true", "none", "claimed", "low", "high", "absurd", "sometimes", "once"]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """One provider, and the run that meets it.

    cap, asked_rpm: the person's. at_once: more in flight are refused. burst: seconds' worth.
    charge: tokens counted over those of usage. headers: true or how they lie. retry_after: "true"
    or a constant. counts_refused: refused requests count too. faults: shares of requests.
    wrong_word: the first refusal asks for ten hours. phases: (from, until, what happens), in
    seconds from the start. poison: so many rows, the first ones, are always refused.
    """

    seed: int
    rows: int
    words: int
    cap: int | None
    asked_rpm: float | None
    timeout: float
    latency: float
    spread: float
    at_once: int | None
    rpm: float | None
    tpm: float | None
    kind: LimiterKind
    burst: float
    charge: float
    headers: Headers
    retry_after: float | Literal["true"] | None
    counts_refused: bool
    faults: dict[str, float]
    wrong_word: bool
    phases: tuple[tuple[float, float, str], ...]
    poison: int

    def __str__(self) -> str:
        dull = ("seed", None, (), 0, 0.0, False, {})
        return ", ".join(f"{k}={v}" for k, v in asdict(self).items() if v not in dull)

    def text(self, row: int) -> str:
        """The row's text."""
        words = random.Random(f"{self.seed} {row}").randint(1, 2 * self.words)
        return f"row {row} " + "word " * words

    def texts(self) -> Texts:
        """All rows."""
        return Texts([self.text(row) for row in range(self.rows)])

    def luck(self, row: int, attempt: int) -> tuple[str, float]:
        """What befalls a row's n-th request that is let in, and the seconds that it takes."""
        chance = random.Random(f"{self.seed} {row} {attempt}")
        usual = self.latency * chance.lognormvariate(0, self.spread)
        seconds, u = min(usual, self.timeout / 3), chance.random()
        for what, share in self.faults.items():
            if u < share:
                return what, self.timeout if what == "hang" else seconds * chance.random()
            u -= share
        return "ok", seconds

    def limits(self) -> Limits:
        """Its limits, all free still."""
        return Limits(self.rpm, self.tpm, self.kind, self.burst)

    def phase(self, now: float) -> tuple[float, str]:
        """What happens now instead of the usual, and until when; "" for nothing."""
        for begin, end, what in self.phases:
            if begin <= now - BEGIN < end:
                return BEGIN + end, what
        return now, ""


def draw(seed: int) -> Traits:
    """A provider by its number; the first choice in each list is the dull one."""
    r = random.Random(seed)
    latency = r.choice([0.05, 0.3, 1.0, 2.0, 8.0])
    rates = r.random() < 0.6
    rpm = r.choice([None, 30, 120, 600, 3000]) if rates else None
    tpm = r.choice([None, None, 60_000, 300_000]) if rates else None
    few = {
        "refuse": [0, 0, 0.01, 0.02],  # at 5 % nothing tells them from a rate
        "500": [0, 0, 0.01, 0.05, 0.2],
        "hang": [0, 0, 0, 0.01],
        "drop": [0, 0, 0.01, 0.05],
        "junk": [0, 0, 0, 0.02],
    }
    bad = r.random() < 0.5
    kinds = ("500", "429", "429 and when", "429 at once", "503 and when", "drop", "hang", "slow")
    begin = 3 * latency + r.uniform(1, 40)
    length = r.choice([3, 20, 90])
    traits = Traits(
        seed=seed,
        rows=r.choice([40, 150, 400]) if rpm != 30 else 40,
        words=r.choice([5, 5, 100, 400]),
        cap=r.choice([None, None, 1, 5, 20, 50, 200]),
        asked_rpm=r.choice([None] * 8 + [60, 600]),
        timeout=r.choice([30.0, 60.0]),
        latency=latency,
        spread=r.choice([0.0, 0.3, 1.0]),
        at_once=r.choice([None, None, 1, 3, 10, 30]),
        rpm=rpm,
        tpm=tpm,
        kind=r.choice(["bucket", "bucket", "minute"]),
        burst=r.choice([1.0, 10.0, 60.0]),
        charge=r.choice([1.0, 1.0, 4.0]),
        headers=r.choice(
            ["true", "true", "none", "claimed", "low", "high", "absurd", "sometimes", "once"]
        ),
        retry_after=r.choice(["true", "true", None, 0.0, 1.0, 5.0]),
        counts_refused=r.random() < 0.2,
        faults={what: r.choice(shares) for what, shares in few.items()} if bad else {},
        wrong_word=r.random() < 0.05,
        phases=((begin, begin + length, r.choice(kinds)),) if r.random() < 0.3 else (),
        poison=r.choice([1, 3, 25]) if r.random() < 0.1 else 0,
    )
    if rpm and traits.asked_rpm and traits.asked_rpm > rpm:  # the person's limit outranks words
        traits = replace(traits, asked_rpm=None)
    return traits


class RandomProvider:
    """Stands where a Backend stands; in the loop's time.

    failed: losses and bad replies by row, those of a phase left out. unlucky: chance refusals by
    row. sent: when requests came.
    """

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self.sent: list[float] = []
        self.seen: Counter[str] = Counter()
        self.failed: Counter[int] = Counter()
        self.let_in: Counter[int] = Counter()
        self.unlucky: Counter[int] = Counter()
        self.answered: dict[int, float] = {}
        self.peak = 0
        self._on_wire = 0
        self._limits = traits.limits()
        self._shown = self._limits
        if traits.headers == "claimed":
            self._shown = Limits(traits.rpm, traits.tpm, "bucket", 60.0)

    async def send(self, body: dict[str, Any]) -> Reply:
        now = asyncio.get_running_loop().time()
        self.sent.append(now)
        self._on_wire += 1
        self.peak = max(self.peak, self._on_wire)
        try:
            return await self._judge(now, body["messages"][1]["content"])
        finally:
            self._on_wire -= 1

    async def _judge(self, now: float, content: str) -> Reply:
        traits = self.traits
        text = content.split("\n", 1)[1].rsplit("\n", 1)[0]
        row = int(text.split()[1]) if text.startswith("row ") else -1  # a health probe
        usage = Usage(20 + len(text) // 4, OUTPUT)
        _, phase = traits.phase(now)
        if phase and phase != "slow":
            await self._suffer(phase)
        if 0 <= row < traits.poison:
            await self._refuse("poison", 1.0)
        if traits.at_once is not None and self._on_wire > traits.at_once:
            await self._refuse("cap", traits.latency / traits.at_once)
        refusal = self._admit(now, usage)
        if refusal is not None:
            await self._refuse(*refusal)
        what, seconds = traits.luck(row, self.let_in[row])
        self.let_in[row] += 1
        if what == "refuse":
            self.unlucky[row] += 1
            await self._refuse("luck", 1.0)
        await asyncio.sleep(FOREVER if what == "hang" else seconds)
        if phase == "slow":
            await asyncio.sleep(min(4 * seconds, traits.timeout / 3))
        if what != "ok":
            self.failed[row] += 1
            raise _loss(what)
        self.seen["ok"] += 1
        self.answered[row] = asyncio.get_running_loop().time()
        return Reply(GOOD, "stop", None, usage, httpx2.Headers(self._headers()))

    def _admit(self, now: float, usage: Usage) -> tuple[str, float] | None:
        tokens = self.traits.charge * (usage.tokens_in + usage.tokens_out)
        refusal = self._limits.admit(now, tokens)
        if refusal is not None and self.traits.counts_refused and self.traits.kind == "bucket":
            self._limits.spend(now, tokens)
        if refusal is None and self._shown is not self._limits:
            self._shown.admit(now, tokens)
        return refusal

    async def _refuse(self, why: str, wait: float) -> None:
        self.seen[f"429 {why}"] += 1
        said = self.traits.retry_after
        if self.traits.wrong_word and self.seen["429 luck"] == 1 == self.seen[f"429 {why}"]:
            said = 36_000.0
        await self._raise_429(wait if said == "true" else said)

    async def _raise_429(self, wait: float | None) -> None:
        await asyncio.sleep(REFUSAL)
        said = {} if wait is None else {"retry-after": f"{wait:.3f}"}
        raise status_error(429, {"error": {"message": "slow down"}}, self._headers() | said)

    async def _suffer(self, phase: str) -> None:
        """What all requests meet for a while."""
        self.seen[f"in {phase}"] += 1
        if phase.startswith("429"):
            waits = {"429 and when": 2.0, "429 at once": 0.0}
            await self._raise_429(waits.get(phase))
        await asyncio.sleep(FOREVER if phase == "hang" else REFUSAL)
        raise _loss(phase)

    def _headers(self) -> dict[str, str]:
        kind, true = self.traits.headers, self._shown.headers(asyncio.get_running_loop().time())
        number = len(self.sent)
        if kind == "none" or (kind == "sometimes" and number % 3):
            return {}
        if kind == "absurd":
            odd = ("0", "-1", "nan", "unlimited", "1e400", "")[self.traits.seed % 6]
            return dict.fromkeys(true, odd) | {"x-ratelimit-limit-tokens": "1"}
        if kind == "once" and number == 5:
            return {"x-ratelimit-limit-requests": "1", "x-ratelimit-limit-tokens": "1"}
        factor = {"low": 0.5, "high": 3.0}.get(kind)
        if factor is None:
            return true
        return {k: f"{float(v) * factor:.0f}" for k, v in true.items() if "-limit-" in k}


def _loss(what: str) -> Exception:
    """What the SDK raises."""
    if what == "drop":
        return lost_connection()
    if what == "junk":
        return BadReply("the endpoint answered with broken JSON")
    if what == "503 and when":
        return status_error(503, {"error": {"message": "busy"}}, {"retry-after": "2"})
    return status_error(500, {"error": {"message": "down"}})
