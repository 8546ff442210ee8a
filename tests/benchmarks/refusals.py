"""Scenarios of refusals: caps on requests at once, rows that are always refused, wrong words."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import llmframe as lf
from llmframe import testing
from tests.benchmarks.scenario import FIELDS, Seen, failures, frame, simulate
from tests.kits.engine import Texts, numbered
from tests.kits.virtual_provider import LimitedProvider

WAITS = (0.5, 1.0, None)  # seconds that a refusal asks for
ROWS = {30: 2000, 3: 400, 1: 200}  # by the cap


def cap(most: int, latency: float, worst: float) -> Seen:
    """So many in flight, with each Retry-After; the floor is full use of the cap."""
    seen, shares, failed = [], [], 0
    for wait in WAITS:
        provider = LimitedProvider(
            max_in_flight=most, says=False, latency=latency, retry_after=wait, refusal=0.01
        )
        seconds, wired = simulate(numbered(ROWS[most]), provider)
        seen.append(seconds / (ROWS[most] * latency / most))
        shares.append(provider.refused / ROWS[most])
        failed += failures(wired)
    return _judged(f"{most} at once, {latency} s", seen, shares, failed, worst)


def real_cap(most: int, latency: float, worst: float, rows: int) -> Seen:
    """The same on the loopback server in real time."""
    seen, shares, failed = [], [], 0
    for wait in WAITS:
        with testing.serve(
            process=True, latency=latency, max_in_flight=most, retry_after=wait, headers=False
        ) as server:
            began = time.monotonic()
            lf.tag(frame(rows), "text", FIELDS, model="test-model", base_url=server.url,
                   api_key=f"cap {most} {latency} {wait}", checkpoint=False,
                   progress=False)  # fmt: skip
            seen.append((time.monotonic() - began) / (rows * latency / most))
            shares.append(sum(call.status == 429 for call in server.ledger.calls) / rows)
            failed += lf.last_run().report.failed
    return _judged(f"{most} at once, {latency} s, real", seen, shares, failed, worst)


def _judged(name: str, ratios: list[float], shares: list[float], failed: int, worst: float) -> Seen:
    return Seen(
        name,
        f"{failed} failed, {' '.join(f'{each:.3f}' for each in ratios)} x the floor, "
        f"{' '.join(f'{share:.2%}' for share in shares)} refusals (Retry-After 0.5, 1, none)",
        (("0 failed", failed == 0), (f"<= {worst} x", max(ratios) <= worst),
         ("<= 1 % refusals", max(shares) <= 0.01)),
    )  # fmt: skip


def moving_cap() -> Seen:
    """A cap of 10 that becomes 40 after a minute, and 5 after two: found within seconds."""
    provider = LimitedProvider(max_in_flight=10, says=False, latency=0.5, spread=0.0)
    changes = ((60.0, 40), (120.0, 5))
    provider.caps = changes
    seconds, wired = simulate(numbered(6000), provider, cap=50)
    late = [_found(provider.calls, at, most, 0.5) for at, most in changes]
    failed = failures(wired)
    return Seen(
        "a cap that moves",
        f"{failed} failed, up found after {late[0]:.1f} s, down after {late[1]:.1f} s, "
        f"{provider.refused / 6000:.2%} refusals, {seconds:.0f} s",
        (("0 failed", failed == 0), ("found <= 10 s", max(late) <= 10.0)),
    )


def _found(calls: list[float], at: float, most: int, latency: float) -> float:
    """Seconds after a change until a second's requests fit the new cap, 20 % up or down."""
    wanted = most / latency
    begun = calls[0] + at
    for late in range(60):
        sent = sum(begun + late <= call < begun + late + 1 for call in calls)
        if 0.8 * wanted <= sent <= 1.2 * wanted:
            return late
    return float("inf")


def always_refused(rows: int, concurrency: int | None) -> Seen:
    """So many rows first in the frame that are always refused, 200 good ones behind."""
    texts = [f"long {i}" for i in range(rows)] + [f"good {i}" for i in range(200)]
    provider = LimitedProvider(latency=1.0, says=False, never="long")
    seconds, wired = simulate(Texts(texts), provider, concurrency)
    good = wired.statuses[rows:].count("ok")
    failed = wired.statuses[:rows].count("failed")
    return Seen(
        f"{rows} always refused",
        f"{good} of 200 good rows answered, {failed} of {rows} failed, {seconds:.0f} s",
        (("all good rows", good == 200), ("the others fail", failed == rows),
         ("<= 1 h", seconds <= 3600)),
    )  # fmt: skip


