"""The network: asleep, dropped, stalled, unresolvable, insecure; no row is lost or blamed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest

from llmframe import testing
from llmframe.engine.governor import outage
from llmframe.engine.rows import decisions
from llmframe.errors import RunAborted
from llmframe.runs.run import session_of
from tests.kits.battery import (
    check,
    frame,
    kinds,
    lost,
    paid_twice,
    says,
    start,
    statuses,
    tag,
    uninterrupted,
    until,
)
from tests.kits.proxy import Proxy
from tests.kits.raw import Raw, good
from tests.kits.scripts import Program
from tests.kits.tls import self_signed
from tests.kits.ways import BY_SDK

pytestmark = [pytest.mark.battery, pytest.mark.usefixtures("way")]


@pytest.fixture
def quick_looks(monkeypatch):
    """Looks a fifth of a second apart in place of up to fifteen."""
    monkeypatch.setattr(outage, "LONGEST_GAP", 0.2)


@pytest.fixture
def impatient(monkeypatch):
    """A run whose endpoint was never reached ends after a second in place of eight."""
    monkeypatch.setattr(decisions, "NEVER_CONNECTED", 1.0)


def test_a_run_that_nothing_disturbs_is_its_own_measure(tmp_path):
    with testing.serve(latency=0.005) as server:
        out = tag(frame(40), server, tmp_path)
        assert statuses(out) == {"ok": 40}
        check(out, frame(40), server)


# -- 2: the laptop sleeps ---------------------------------------------------------------------

SLEEPER = """
from llmframe.system import timeout
timeout.SLICE, timeout.SLEPT = 0.2, 0.5   # a nap of a second is a night
out = lf.tag(frame(60), "text", FIELDS, timeout=1.9, concurrency=20, max_attempts=2, details=True)
tell(counts=counts(out), attempts=int(out["llm_attempts"].max()))
"""


def put_to_sleep(server, program, *, meanwhile=lambda: None):
    """Stop the process in mid-run for longer than its time-outs, and let it go on."""
    until(lambda: len(server.ledger) > 20)
    os.kill(program.process.pid, signal.SIGSTOP)
    try:
        time.sleep(1.0)
        meanwhile()
        time.sleep(1.0)
    finally:
        os.kill(program.process.pid, signal.SIGCONT)
    output, errors = program.process.communicate(timeout=60)
    assert program.process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture
def sleeper(way):
    """The program, which goes one of the two ways."""
    return (BY_SDK if way == "sdk" else "") + SLEEPER


def test_replies_that_came_while_the_machine_slept_are_read_and_not_bought_again(sleeper):
    with testing.serve(latency=0.3) as server, Program(server, sleeper) as program:
        result = put_to_sleep(server, program)
        assert result == {"counts": {"ok": 60}, "attempts": 1}
        assert paid_twice(server.ledger) == 0


def test_connections_that_died_while_the_machine_slept_cost_one_more_attempt_at_most(sleeper):
    with testing.serve(latency=0.3) as server, Proxy(server.url) as proxy:
        # what is sent again, all at once, may take its time
        with Program(proxy, sleeper.replace("timeout=1.9", "timeout=20.0")) as program:
            result = put_to_sleep(server, program, meanwhile=proxy.cut)
        assert result["counts"] == {"ok": 60}
        assert result["attempts"] <= 2


# -- 3: the network drops and comes back --------------------------------------------------------


def the_last_hang(rows):
    """Fault rows: the run cannot be over before the network drops, however late that is."""
    return {f"record {i} ": "hang" for i in range(rows - 3, rows)}


@pytest.mark.parametrize("mode", ["drop", "refuse"])
@pytest.mark.parametrize(("rows", "late"), [(200, 40), (30, 27)], ids=["many left", "three left"])
def test_a_network_that_drops_and_returns_costs_no_row(tmp_path, quick_looks, mode, rows, late):
    hanging = the_last_hang(rows)
    with testing.serve(latency=0.02, fault_rows=hanging) as server, Proxy(server.url) as proxy:
        run = start(frame(rows), proxy.url, tmp_path, details=True)
        until(lambda: run.report.ok >= late)
        dropped = proxy.do(mode)
        server.update(fault_rows={})
        before = run.report.requests
        until(lambda: session_of(run).snapshot().limited_by.startswith("outage"))
        time.sleep(1.5)
        looks, seconds = run.report.requests - before, time.monotonic() - dropped
        proxy.do("pass")
        out = run.result()
        assert statuses(out) == {"ok": rows}
        # what was on the wire, what it still tried, and looks
        assert looks <= 2 * 20 + seconds / 0.2
        assert out["llm_attempts"].max() <= 4
        assert lost(out, server.ledger) == []
        assert paid_twice(server.ledger) <= 20  # replies that were under way when it dropped
        again = tag(frame(rows), server, tmp_path)
        assert again.equals(uninterrupted(frame(rows)))


def test_a_network_that_is_down_is_probed_about_once_a_second_and_later_less(monkeypatch):
    hanging = the_last_hang(200)
    with testing.serve(latency=0.02, fault_rows=hanging) as server, Proxy(server.url) as proxy:
        run = start(frame(200), proxy.url, None)
        until(lambda: run.report.ok >= 40)
        proxy.do("drop")
        until(lambda: session_of(run).snapshot().limited_by.startswith("outage"))
        before = run.report.requests
        time.sleep(3.5)
        assert run.report.requests - before <= 4
        assert run.report.failed == 0
        run.stop()
        assert run.wait(5.0)


def test_a_stop_in_an_outage_ends_the_run_with_everything_kept(tmp_path):
    hanging = the_last_hang(100)
    with testing.serve(latency=0.02, fault_rows=hanging) as server, Proxy(server.url) as proxy:
        run = start(frame(100), proxy.url, tmp_path)
        until(lambda: run.report.ok >= 30)
        proxy.do("refuse")
        server.update(fault_rows={})
        until(lambda: session_of(run).snapshot().limited_by.startswith("outage"))
        run.stop()
        assert run.wait(5.0)
        with pytest.warns(match="rows are pending") as warned:
            out = run.result()
        says(warned[0].message, "stopped", "of 100 rows are answered and safe in", "again")
        assert statuses(out)["ok"] == run.report.ok
        assert "failed" not in statuses(out)
        answered = run.report.ok
        server.ledger.clear()
        out = tag(frame(100), server, tmp_path)
        assert len(server.ledger) == 100 - answered
        assert statuses(out) == {"ok": 100}


def test_a_stall_ends_at_the_time_out_and_then_goes_on(tmp_path, quick_looks):
    with testing.serve(latency=0.01) as server, Proxy(server.url) as proxy:
        run = start(frame(100), proxy.url, tmp_path, timeout=0.5)
        until(lambda: run.report.ok >= 30)
        proxy.do("stall")
        time.sleep(1.5)
        proxy.cut()  # what was held is lost
        proxy.do("pass")
        assert statuses(run.result()) == {"ok": 100}


# -- 4: names that nobody knows -----------------------------------------------------------------


class Resolver:
    """Stands for the system's: knows localhost, or, while it is off, nothing."""

    def __init__(self, monkeypatch):
        self.on, self.asked = False, 0
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host, *args, **kwargs):
        self.asked += 1
        if host == "localhost" and not self.on:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real("127.0.0.1" if host == "localhost" else host, *args, **kwargs)


