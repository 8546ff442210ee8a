"""The decision on a row whose request failed, as a table: no run, no clock, no governor."""

from __future__ import annotations

import pytest

from llmframe.engine.row import Row
from llmframe.engine.rows.decisions import (
    DOUBTED,
    HOPELESS_AFTER,
    LONGEST_STORM,
    LONGEST_WINDOW,
    NEVER_CONNECTED,
    REFUSED_ALONE,
    STUBBORN_AFTER,
    SUSPECTED,
    Defer,
    EndRun,
    Facts,
    Fail,
    Pending,
    Resend,
    Retry,
    decide,
    unless_over,
)
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.verdict import Verdict

BACKOFF = 2.0  # seconds, in place of the random one


class Steady(Patience):
    """Patience whose waits are not random."""

    def backoff(self, attempts):
        return BACKOFF


def row(**values):
    made = Row(3, b"k", "text", sent=1, charged=1)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def verdict(action="retry", kind="server", status=500, **more):
    return Verdict(action, kind, "it broke", status, **more)


REFUSED = verdict("refused", "rate_limit", 429)
NOBODY = verdict(kind="connection", status=None)
PAGE = verdict(status=403, about="page")
WRONG_KEY = verdict("end_run", "bad_request", 401)
BAD = verdict("fail_row", "bad_request", 400)
DOUBT = verdict("suspect", "bad_request", 400)
INSECURE = verdict("end_run", "connection", None)

CASES = {
    # what the provider blames on the row
    "a row's own mistake fails it": (BAD, {}, {}, Fail("bad_request", "it broke")),
    # what may be the row's or everybody's
    "a request that was rewritten is sent again free": (DOUBT, {}, {"rewritten": True}, Resend()),
    "a row refused for no known reason goes after the others": (
        DOUBT, {"doubted": 1}, {}, Retry(0.0, free=True)),
    "refused again while others are answered, it fails": (
        DOUBT, {"doubted": DOUBTED}, {}, Fail("bad_request", "it broke")),
    "while a probe is to show whose fault it is, it waits": (
        DOUBT, {"doubted": DOUBTED}, {"in_doubt": True}, Retry(0.0, free=True)),
    # losses
    "a 5xx is tried again": (verdict(), {}, {}, Retry(BACKOFF)),
    "the last attempt fails the row, and says how often": (
        verdict(), {"sent": 7, "charged": 5}, {}, Fail("server", "it broke (after 7 attempts)")),
    "one attempt says nothing of how often": (
        verdict(), {"charged": 5}, {}, Fail("server", "it broke")),
    "an outage charges no row": (verdict(), {"charged": 5}, {"outage": True},
                                 Retry(BACKOFF, free=True)),
    "a third paid reply is the last": (verdict(), {"paid": 3}, {}, Fail("server", "it broke")),
    "nobody at the address yet: nothing counts": (
        NOBODY, {"charged": 5}, {"responded": False}, Retry(1.0, restart=True)),
    "nobody there for long ends this run only": (
        NOBODY, {}, {"responded": False, "connecting": NEVER_CONNECTED + 1},
        EndRun(NOBODY, for_all=False)),
    "a lost connection to a known address is a loss": (NOBODY, {}, {}, Retry(BACKOFF)),
    "a proxy's page is nobody": (PAGE, {}, {"responded": False}, Retry(1.0, restart=True)),
    "no secure connection ends this run": (
        INSECURE, {}, {"responded": False}, EndRun(INSECURE, for_all=False)),
    # hopeless
    "a wrong key ends the runs of that key": (WRONG_KEY, {}, {}, EndRun(WRONG_KEY)),
    # refusals
    "a refusal waits and uses up nothing": (REFUSED, {"charged": 5}, {}, Defer(BACKOFF)),
    "as long as the provider asks": (
        verdict("refused", "rate_limit", 429, retry_after=30.0), {}, {"pause": 40.0}, Defer(30.0)),
    "no longer than the others": (
        verdict("refused", "rate_limit", 429, retry_after=36000.0), {}, {"pause": 0.0},
        Defer(BACKOFF)),
    "a row that alone is refused waits for a minute at most": (
        verdict("refused", "rate_limit", 429, retry_after=36000.0), {"refused": STUBBORN_AFTER},
        {"successes": 10}, Defer(LONGEST_WINDOW, last=True)),
    "refused again and again while others pass: it goes last": (
        REFUSED, {"refused": STUBBORN_AFTER}, {"successes": 10}, Defer(BACKOFF, last=True)),
    "few successes blame no row": (
        REFUSED, {"refused": STUBBORN_AFTER}, {"successes": 9}, Defer(BACKOFF)),
    "one that went last stays last": (REFUSED, {"is_last": True}, {}, Defer(BACKOFF, last=True)),
    "stubborn and refused alone: it fails": (
        REFUSED, {"refused": STUBBORN_AFTER, "refused_alone": REFUSED_ALONE}, {"successes": 10},
        Fail("rate_limit", "it broke (rate-limited 3 times)")),
    "stubborn for ten refusals: it fails": (
        REFUSED, {"refused": HOPELESS_AFTER}, {"successes": 10},
        Fail("rate_limit", "it broke (rate-limited 10 times)")),
    "twice for no reason but the row itself: it fails": (
        REFUSED, {"refused": 4, "suspected": SUSPECTED}, {"suspect": True},
        Fail("rate_limit", "it broke (rate-limited 4 times)")),
    "once may be a mistake": (
        REFUSED, {"refused": 4, "suspected": SUSPECTED - 1}, {"suspect": True}, Defer(BACKOFF)),
    "in a storm that came afterwards nothing is sure": (
        REFUSED, {"refused": 4, "suspected": SUSPECTED}, {}, Defer(BACKOFF)),
    "a storm fails no row": (
        REFUSED, {"refused": 99, "refused_alone": 99}, {"now": LONGEST_STORM}, Defer(BACKOFF)),
    "but a run's last rows, after a quarter of an hour": (
        REFUSED, {"refused": 99, "refused_alone": 99}, {"now": LONGEST_STORM, "none_fresh": True},
        Fail("rate_limit", "it broke (rate-limited 99 times)")),
    # the run is ending
    "a stop leaves the row pending": (verdict(), {}, {"stopped": True}, Pending()),
    "in a refusal too": (REFUSED, {}, {"stopped": True}, Pending()),
    "but the last attempt has failed all the same": (
        verdict(), {"charged": 5}, {"stopped": True}, Fail("server", "it broke")),
}  # fmt: skip


