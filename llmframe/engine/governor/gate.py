"""What may be sent now: the limiter, the pause and what is on the wire, as one state machine.

Synchronous, without lock or clock of its own: the governor calls it under its lock and
says what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.governor.limiter import Limiter
from llmframe.engine.governor.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request on the wire.

    alone: nothing else was on the wire when it was sent.
    """

    sent_at: float
    epoch: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds right now.

    pause: seconds left of the provider's pause. on_wire, limit: requests that are, and
    may be.
    """

    pause: float
    on_wire: int
    limit: int


class Gate:
    """One provider's limits as far as they are known.

    jitter: for pauses that the provider does not name; full jitter when None.
    """

    def __init__(self, jitter: Callable[[float], float] | None = None) -> None:
        self.limiter = Limiter(1, 1)
        self.pause = Pause(jitter)
        self.successes = 0
        self.refusals = 0
        self.succeeded_at = float("-inf")
        self._on_wire = 0
        self._of_epoch = 0

    def expect(self, first: int, ceiling: int) -> None:
        """A run joined or left: where to start, and the most all runs together may want."""
        self.limiter.ceiling = max(1, ceiling)
        self.limiter.raise_to(first)

    def is_open(self, now: float) -> bool:
        """Whether one more request may leave."""
        return self._on_wire < self.limiter.limit and self.pause.allows(now, self._of_epoch)

    def send(self, now: float) -> Ticket:
        """Put one request on the wire."""
        ticket = Ticket(now, self.pause.epoch, alone=self._on_wire == 0)
        self._on_wire += 1
        self._of_epoch += 1
        self.limiter.sent(self._on_wire)
        return ticket

    def take_off(self, ticket: Ticket) -> None:
        """A request is off the wire, whatever came of it."""
        self._on_wire -= 1
        if ticket.epoch == self.pause.epoch:
            self._of_epoch -= 1

    def succeeded(self, ticket: Ticket, now: float, *, clean: bool) -> None:
        """A request was answered; clean: at the row's first attempt."""
        self.successes += 1
        self.succeeded_at = now
        self.pause.succeeded(ticket.epoch, self.limiter.limit)
        if clean:
            self.limiter.succeeded(ticket.sent_at)

    def refused(self, ticket: Ticket, now: float, retry_after: float | None) -> None:
        """The provider refused a request; retry_after: seconds it asks to wait, if it says.

        One that was sent before the last pause began tells nothing new about the limit.
        """
        self.refusals += 1
        if ticket.epoch == self.pause.epoch:
            self.limiter.refused(now, ticket.sent_at)
        if self.pause.refused(now, ticket.epoch, retry_after):
            self._of_epoch = 0

    def binding(self, now: float) -> Binding:
        """What binds right now."""
        return Binding(self.pause.left(now), self._on_wire, self.limiter.limit)