def refused_count(wait: float | None) -> Seen:
    """60 a minute where refused requests count too, with Retry-After 0, or 1, for ever."""
    provider = LimitedProvider(
        rpm=60, kind="minute", latency=0.5, says=False, retry_after=wait, counts_refused=True
    )
    seconds, wired = simulate(numbered(150), provider)
    ratio, failed = seconds / 90.5, failures(wired)
    return Seen(
        f"Retry-After {wait:g} for ever" if wait is not None else "no Retry-After, refused count",
        f"{failed} failed, {ratio:.3f} x the floor, {provider.refused} refusals",
        (("0 failed", failed == 0), ("<= 1.5 x", ratio <= 1.5)),
    )


def stopped_in_a_pause() -> Seen:
    """Stopped in an hour-long pause, run again after the person bought credit."""
    with testing.serve(process=True, latency=0.05, retry_after=3600.0) as server:
        options = {"model": "test-model", "base_url": server.url, "api_key": "credit"}
        run = lf.start(frame(400), "text", FIELDS, progress=False, concurrency=20, **options)
        while run.report.ok < 100:
            time.sleep(0.01)
        server.update(faults={"429_after": 1.0})
        while "pause" not in run.report.limited_by:
            time.sleep(0.01)
        run.stop()
        run.wait()
        sent = len(server.ledger)
        refused = lf.start(frame(400), "text", FIELDS, progress=False, concurrency=20, **options)
        while "pause" not in refused.report.limited_by:
            time.sleep(0.01)
        looked = len(server.ledger) - sent
        refused.stop()
        refused.wait()
        server.update(faults={})
        began = time.monotonic()
        out = lf.tag(frame(400), "text", FIELDS, progress=False, **options)
        took = time.monotonic() - began
    good = (out["llm_status"] == "ok").all()
    return Seen(
        "stopped in a pause",
        f"a new run asked {looked} time, was refused and waited; the next was done in {took:.1f} s",
        (("one look", looked == 1), ("all rows", bool(good)), ("<= 10 s", took <= 10)),
    )


def wrong_word() -> Seen:
    """One refusal asks for ten hours; then all is well, and the person runs the cell again."""
    with testing.serve(process=True, latency=0.05, retry_after=36_000.0) as server:
        options = {"model": "test-model", "base_url": server.url, "api_key": "word"}
        server.update(fault_rows={"row 0 ": "429_after"})
        run = lf.start(frame(400, 90), "text", FIELDS, progress=False, concurrency=20, **options)
        time.sleep(1.0)
        server.update(fault_rows={})
        run.stop()
        run.wait()
        began = time.monotonic()
        out = lf.tag(frame(400, 90), "text", FIELDS, progress=False, **options)
        took = time.monotonic() - began
    good = (out["llm_status"] == "ok").all()
    return Seen(
        "Retry-After 36000, once",
        f"run again: all rows {'ok' if good else 'NOT ok'} after {took:.1f} s",
        (("all rows", bool(good)), ("<= 10 s", took <= 10)),
    )


SCENARIOS: dict[str, Callable[[], Seen]] = {
    "cap-30": partial(cap, 30, 0.3, 1.05),
    "cap-30-slow": partial(cap, 30, 2.0, 1.05),
    "cap-3": partial(cap, 3, 0.3, 1.10),
    "cap-1": partial(cap, 1, 0.3, 1.10),
    "cap-moves": moving_cap,
    "never-50": partial(always_refused, 50, None),
    "never-2": partial(always_refused, 2, 1),
    "after-0": partial(refused_count, 0.0),
    "after-1": partial(refused_count, 1.0),
    "real-cap-30": partial(real_cap, 30, 0.3, 1.05, 6000),
    "real-cap-30-slow": partial(real_cap, 30, 2.0, 1.05, 2000),
    "real-cap-3": partial(real_cap, 3, 0.3, 1.10, 300),
    "real-cap-1": partial(real_cap, 1, 0.3, 1.10, 200),
    "real-stopped": stopped_in_a_pause,
    "real-word": wrong_word,
}
