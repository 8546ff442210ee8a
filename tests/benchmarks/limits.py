"""The governor against a provider's limits: wall over the floor, refusals, failures.

``python -m tests.benchmarks.limits [name ...]`` prints a line for each scenario; ``--check``
exits with 1 where a goal is missed. Limits a minute, caps, queues and the storm run in
virtual time: the real pipeline and governor on a loop whose clock jumps, against a provider
with a token bucket of one second's worth; a refusal takes 0.1 s and costs nothing. The rest
runs on the loopback server, in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import llmframe as lf
from llmframe import testing
from llmframe.engine.governor import forget_governors
from tests.benchmarks import refusals
from tests.benchmarks.scenario import FIELDS, Seen, failures, frame, simulate
from tests.kits.engine import Texts, Wired, numbered, wire
from tests.kits.virtual_provider import LimitedProvider
from tests.kits.virtual_time import now, run


def requests_a_minute(name: str, worst: float, refusals: int, *, says: bool) -> Seen:
    """600 requests a minute, 2 s latency, 2,000 rows, no settings."""
    provider = LimitedProvider(rpm=600, says=says)
    seconds, wired = simulate(numbered(2000), provider)
    ratio, failed = seconds / 200.0, failures(wired)
    return Seen(
        name,
        f"{failed} failed, {ratio:.3f} x the floor, {provider.refused} refusals",
        (("0 failed", failed == 0), (f"<= {worst} x", ratio <= worst),
         (f"<= {refusals} refusals", provider.refused <= refusals)),
    )  # fmt: skip


def with_headers() -> Seen:
    """With headers and Retry-After."""
    return requests_a_minute("600 RPM, headers", 1.06, 20, says=True)


def without_headers() -> Seen:
    """The same, and nothing is said."""
    return requests_a_minute("600 RPM, silent", 1.08, 60, says=False)


def tokens_a_minute() -> Seen:
    """Prompts from 50 to 5,000 tokens."""
    rows = Texts([f"row {i} " + "word " * (40 + (i * 37) % 3960) for i in range(400)])
    provider = LimitedProvider(tpm=300_000, latency=1.0)
    seconds, wired = simulate(rows, provider)
    used, failed = provider.tokens / (seconds * 5000), failures(wired)
    share = provider.refused / len(provider.calls)
    return Seen(
        "TPM, 50-5,000 tokens",
        f"{failed} failed, {used:.3f} of the allowed tokens, {share:.2%} refusals",
        (("0 failed", failed == 0), (">= 95 % used", used >= 0.95),
         ("<= 1 % refusals", share <= 0.01)),
    )  # fmt: skip


def counted_at_arrival() -> Seen:
    """Prompt and cap count at arrival, about four times what usage says afterwards."""
    rows = Texts([f"row {i} " + "word " * (40 + (i * 37) % 200) for i in range(1200)])
    provider = LimitedProvider(tpm=300_000, latency=1.0, charge=4.0)
    seconds, wired = simulate(rows, provider, max_output_tokens=600)
    used, failed = provider.tokens / (seconds * 5000), failures(wired)
    share = provider.refused / len(provider.calls)
    return Seen(
        "TPM, cap at arrival",
        f"{failed} failed, {used:.3f} of the allowed tokens, {share:.2%} refusals",
        (("0 failed", failed == 0), (">= 95 % used", used >= 0.95),
         ("<= 1 % refusals", share <= 0.01)),
    )  # fmt: skip


def minute_bucket() -> Seen:
    """A bucket that holds a minute, and a job of 1.5 x the limit: the burst is used."""
    provider = LimitedProvider(rpm=5000, latency=0.3, burst=60.0)
    seconds, wired = simulate(numbered(7500), provider)
    ratio, failed = seconds / 30.0, failures(wired)
    return Seen(
        "a minute's bucket",
        f"{failed} failed, {ratio:.3f} x the floor, {provider.refused} refusals",
        (("0 failed", failed == 0), ("<= 1.08 x", ratio <= 1.08)),
    )


def claimed_bucket() -> Seen:
    """The headers claim such a bucket, but limits hold by the second."""
    provider = LimitedProvider(rpm=5000, latency=0.3, claimed=60.0)
    seconds, wired = simulate(numbered(5000), provider)
    ratio, failed = seconds / 60.0, failures(wired)
    return Seen(
        "a bucket only claimed",
        f"{failed} failed, {ratio:.3f} x the floor, {provider.refused} refusals",
        (("0 failed", failed == 0), ("<= 1.08 x", ratio <= 1.08),
         ("<= 20 refusals", provider.refused <= 20)),
    )  # fmt: skip


def silent_cap() -> Seen:
    """At most 30 in flight, refusing silently."""
    provider = LimitedProvider(max_in_flight=30, says=False)
    seconds, wired = simulate(numbered(2000), provider)
    ratio, failed = seconds / (2000 * 2 / 30), failures(wired)
    return Seen(
        "30 in flight, silent",
        f"{failed} failed, {ratio:.3f} x the floor, {provider.refused} refusals",
        (("0 failed", failed == 0), ("<= 1.20 x", ratio <= 1.20)),
    )


def no_limit() -> Seen:
    """Latency 1 s, 30,000 rows: rows/s between 20 and 40 s, against fixed concurrencies."""
    rates = {}
    for cap in (None, 50, 100, 200, 400):
        provider = LimitedProvider(latency=1.0)
        simulate(numbered(30_000), provider, cap)
        begun = provider.calls[0]
        rates[cap] = sum(20 <= at - begun < 40 for at in provider.calls) / 20
    own = rates.pop(None)
    best = max(rates.values())
    return Seen(
        "no limit, 1 s",
        f"auto {own:.0f} rows/s; fixed {', '.join(f'{c}: {r:.0f}' for c, r in rates.items())}",
        ((">= 95 % of the best", own >= 0.95 * best),),
    )


def queueing() -> Seen:
    """A server with 8 slots that queues."""
    provider = LimitedProvider(slots=8, latency=0.5)
    seconds, wired = simulate(numbered(3000), provider)
    share = 3000 * 0.5 / 8 / seconds
    held = Counter[int]()
    for (begun, limit), (ended, _) in pairwise([*wired.limits, (seconds, 0)]):
        held[limit] += max(0.0, ended - max(begun, 50.0))
    settled = held.most_common(1)[0][0]
    return Seen(
        "8 slots, queueing",
        f"{share:.3f} of the server's rows/s; in flight mostly {settled} after 50 s",
        (("8-16 in flight", 8 <= settled <= 16), (">= 97 %", share >= 0.97)),
    )


def storm() -> Seen:
    """Nothing but 429 for 30 s, from second 5 on; the normal rate is 25 a second."""
    provider = LimitedProvider(latency=2.0, says=False)

    async def main() -> tuple[float, Wired]:
        begun = now()
        provider.broken = (begun + 5, begun + 35)
        wired = await wire(numbered(1500), provider, cap=50, probes=True).run()
        return now() - begun, wired

    seconds, wired = run(main())
    begun = provider.calls[0]
    during = sum(5 <= at - begun < 35 for at in provider.calls)
    failed, allowed = failures(wired), 30 * (0.2 * 25 + 10)
    return Seen(
        "429 storm of 30 s",
        f"{failed} failed, {during} requests in it, {allowed:.0f} allowed; {seconds:.0f} s in all",
        (("0 failed", failed == 0), ("<= 20 % + 10/s", during <= allowed)),
    )


def hour_long() -> Seen:
    """Retry-After 3600 for every row from the 100th on: shown, and Stop works in it."""
    df = frame(400)
    with testing.serve(
        process=True, latency=0.05, faults={}, retry_after=3600.0, fault_rows={}
    ) as server:
        run = lf.start(
            df, "text", FIELDS, model="test-model", base_url=server.url, api_key="hour",
            progress=False, concurrency=20,
        )  # fmt: skip
        while run.report.ok < 100:
            time.sleep(0.01)
        server.update(faults={"429_after": 1.0})
        while "pause" not in run.report.limited_by:
            time.sleep(0.01)
        shown = run.report.limited_by
        at = time.monotonic()
        run.stop()
        run.wait()
        took = time.monotonic() - at
        server.update(faults={})
        kept = run.report.ok
        forget_governors()
        out = lf.tag(df, "text", FIELDS, model="test-model", base_url=server.url, api_key="hour",
                     progress=False)  # fmt: skip
        resumed = lf.last_run().report
    return Seen(
        "Retry-After 3600",
        f'"{shown}"; stopped in {took:.2f} s; resumed with {resumed.reused} of {kept} reused',
        (("stop <= 1 s", took <= 1.0), ("says until when", "left" in shown),
         ("resumes", resumed.reused == kept and (out["llm_status"] == "ok").all())),
    )  # fmt: skip


def hopeless(fault: str) -> Callable[[], Seen]:
    """A hopeless answer in the middle of a run."""

    def scenario() -> Seen:
        df = frame(3000).assign(text=lambda d: d["text"] + fault)  # none is in a checkpoint yet
        with testing.serve(process=True, latency=0.1) as server:
            options = {"model": "test-model", "base_url": server.url, "progress": False}
            run = lf.start(df, "text", FIELDS, api_key=fault, concurrency=30, **options)
            while run.report.ok < 200:
                time.sleep(0.005)
            server.update(faults={fault: 1.0})
            run.wait()
            calls = server.ledger.calls
            first = min(call.at for call in calls if call.status >= 400)
            later = sum(call.at > first + 0.1 for call in calls)
            failed = run.report.failed
            server.update(faults={})
            lf.tag(df, "text", FIELDS, api_key=fault, **options)
            reused = lf.last_run().report.reused
        return Seen(
            f"{fault} in the middle",
            f"{later} requests after those in flight, {failed} failed, {reused} reused",
            (("none later", later == 0), ("0 failed", failed == 0),
             ("aborted, resumable", run.status == "aborted" and reused >= 200)),
        )  # fmt: skip

    return scenario


def two_runs() -> Seen:
    """Two runs at once on one key: together within the limit."""
    with testing.serve(process=True, latency=0.2, rpm=6000, retry_after="wait") as server:
        begun = time.monotonic()
        options = {"model": "test-model", "base_url": server.url, "api_key": "both"}
        options |= {"checkpoint": False, "progress": False}
        runs = [lf.start(frame(1000, 80 + i), "text", FIELDS, **options) for i in range(2)]
        for run in runs:
            run.wait()
        ratio = (time.monotonic() - begun) / 20.0
    refusals = sum(run.report.refusals for run in runs)
    failed = sum(run.report.failed for run in runs)
    return Seen(
        "two runs, one key",
        f"{failed} failed, {ratio:.3f} x the floor, {refusals} refusals together",
        (("0 failed", failed == 0), ("<= 40 refusals", refusals <= 40)),
    )


def on_loopback(name: str, rows: int, floor: float, worst: float, **options: Any) -> Seen:
    """Rows against the loopback server in real time. floor: seconds. worst: x the floor.

    options: of the server; max_output_tokens: of the run.
    """
    cap = options.pop("max_output_tokens", None)
    with testing.serve(process=True, latency=0.3, retry_after="wait", **options) as server:
        begun = time.monotonic()
        lf.tag(frame(rows), "text", FIELDS, model="test-model", base_url=server.url, api_key=name,
               max_output_tokens=cap, checkpoint=False, progress=False)  # fmt: skip
        seconds, report = time.monotonic() - begun, lf.last_run().report
        refusals = sum(call.status == 429 for call in server.ledger.calls)
    ratio, most = seconds / floor, 20 if cap is None else rows // 100
    return Seen(
        f"{name}, real",
        f"{report.failed} failed, {ratio:.3f} x the floor, {refusals} refusals",
        (("0 failed", report.failed == 0), (f"<= {worst} x", ratio <= worst),
         (f"<= {most} refusals", refusals <= most)),
    )  # fmt: skip


def real_arrival() -> Seen:
    """Prompt and cap count at arrival; the floor is what a first run shows to be counted."""
    with testing.serve(tpm=1e9) as server:
        lf.tag(frame(1), "text", FIELDS, model="test-model", base_url=server.url, api_key="one",
               max_output_tokens=400, checkpoint=False, progress=False)  # fmt: skip
        counted = lf.last_run().report.tokens_in + 400
    return on_loopback("cap at arrival", 800, 800 * counted / 20_000, 1 / 0.95,
                       tpm=1_200_000, max_output_tokens=400)  # fmt: skip


def real_burst() -> Seen:
    """A job of 1.5 x the limit with a bucket that holds a minute."""
    return on_loopback("a minute's bucket", 3000, 30.0, 1.08, rpm=2000, burst=60.0)


def real_claimed() -> Seen:
    """The headers claim such a bucket."""
    return on_loopback("a bucket only claimed", 1000, 30.0, 1.08, rpm=2000, claimed=60.0)


SCENARIOS: dict[str, Callable[[], Seen]] = {
    "headers": with_headers,
    "silent": without_headers,
    "tokens": tokens_a_minute,
    "arrival": counted_at_arrival,
    "burst": minute_bucket,
    "claimed": claimed_bucket,
    "cap": silent_cap,
    "free": no_limit,
    "queue": queueing,
    "storm": storm,
    "hour": hour_long,
    "401": hopeless("401"),
    "402": hopeless("402"),
    "quota": hopeless("quota"),
    "model": hopeless("404_model"),
    "two": two_runs,
    "real-arrival": real_arrival,
    "real-burst": real_burst,
    "real-claimed": real_claimed,
    **refusals.SCENARIOS,
}


def main() -> int:
    """Run the scenarios named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SCENARIOS))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    missed = 0
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())  # checkpoints go there
    for name in arguments.names or SCENARIOS:
        seen = SCENARIOS[name]()
        judged = ", ".join(f"{what}: {'met' if met else 'MISSED'}" for what, met in seen.goals)
        print(f"{seen.name:24} {seen.line}  [{judged}]", flush=True)
        missed += sum(not met for _, met in seen.goals)
    return int(arguments.check and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