def by_name(server):
    return server.url.replace("127.0.0.1", "localhost")


def test_a_name_that_never_resolves_ends_the_run_and_fails_no_row(monkeypatch, impatient):
    Resolver(monkeypatch)
    with testing.serve() as server:
        began = time.monotonic()
        with pytest.raises(RunAborted) as caught:
            tag(frame(30), by_name(server), None)
        assert time.monotonic() - began < 20
        assert len(server.ledger) == 0
    says(caught.value, "localhost", "cannot be reached", "Name or service not known")
    says(caught.value, "0 of 30 rows are answered", "Check base_url")
    assert statuses(caught.value.run.partial()) == {"pending": 30}


def test_a_name_that_resolves_after_a_while_costs_nothing(monkeypatch, tmp_path):
    resolver = Resolver(monkeypatch)
    with testing.serve() as server:
        run = start(frame(30), by_name(server), tmp_path, max_attempts=1)
        until(lambda: resolver.asked >= 3)
        resolver.on = True
        check(run.result(), frame(30), server)


# -- 5: TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody has signed."""
    return self_signed(tmp_path_factory.mktemp("tls"))[0]


def test_a_certificate_that_is_not_trusted_ends_the_run_at_once(certificate):
    with Raw(good, context=certificate) as server:
        began = time.monotonic()
        with pytest.raises(RunAborted) as caught:
            tag(frame(30), server.url, None)
        assert time.monotonic() - began < 5
        assert server.asked == []
    says(caught.value, "no secure connection", "self-signed", "0 of 30 rows", "SSL_CERT_FILE")
    assert statuses(caught.value.run.partial()) == {"pending": 30}
    assert caught.value.run.report.requests == 1


def test_https_on_a_plain_port_ends_the_run_at_once(tmp_path):
    with testing.serve() as server:
        with pytest.raises(RunAborted, match="no secure connection") as caught:
            tag(frame(30), server.url.replace("http:", "https:"), tmp_path)
        assert caught.value.run.report.requests == 1
        assert len(server.ledger) == 0


# -- 9: what hangs --------------------------------------------------------------------------------


def test_an_answer_of_one_byte_a_second_ends_at_the_time_out_and_frees_its_place():
    with testing.serve() as server, Proxy(server.url) as proxy:
        proxy.do("trickle")
        began = time.monotonic()
        out = tag(frame(3), proxy.url, None, timeout=0.5, max_attempts=1)
        assert time.monotonic() - began < 20  # all of it would take minutes
    assert kinds(out) == {"timeout": 3}
    says(out["llm_error"].iloc[0], "no complete reply within 0.5 s")


def test_rows_that_hang_hold_no_place_and_cost_no_other(tmp_path):
    rows = {f"record {i} ": "hang" if i % 2 else "trickle" for i in range(0, 40, 10)}
    with testing.serve(fault_rows=rows, latency=0.005) as server:
        began = time.monotonic()
        out = tag(frame(80), server, tmp_path, timeout=2.0, max_attempts=2, concurrency=8)
        assert time.monotonic() - began < 30
        assert kinds(out) == {"timeout": 4}
        assert {server.ledger.rows()[f"record {i} wants something"] for i in range(0, 40, 10)} == {
            2
        }
        check(out, frame(80), server, failed=4)
