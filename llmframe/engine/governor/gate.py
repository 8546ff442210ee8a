"""What may be sent now: limit, pause, outage and rates, as one state machine.

Synchronous, without lock or clock of its own: the governor calls it under its lock and
passes the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.engine.governor.allowance import Allowance, Pace
from llmframe.engine.governor.doubt import Doubt
from llmframe.engine.governor.limiter import Limiter
from llmframe.engine.governor.outage import Outage
from llmframe.engine.governor.pause import TINY, Pause
from llmframe.engine.governor.plateau import Climb
from llmframe.engine.governor.provider_cap import ProviderCap, Step
from llmframe.engine.governor.tokens import Charge, Count, TokenMeter
from llmframe.providers.dialect_search import DialectSearch
from llmframe.providers.responses.limit_headers import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmframe.results import Usage

FIRST_ANSWER = 3.0  # seconds that all others wait for the first answer, at most
RECONNECT = 0.5  # seconds between two requests while nobody answers
KEY_AGAIN = 1.0  # seconds until a health probe tries a key that was refused after successes
BUSY = 0.8  # share of the limit on the wire, from which a completion teaches the limit


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request on the wire.

    others: requests that were on the wire when it was sent. size: UTF-8 bytes of its prompt.
    tokens: reserved for it. probe: it is a health probe, not a row. sent: requests and tokens
    until then, it included. step: what its being accepted or refused shows.
    """

    sent_at: float
    epoch: int
    others: int
    size: int
    tokens: float
    probe: bool
    sent: Count
    step: Step


