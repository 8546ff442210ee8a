"""Whatever runs do in any order: no lease is lost and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kits import virtual_time
from tests.kits.governor import new_governor, settled

ENDS = ["answer", "lose", "outage", "refuse", "unsent"]
DEEDS = [*ENDS, "ask", "ask", "ask", "cancel", "sleep", "hold", "resume", "leave"]
steps = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 3)), max_size=60)


class Battle:
    """Runs that share a governor and do anything; what must hold is checked at every step."""

    def __init__(self, caps):
        self.governor = new_governor()
        self.shares = [self.governor.join(cap) for cap in caps]
        self.waiting = [[] for _ in caps]
        self.held = [[] for _ in caps]
        self.granted = [[] for _ in caps]
        self.asked = [0 for _ in caps]

    async def acquire(self, run, share):
        number = self.asked[run]
        self.asked[run] += 1
        lease = await self.governor.acquire(share, 100 * number)
        assert (lease is None) == share.closed
        if lease is not None:
            self.granted[run].append(number)
            self.held[run].append(lease)

    async def step(self, what, run):
        share, held = self.shares[run], self.held[run]
        if what == "ask":
            self.waiting[run].append(asyncio.create_task(self.acquire(run, share)))
            # It must stand in the queue before the next step: a task that asks after a grant,
            # but before the granted task wakes up, is noted here before that one.
            await asyncio.sleep(0)
        elif what == "cancel" and self.waiting[run]:
            self.waiting[run].pop(len(self.waiting[run]) // 2).cancel()
        elif what == "sleep":
            await asyncio.sleep(0.4)
        elif what == "hold":
            self.governor.hold(share)
        elif what == "resume":
            self.governor.resume(share)
        elif held and what in ENDS:
            self.end(what, held.pop(0), random.Random(run).choice([None, 1.0]))
        elif what == "leave":
            self.governor.leave(share)
            self.shares[run] = self.governor.join(share.cap)
            self.waiting[run], self.held[run], self.granted[run] = [], [], []
        if run % 2:
            await settled()
        self.check()

    def end(self, what, lease, retry_after):
        if what in ("answer", "lose"):
            self.governor.release(lease, answered=what == "answer", clean=True)
        elif what == "outage":
            self.governor.lose(lease)
        elif what == "unsent":
            self.governor.give_back(lease)
        else:
            self.governor.refuse(lease, retry_after)

    def check(self):
        binding = self.governor.binding()
        assert sum(share.on_wire for share in self.shares) == binding.on_wire
        for share, numbers in zip(self.shares, self.granted, strict=True):
            assert share.cap is None or share.on_wire <= share.cap
            assert numbers == sorted(numbers)  # first come, first served

    async def finish(self):
        """Everybody who still waits is served in the end, and every lease comes back."""
        for share in self.shares:
            self.governor.resume(share)
        async with asyncio.timeout(100_000):
            while any(not task.done() for tasks in self.waiting for task in tasks):
                await asyncio.sleep(0.1)
                for held in self.held:
                    while held:
                        self.governor.release(held.pop(), answered=True)
        for held in self.held:
            while held:
                self.governor.release(held.pop())
        assert self.governor.binding().on_wire == 0
        assert all(share.on_wire == 0 for share in self.shares)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([None, 1, 2, 5]), min_size=1, max_size=4), steps)
def test_no_lease_is_lost_and_nobody_waits_for_ever(caps, steps):
    async def main():
        battle = Battle(caps)
        limit_before = battle.governor.binding().limit
        for what, run in steps:
            on_wire_before = battle.governor.binding().on_wire
            limit_before = max(limit_before, battle.governor.binding().limit)
            await battle.step(what, run % len(caps))
            binding = battle.governor.binding()
            # a cut leaves on the wire what is there; nothing new is granted above the limit
            assert binding.on_wire <= max(binding.limit, on_wire_before, limit_before)
        await battle.finish()

    virtual_time.run(main())
