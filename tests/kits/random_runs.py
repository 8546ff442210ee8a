"""A run against a random provider, and what is wrong about how it went."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.rows.patience import Patience
from tests.kits.engine import wire
from tests.kits.random_floor import floor
from tests.kits.random_provider import BEGIN, RandomProvider, draw
from tests.kits.virtual_time import Stuck, VirtualLoop

if TYPE_CHECKING:
    from tests.kits.engine import Wired
    from tests.kits.random_provider import Traits

ATTEMPTS = 5
UNLUCKY = 3  # chance refusals of one row, while all others pass, look like its own
LATEST, GRACE = 1.5, 10.0  # x the floor, and seconds
REPEATS = 3600.0  # seconds that rows which are always refused may be tried for
REFUSED = 12.0  # seconds that each of them may hold up the others
HOURS = 600.0  # seconds of a pause after which the person presses Resume
LOOKS = 60.0  # seconds between two looks of the person
GIVE_UP = 4.0  # x what is allowed, the run is ended
MOST_TURNS = 300_000


@dataclass(frozen=True)
class Went:
    """How a run went. seconds: until the last good row. wrong: what must not be."""

    traits: Traits
    seconds: float
    floor: float
    allowed: float
    seen: dict[str, int]
    wrong: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Seconds over what is allowed."""
        return self.seconds / self.allowed

    def __str__(self) -> str:
        wrong = "; ".join(self.wrong) or "ok"
        counts = ", ".join(f"{n} {what}" for what, n in sorted(self.seen.items()))
        return (
            f"seed {self.traits.seed}: {wrong} | {self.seconds:.0f} s, floor {self.floor:.0f} s"
            f" | {counts} | {self.traits}"
        )


class _CountingLoop(VirtualLoop):
    """Counts its turns, and ends what turns for ever."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise Stuck("the loop turns and turns")
        super()._run_once()


def live(seed: int) -> Went:
    """One run against the provider of this number."""
    traits = draw(seed)
    random.seed(seed)  # the jitter of pauses and back-offs
    provider = RandomProvider(traits)
    least = floor(traits)
    allowed = LATEST * least + GRACE + REFUSED * traits.poison + LOOKS * traits.wrong_word
    # a little later than the floor it may meet what the floor has just escaped
    allowed += sum(end - begin for begin, end, _ in traits.phases if least <= begin < allowed)
    give_up = GIVE_UP * allowed + (REPEATS if traits.poison else 0.0)
    with asyncio.Runner(loop_factory=_CountingLoop) as runner:
        loop = runner.get_loop()
        try:
            wired = runner.run(_run(traits, provider, give_up))
        except Stuck as exc:
            wrong = (f"STUCK after {loop.time() - BEGIN:.0f} s: {exc}",)
            return Went(traits, give_up, least, allowed, dict(provider.seen), wrong)
        turns = getattr(loop, "turns", 0)
        ended = loop.time() - BEGIN
    good = max((at for row, at in provider.answered.items() if row >= 0), default=BEGIN) - BEGIN
    wrong = [*_rows(traits, provider, wired), *_caps(traits, provider)]
    if ended >= give_up:
        wrong.append("NEVER ended")
    if good > allowed:
        wrong.append(f"LATE {good:.0f} s, floor {least:.0f} s")
    if ended > allowed + (REPEATS if traits.poison else 0.0) and ended > good + 60:
        wrong.append(f"LATE END {ended:.0f} s, the last good row at {good:.0f} s")
    requests = len(provider.sent)
    if turns > 60 * requests + 50 * ended + 5000:
        wrong.append(f"SPIN {turns} turns for {requests} requests")
    if requests > 4 * traits.rows + 10 * ended + 100 + 12 * traits.poison:
        wrong.append(f"HAMMER {requests} requests for {traits.rows} rows in {ended:.0f} s")
    return Went(traits, good, least, allowed, dict(provider.seen), tuple(wrong))


async def _run(traits: Traits, provider: RandomProvider, give_up: float) -> Wired:
    wired = wire(
        traits.texts(), provider, cap=traits.cap, rpm=traits.asked_rpm, probes=True,
        patience=Patience(traits.timeout, None, ATTEMPTS),
    )  # fmt: skip
    task = asyncio.ensure_future(wired.run())
    ends = asyncio.get_running_loop().time() + give_up
    while not task.done() and asyncio.get_running_loop().time() < ends:
        await asyncio.wait({task}, timeout=min(LOOKS, give_up))
        governor = wired.parts.governor
        if governor.binding().pause > HOURS:
            governor.resume(wired.parts.share)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    return wired


def _rows(traits: Traits, provider: RandomProvider, wired: Wired) -> list[str]:
    """Rows that were lost: pending, or failed without having failed often enough."""
    pending = [row for row, status in enumerate(wired.statuses) if status == "pending"]
    lost = [
        row
        for row, status in enumerate(wired.statuses)
        if status == "failed"
        and row >= traits.poison
        and provider.failed[row] < ATTEMPTS
        and provider.unlucky[row] < UNLUCKY
    ]
    wrong = []
    if pending:
        wrong.append(f"{len(pending)} PENDING")
    if lost:
        wrong.append(f"{len(lost)} LOST: {wired.errors[lost[0]]}")
    return wrong


def _caps(traits: Traits, provider: RandomProvider) -> list[str]:
    """Limits of the person that were not kept."""
    wrong = []
    if traits.cap is not None and provider.peak > traits.cap:
        wrong.append(f"CAP of {traits.cap}: {provider.peak} in flight")
    if traits.asked_rpm is not None:
        rate, credit = traits.asked_rpm / 60, float("inf")
        for number, at in enumerate(provider.sent):
            credit = min(credit, number - rate * at)
            if number + 1 - rate * (at + 0.02) - credit > 1 + 1e-6:
                wrong.append(f"RATE of {traits.asked_rpm} a minute exceeded at {at - BEGIN:.2f} s")
                break
    return wrong
