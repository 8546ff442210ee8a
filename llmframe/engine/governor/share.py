"""A run's share of the governor: a plain record, which the governor changes under its lock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from llmframe.engine.governor.gate import Ticket
    from llmframe.engine.governor.port import LoopPort


@dataclass(eq=False, slots=True)
class Lease:
    """The right to have one request on the wire."""

    share: Share
    ticket: Ticket

    @property
    def alone(self) -> bool:
        """Whether nothing else was on the wire when it was granted."""
        return self.ticket.others == 0

    @property
    def is_probe(self) -> bool:
        """Whether it is for a health probe, with which no row is sent."""
        return self.ticket.probe


@dataclass(eq=False, slots=True)
class Waiter:
    """One row that waits for its lease.

    size: UTF-8 bytes of its prompt. cap: tokens that its answer may have, None for any.
    """

    granted: asyncio.Future[Lease | None]
    size: int
    cap: int | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Share:
    """What one run wants and has.

    cap: the most requests it may have on the wire, None if it finds its own limit.
    rpm, tpm: requests and tokens a minute that the person allows, None for any.
    held: the person has paused the run. closed: it gets no more leases.
    on_hopeless: called on the run's loop when no request of its key can succeed.
    """

    port: LoopPort
    cap: int | None
    rpm: float | None = None
    tpm: float | None = None
    held: bool = False
    closed: bool = False
    on_hopeless: Callable[[Any], None] | None = None
    leases: set[Lease] = field(default_factory=set)
    queue: deque[Waiter] = field(default_factory=deque)

    @property
    def on_wire(self) -> int:
        """Requests of this run that are on the wire."""
        return len(self.leases)

    @property
    def may_send(self) -> bool:
        """Whether this run itself allows one more request on the wire."""
        return not (self.closed or self.held) and (self.cap is None or len(self.leases) < self.cap)
