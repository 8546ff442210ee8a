"""A run's own budget: reserve, send, settle, and at the end stop with everything saved.

What is not accounted is not free: a reply that does not state its tokens is settled by an
estimate, and a request that left and whose answer was never read keeps its reservation.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.engine.events import Unread
from llmframe.engine.governor.tokens import BYTES_A_TOKEN, STEP, TokenMeter
from llmframe.engine.wire.verdict import BadReply, may_be_charged
from llmframe.providers.prices import Prices
from llmframe.report import TaskBudget
from llmframe.results import NOTHING_USED, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.engine.asking.embedding import AnyAsker
    from llmframe.engine.events import Events
    from llmframe.engine.row import Row
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.reply import Reply
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.responses.streamed import GrowingText
    from llmframe.results import UsageSum


class Reservation:
    """What is set aside for one request, until it is settled or kept."""

    def __init__(self, budget: Budget, expected: Usage) -> None:
        self._budget = budget
        self.expected = expected
        self._is_open = True

    def settle(self, used: Usage = NOTHING_USED) -> None:
        """What the request took instead of what was set aside; only the first call counts."""
        if self._is_open:
            self._is_open = False
            self._budget.end(self.expected, used=used)

    def keep(self) -> None:
        """The request left and nobody knows what it took: what was set aside stays so."""
        if self._is_open:
            self._is_open = False
            self._budget.end(self.expected, kept=self.expected)


class Budget:
    """What a task may spend, and what a run's requests take. Lives on the run's loop.

    max_cost: money, in the currency of the prices. max_tokens: tokens, in and out together.
    None has no end. At the end what is in flight comes back: the overshoot is at most that.
    stated_in: the currency in which the endpoint states what it charges; "" if unknown.
    is_free: nobody charges for the requests.
    spent: what has come back so far, and what earlier runs of the task took. unread: reservations
    that are kept. in_flight: requests that are out with a reservation.
    """

    def __init__(
        self,
        *,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        prices: Prices | None = None,
        stated_in: str = "",
        is_free: bool = False,
    ) -> None:
        self.max_cost = max_cost
        self.max_tokens = max_tokens
        self.prices = prices
        self._stated_in = stated_in
        self._is_free = is_free
        self.spent = Usage(cost=0.0)
        self.unread = Usage(cost=0.0)
        self.in_flight = 0
        self._reserved = Usage(cost=0.0)
        # of this run alone: another run's answers may be much shorter
        self._meter = TokenMeter()
        self._cached_share = 0.0
        self._has_answers = False
        self._is_stated = False  # some answers state their tokens
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def is_set(self) -> bool:
        """Whether there is any end."""
        return self.max_cost is not None or self.max_tokens is not None

    @property
    def currency(self) -> str:
        """The currency of all costs of this run; "" if it is not known."""
        return self.prices.currency if self.prices else self._stated_in

    @property
    def price_missing(self) -> bool:
        """Whether somebody may charge for the requests, and no price is known."""
        return self.prices is None and not self._is_free

    def state(self) -> TaskBudget | None:
        """What the task may spend and has spent; None without an end."""
        if not self.is_set:
            return None
        taken = self.spent + self.unread
        return TaskBudget(
            max_cost=self.max_cost,
            max_tokens=self.max_tokens,
            cost=None if self.prices is None else taken.cost,
            tokens=taken.tokens,
            currency=self.currency,
        )

    def count_earlier(self, read: Callable[[], UsageSum]) -> None:
        """Count what earlier runs of the task took. read: finds that out, which takes a while."""
        if self.is_set:
            for used in read().parts:
                self.spent += self.stored(used)

    # -- before a request -----------------------------------------------------------

    def allows(self, size: int, cap: int | None) -> bool:
        """Whether a request may leave now; size: UTF-8 bytes of its prompt, cap: its tokens."""
        return not self.is_set or self._has_room(self.expected(size, cap))

    def reserve(self, size: int, cap: int | None) -> Reservation | None:
        """Set aside what a request will take; None if the budget does not allow it."""
        if not self.is_set:
            return self.set_aside(NOTHING_USED)
        expected = self.expected(size, cap)
        return self.set_aside(expected) if self._has_room(expected) else None

    def force(self, size: int, cap: int | None) -> Reservation:
        """The same for a request that is sent in any case, as a health probe is."""
        return self.set_aside(self.expected(size, cap) if self.is_set else NOTHING_USED)

    def expected(self, size: int, cap: int | None, *, batch: bool = False) -> Usage:
        """What a request takes if its answer is among the shorter nine of ten, with its price."""
        tokens_in = round(self._meter.tokens_in(size))
        # no answer is longer than its cap, whatever nine of ten answers needed so far
        tokens_out = round(min(self._meter.high_out, math.inf if cap is None else cap))
        cached = math.floor(self._cached_share * tokens_in)
        return self.priced(Usage(tokens_in, tokens_out, tokens_cached=cached), batch=batch)

    def has_room_for(self, expected: Usage) -> bool:
        """Whether so much more may be spent."""
        taken = (self.spent, self.unread, self._reserved, expected)
        if self.max_tokens is not None and sum(each.tokens for each in taken) > self.max_tokens:
            return False
        return self.max_cost is None or sum(each.cost or 0.0 for each in taken) <= self.max_cost

    def set_aside(self, expected: Usage) -> Reservation:
        """Set aside what requests will take that leave in any case, as those of a batch do."""
        self.in_flight += 1
        if self.is_set:
            self._reserved += expected
        return Reservation(self, expected)

    async def settled(self) -> None:
        """Wait until a request ends, or wake() is called."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    # -- after it -------------------------------------------------------------------

    def accounted(self, used: Usage, size: int, written: int, *, batch: bool = False) -> Usage:
        """A reply's usage with its price; what the endpoint did not state is estimated.

        size, written: UTF-8 bytes of the prompt and of the answer. batch: it came in a batch.
        """
        if used.tokens_in and (used.tokens_out or not written):
            self._learn(size, used)
            return self.priced(used, batch=batch)
        # others' answers show what cannot be seen in this one, such as thoughts
        usual = self._meter.mean_out if self._is_stated else 0.0
        used = replace(
            used,
            tokens_in=used.tokens_in or round(self._meter.tokens_in(size)),
            tokens_out=used.tokens_out or math.ceil(max(written / BYTES_A_TOKEN, usual)),
            estimated=1,
        )
        self._learn(size, used)
        return self.priced(used, batch=batch)

    def priced(self, usage: Usage, *, batch: bool = False) -> Usage:
        """The usage with its cost: what the endpoint states, else by the prices."""
        # the two are never added up if they are known to be in two currencies
        is_foreign = self.currency != self._stated_in != "" != self.currency
        if self.prices is not None and (usage.cost is None or is_foreign):
            return self._by_prices(usage, batch=batch)
        return usage if usage.cost is None else replace(usage, currency=self.currency)

    def stored(self, usage: Usage) -> Usage:
        """What an earlier call has paid: by the prices of then, unless in another currency."""
        if self.prices is not None and (usage.cost is None or usage.currency != self.currency):
            return self._by_prices(usage)
        # versions before this one did not note the currency
        return usage if usage.currency else replace(usage, currency=self.currency)

    def _by_prices(self, usage: Usage, *, batch: bool = False) -> Usage:
        assert self.prices is not None
        prices = self.prices.in_batch if batch else self.prices
        return replace(usage, cost=prices.cost(usage), currency=self.currency)

    def end(
        self, reserved: Usage, *, used: Usage = NOTHING_USED, kept: Usage = NOTHING_USED
    ) -> None:
        """A request has ended. For its reservation."""
        self.in_flight -= 1
        self.spent += used
        if self.is_set:
            # no residue of the floats where nothing is out
            self._reserved = self._reserved - reserved if self.in_flight else Usage(cost=0.0)
            self.unread += kept
            self.wake()

    def wake(self) -> None:
        """Let those that wait look again."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            # an abandoned run is taken apart after its loop was closed
            if not (waiter.done() or waiter.get_loop().is_closed()):
                waiter.set_result(None)

    def _has_room(self, expected: Usage) -> bool:
        if self.in_flight and not self._has_answers:
            return False  # nothing is known yet: one request is out until its answer is back
        return self.has_room_for(expected)

    def _learn(self, size: int, used: Usage) -> None:
        """What answers take; of estimates only as long as nothing better is known."""
        self._has_answers = True
        if used.estimated and self._is_stated:
            return
        self._is_stated = not used.estimated
        self._meter.learn(size, used)
        share = used.tokens_cached / used.tokens_in
        self._cached_share += STEP * (share - self._cached_share)


class Sender:
    """Sends a run's requests, and accounts for each, however it ends."""

    def __init__(
        self, backend: Backend, *, asker: AnyAsker, budget: Budget, events: Events
    ) -> None:
        self._backend = backend
        self._asker = asker
        self._budget = budget
        self._events = events

    async def send(
        self,
        row: Row,
        dialect: Dialect,
        reservation: Reservation,
        growing: GrowingText | None = None,
    ) -> Reply:
        """One request for the row's next leg; its usage comes back with estimates and price.

        growing: gets a streamed answer as it is written.
        Raises what the backend raises. The reservation is settled by what was read; that of a
        request that left without being read is kept.
        """
        budget, size, cap = self._budget, self._asker.size(row), self._asker.cap(row)
        body, more = self._asker.body(row, dialect), () if growing is None else (growing,)
        try:
            reply = await self._backend.send(body, *more)
        except BadReply as exc:
            exc.usage = budget.priced(exc.usage)
            reservation.settle(exc.usage)
            raise
        except (Exception, asyncio.CancelledError) as exc:
            if may_be_charged(exc):
                reservation.keep()
                lost = reservation.expected if budget.is_set else budget.expected(size, cap)
                self._events.emit(Unread(lost))
            else:
                reservation.settle()
            raise
        usage = budget.accounted(reply.usage, size, reply.written)
        reservation.settle(usage)
        return replace(reply, usage=usage)