@pytest.mark.parametrize(("met", "state", "facts", "wanted"), CASES.values(), ids=CASES)
def test_the_decision(met, state, facts, wanted):
    assert decide(row(**state), met, Facts(**facts), Steady()) == wanted


DEADLINE = Steady(deadline=10.0, max_attempts=99)


@pytest.mark.parametrize(("met", "busy"), [(verdict(), 8.0), (REFUSED, 10.0), (DOUBT, 10.0)])
def test_a_deadline_is_met_with_the_wait_but_not_by_waiting_for_the_provider(met, busy):
    facts = Facts(rewritten=met is DOUBT)
    late = row(busy=busy, failure=met)
    assert decide(late, met, facts, DEADLINE) == Fail(
        "deadline", "the deadline of 10 s has passed; last: it broke"
    )
    late.busy -= 0.1
    assert not isinstance(decide(late, met, facts, DEADLINE), Fail)


def test_a_deadline_beats_the_last_attempt_and_a_stop():
    over = row(busy=10.0, charged=99)
    decided = decide(over, verdict(), Facts(stopped=True), DEADLINE)
    assert decided == Fail("deadline", "the deadline of 10 s has passed")


def test_a_reply_that_must_be_asked_for_again_counts_as_an_attempt():
    again = Resend(free=False)
    assert unless_over(again, row(), Facts(), Steady()) == again
    assert unless_over(again, row(), Facts(stopped=True), Steady()) == Pending()
