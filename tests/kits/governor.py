"""Governors and gates for tests: without jitter, in virtual time, and what is seen of them."""

from __future__ import annotations

import asyncio

from llmframe.engine.governor import Governor
from llmframe.engine.governor.gate import Gate
from llmframe.engine.wire.verdict import Verdict
from llmframe.providers.dialect import Dialect
from tests.kits.engine import knowing

HOPELESS = Verdict("end_run", "bad_request", "wrong key", 401)


def whole(top):
    """No jitter."""
    return top


class FixedGate(Gate):
    """A gate whose limit is what the test wants."""

    def __init__(self, slots):
        super().__init__(whole)
        self.slots = slots

    @property
    def limit(self):
        return self.slots


def new_governor(gate=None):
    """A governor in the running loop's time that need not wait for the first answer."""
    return knowing(Governor(asyncio.get_running_loop().time, gate or Gate(whole)))


async def join(governor, cap):
    """A share of the loop on which this is run."""
    return governor.join(cap)


def binds(governor):
    """Seconds of pause, requests on the wire, and how many may be."""
    binding = governor.binding()
    return binding.pause, binding.on_wire, binding.limit


async def settled():
    """Everything that is scheduled for now has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


def new_gate(limit=100, *, known=True, finds_own=False):
    gate = Gate(whole)
    gate.expect(limit, limit, finds_own=finds_own, now=0.0)
    if known:
        gate.dialects.succeeded(Dialect())
    return gate


def send(gate, now, n=1, size=100):
    """Tickets of so many requests that leave now."""
    return [gate.send(now, size) for _ in range(n)]


def lose(gate, tickets, now):
    """These requests are lost now; whether it is an outage then."""
    for ticket in tickets:
        gate.take_off(ticket)
        gate.lost(ticket, now)
    return gate.binding(now).outage