@dataclass(frozen=True, slots=True)
class Binding:
    """What binds right now.

    pause: seconds left of the pause. outage: the pause is for one. on_wire, limit: requests
    that are, and may be. requests, tokens: seconds until the next is due by the limits a
    minute; rpm, tpm: those limits; named: they come from the provider. probing: the first
    answer is awaited. is_cap: the provider takes no more than the limit at once.
    """

    pause: float
    outage: bool
    on_wire: int
    limit: int
    requests: float
    tokens: float
    rpm: float | None
    tpm: float | None
    named: bool
    probing: bool
    is_cap: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the requests of this process have shown about a model so far.

    answers: how many came back. limit: requests at a time that are allowed now; is_most: the
    provider has refused more. seconds: an answer takes, None before the first. ratio: tokens in
    as a multiple of bytes / 4. tokens_out: of an answer. rpm, tpm: the provider's limits a minute
    as they are used; spare_requests, spare_tokens: what may be sent above them at once.
    """

    answers: int
    limit: int
    is_most: bool
    seconds: float | None
    ratio: float | None
    tokens_out: float
    rpm: float | None
    tpm: float | None
    spare_requests: float
    spare_tokens: float


class Gate:
    """One provider's limits as far as they are known.

    jitter: for pauses without a Retry-After; full jitter when None.
    """

    def __init__(self, jitter: Callable[[float], float] | None = None) -> None:
        self.pause = Pause(jitter)
        self.outage = Outage()
        self.doubt = Doubt()
        self.dialects = DialectSearch()
        self.meter = TokenMeter()
        self.charge = Charge()
        self.pace = Pace()
        self.requests = Allowance()
        self.tokens = Allowance()
        self.successes = 0
        self.refusals = 0
        self.succeeded_at = float("-inf")
        self.refused_at = float("-inf")
        self.probe_next = False  # the next request is a health probe, no row
        self._limiter = Limiter(1, 1)
        self._climb: Climb | None = None
        self._provider_cap = ProviderCap()
        self._windows = Windows()
        self._first_sent: float | None = None
        self._reconnect_at: float | None = None  # set while nobody has ever answered
        self._on_wire = 0

    @property
    def limit(self) -> int:
        """Requests that may be on the wire, as far as the provider takes so many at once."""
        return self._limiter.limit if self._climb is None else self._climb.limit

    @property
    def cap(self) -> int | None:
        """Requests that the provider takes at once, None where that is not what limits."""
        cap = self._provider_cap
        return cap.most if cap.is_known and cap.most < self.limit else None

    def expect(self, first: int, ceiling: int, *, finds_own: bool, now: float) -> None:
        """A run joined or left.

        first: requests to start with. ceiling: the most all runs together may want.
        finds_own: one of them left the limit to us.
        """
        self._limiter.ceiling = max(1, ceiling)
        self._limiter.raise_to(first)
        if not finds_own or self._limiter.refused_before:
            self._climb = None
        elif self._climb is None:
            self._climb = Climb(self._limiter.limit, self._limiter.ceiling, now)
        else:
            self._climb.ceiling = self._limiter.ceiling

    # -- may one more leave? ------------------------------------------------------

    def is_open(self, now: float) -> bool:
        """Whether one more request may leave."""
        return self._on_wire < self.limit and self._longest_wait(now) <= TINY

    def wait(self, now: float) -> float:
        """Seconds until time alone may open it; 0 when only an answer can."""
        if self._on_wire >= self.limit:
            return 0.0
        longest = self._longest_wait(now)
        return 0.0 if longest <= TINY or math.isinf(longest) else longest

    def _longest_wait(self, now: float) -> float:
        return max(
            self.pause.wait(now, self.limit),
            self.requests.wait(now),
            self.tokens.wait(now),
            0.0 if self._reconnect_at is None else self._reconnect_at - now,
            self._first_answer_wait(now) if self._on_wire else 0.0,
            math.inf if self.doubt.is_asking else 0.0,
            self._provider_cap.wait(self._on_wire, now),
        )

    def _first_answer_wait(self, now: float) -> float:
        """Seconds that all others wait for the first answer, which shows what is understood."""
        if self._first_sent is None or (self.dialects.known and self._reconnect_at is None):
            return 0.0
        return max(0.0, self._first_sent + FIRST_ANSWER - now)

    def search_goes_on(self, now: float) -> None:
        """A simpler request is tried: the others go on waiting for its answer."""
        if self._first_sent is not None:
            self._first_sent = now

    def look(self, now: float) -> None:
        """Let one request leave at once in a long pause: the person may have changed something."""
        if not self.outage.is_on:
            self.pause.look(now)

    def advance(self, now: float) -> None:
        """Let time pass up to now."""
        self.pause.advance(now)
        if self._provider_cap.advance(now):
            self.pause.refused(now, self.pause.epoch, 0.0, 0.0)

    # -- a request's way ----------------------------------------------------------

    def send(self, now: float, size: int, cap: int | None = None) -> Ticket:
        """Put a request with a prompt of so many bytes on the wire; cap: of its answer's tokens."""
        tokens = self.meter.tokens_in(size) + self.charge.expect(self.meter.mean_out, cap)
        if self._first_sent is None:
            self._first_sent = now
        self.requests.reserve(now, 1.0)
        self.tokens.reserve(now, tokens)
        others, answer = self._on_wire, self.pause.answer
        step = self._provider_cap.sent(
            others, now, now - self._first_sent if answer is None else answer
        )
        ticket = Ticket(
            sent_at=now,
            epoch=self.pause.epoch,
            others=others,
            size=size,
            tokens=tokens,
            probe=self.outage.is_ours or self.probe_next or self.doubt.is_on,
            sent=Count(now, self.requests.sent, self.tokens.sent),
            step=step,
        )
        self.probe_next = False
        self.doubt.sent(probe=ticket.probe)
        self._on_wire += 1
        self.pause.sent(now)
        self._limiter.sent(self._on_wire)
        return ticket

    def take_off(self, ticket: Ticket) -> None:
        """A request is off the wire, whatever came of it; its reservation stays."""
        self._on_wire -= 1
        self.pause.taken_off(ticket.epoch)
        self._provider_cap.taken_off(ticket.step)
        self.doubt.taken_off(probe=ticket.probe)

    def never_sent(self, ticket: Ticket) -> None:
        """The lease was not used: what was reserved comes back."""
        self.requests.settle(-1.0)
        self.tokens.settle(-ticket.tokens)

    def succeeded(self, ticket: Ticket, now: float, usage: Usage | None, *, clean: bool) -> None:
        """A request was answered; usage: what it took. clean: at the row's first attempt."""
        was_busy = self._on_wire + 1 >= BUSY * self.limit and self.cap is None
        self.successes += 1
        self.succeeded_at = now
        self.doubt.answered(ticket.sent_at, probe=ticket.probe)
        self.pace.answered(now)
        self.responded(ticket, now)
        if usage is not None and usage.tokens_in > 0:
            self.meter.learn(ticket.size, usage)
            used = usage.tokens_in + usage.tokens_out
            if self.charge.is_usage:
                self.tokens.settle(used - ticket.tokens)
            self.tokens.answered(used)
        if clean and self._climb is None:
            self._limiter.succeeded(ticket.sent_at)
        elif clean and was_busy and self._climb is not None:
            self._climb.completed(ticket.sent_at, now)

    def responded(self, ticket: Ticket, now: float) -> None:
        """A request was not refused because of a limit: it was answered, or is wrong by itself."""
        # in an outage any answer ends the pause, even to what was sent before it
        epoch = self.pause.epoch if self.outage.is_on else ticket.epoch
        self._got_through(ticket)
        self.pause.succeeded(epoch, now, now - ticket.sent_at)
        self._provider_cap.answered(ticket.step, now)
        self.requests.answered(1.0)

    def refused(self, ticket: Ticket, now: float, retry_after: float | None) -> None:
        """The provider refused a request; retry_after: seconds it asks to wait, if any."""
        self.refusals += 1
        self.refused_at = now
        self._got_through(ticket)
        self.tokens.settle(-ticket.tokens)
        self.requests.refused(now, 1.0)
        self.tokens.refused(now, ticket.tokens)
        took = now - ticket.sent_at
        if ticket.epoch == self.pause.epoch:
            too_fast = self._provider_cap.refused(
                ticket.step,
                now,
                sent_at=ticket.sent_at,
                others=ticket.others,
                asked=retry_after or 0.0,
                answer=self.pause.answer or took,
            )
            if ticket.step is Step.TRIAL or not too_fast:
                self.pause.warn()
            if not too_fast:
                return
            self._cut(ticket, now)
        # what was sent before the last pause began teaches nothing new about the limit
        self.pause.refused(now, ticket.epoch, retry_after, took)

    def _cut(self, ticket: Ticket, now: float) -> None:
        if self._climb is not None:  # from here on refusals teach the limit
            self._limiter.begin_at(self._climb.limit)
            self._climb = None
        if ticket.others:  # one alone is not refused because they are too many
            self._limiter.begin_at(min(self.limit, self._provider_cap.most))
            self._limiter.refused(now, ticket.sent_at)

    def _got_through(self, ticket: Ticket) -> None:
        """Somebody is there: so there is no outage."""
        self._reconnect_at = None
        self.outage.got_through(ticket.sent_at)

    def lost(self, ticket: Ticket, now: float, left: float = math.inf) -> bool:
        """A 5xx, a lost connection or a time-out; True if that is no fault of its row.

        left: rows of its run that are not done.
        """
        sure = self.outage.is_sure
        begins = self.outage.failed(
            now, ticket.sent_at, self.limit, left, answered=self.successes > 0
        )
        if begins or (self.outage.is_on and ticket.epoch == self.pause.epoch):
            self.pause.probe_in(self.outage.plan_probe(), now, self.pause.epoch)
        return sure

    def nobody_there(self, now: float) -> None:
        """The request reached nobody, or nobody that is the API."""
        # Until the first answer one request at a time finds out whether anybody is there, so
        # that few texts go to a server that they are not meant for.
        if not self.successes:
            self._first_sent, self._reconnect_at = now, now + RECONNECT

    def suspect(self, now: float, *, of_key: bool) -> None:
        """A row was refused, which may concern all; of_key: because the key was not accepted."""
        was_on = self.doubt.is_on
        self.doubt.suspect(now)
        # a key that was good a moment ago may be good again: the probe that decides waits
        if of_key and self.successes and self.doubt.is_on and not was_on:
            self.pause.probe_in(KEY_AGAIN, now, self.pause.epoch)

    def read_headers(
        self, headers: Iterable[tuple[bytes, bytes]], now: float, ticket: Ticket | None = None
    ) -> None:
        """Take over the limits in the headers of a response to this request."""
        quotas, sent = self._windows.read(headers), None if ticket is None else ticket.sent
        if "requests" in quotas:
            self.requests.name(quotas["requests"], now, sent.requests if sent else None)
        # a request that took more than a minute's limit shows that the limit is none
        quota = quotas.get("tokens")
        if quota is not None and (ticket is None or quota.limit >= ticket.tokens):
            self.tokens.name(quota, now, sent.tokens if sent else None)
            if sent is not None and quota.remaining is not None:
                until_now = Count(now, self.requests.sent, self.tokens.sent)
                missing = self.charge.see(quota.limit, quota.remaining, sent, until_now)
                self.tokens.settle(missing)

    def binding(self, now: float) -> Binding:
        """What binds right now."""
        return Binding(
            pause=self.pause.left(now),
            outage=self.outage.is_on,
            on_wire=self._on_wire,
            limit=self.limit if self.cap is None else self.cap,
            is_cap=self.cap is not None,
            requests=self.requests.wait(now),
            tokens=self.tokens.wait(now),
            rpm=self.requests.per_minute,
            tpm=self.tokens.per_minute,
            named=self.requests.is_named or self.tokens.is_named,
            probing=self._first_answer_wait(now) > 0,
        )

    def learnt(self, now: float) -> Learnt:
        """What is known by now, for an estimate of a run."""
        return Learnt(
            answers=self.successes,
            limit=self.limit if self.cap is None else self.cap,
            is_most=self.cap is not None or self._limiter.refused_before,
            seconds=self.pause.answer if self.successes else None,
            ratio=self.meter.ratio,
            tokens_out=self.meter.mean_out,
            rpm=self.requests.named,
            tpm=self.tokens.named,
            spare_requests=self.requests.spare(now),
            spare_tokens=self.tokens.spare(now),
        )
