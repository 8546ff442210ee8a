"""The governor against a provider's limits: wall over the floor, refusals, failures.

``python tests/benchmarks/limits.py [name ...]`` runs the scenarios on the loopback server, in
a process of its own, and prints a line each; ``--check`` exits with 1 where a goal is missed.
Time is scaled by ten: 600 requests a minute at 2 s become 6,000 at 0.2 s. The server's limiter
is a token bucket that holds one second's worth; a refusal costs nothing there and is answered
at once, with Retry-After saying when one request fits again where the scenario has headers.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

import llmframe as lf
from llmframe import testing

FIELDS = {"intent": ["refund", "delivery", "billing", "other"]}


@dataclass(frozen=True)
class Seen:
    """What a scenario showed. goals: (what, reached)."""

    name: str
    line: str
    goals: tuple[tuple[str, bool], ...]


def frame(n: int, length: int = 80) -> pd.DataFrame:
    """n distinct texts of about so many characters."""
    return pd.DataFrame({"text": [f"row {i} " + "x" * length for i in range(n)]})


def tag(df: pd.DataFrame, server: testing.Server, **options: object) -> lf.RunReport:
    """Tag with nothing but the endpoint named, on a governor that knows nothing yet."""
    from llmframe.engine.governor import forget_governors

    forget_governors()
    settings = {"model": "test-model", "base_url": server.url, "api_key": "benchmark"}
    settings |= {"checkpoint": False, "progress": False, **options}
    lf.tag(df, "text", FIELDS, **settings)
    return lf.last_run().report


def requests_with_headers() -> Seen:
    """600 requests a minute, headers and Retry-After, 2 s latency; scaled by 10."""
    with testing.serve(process=True, latency=0.2, rpm=6000, retry_after="wait") as server:
        report = tag(frame(2000), server)
    ratio = report.seconds / 20.0
    return Seen(
        "600 RPM, headers",
        f"{report.failed} failed, {ratio:.3f} x the floor, {report.refusals} refusals",
        (("0 failed", report.failed == 0), ("<= 1.06 x", ratio <= 1.06),
         ("<= 20 refusals", report.refusals <= 20)),
    )  # fmt: skip


def requests_without_headers() -> Seen:
    """The same, and nothing is said."""
    with testing.serve(
        process=True, latency=0.2, rpm=6000, headers=False, retry_after=None
    ) as server:
        report = tag(frame(2000), server)
    ratio = report.seconds / 20.0
    return Seen(
        "600 RPM, silent",
        f"{report.failed} failed, {ratio:.3f} x the floor, {report.refusals} refusals",
        (("0 failed", report.failed == 0), ("<= 1.08 x", ratio <= 1.08),
         ("<= 60 refusals", report.refusals <= 60)),
    )  # fmt: skip


def tokens() -> Seen:
    """Tokens a minute, prompts from 50 to 5,000 tokens."""
    texts = [f"row {i} " + "word " * (40 + (i * 37) % 3960) for i in range(400)]
    with testing.serve(process=True, latency=0.1, tpm=3_000_000, retry_after="wait") as server:
        report = tag(pd.DataFrame({"text": texts}), server)
    used = (report.tokens_in + report.tokens_out) / (report.seconds * 50_000)
    share = report.refusals / report.requests
    return Seen(
        "TPM, 50-5,000 tokens",
        f"{report.failed} failed, {used:.3f} of the allowed tokens, {share:.2%} refusals",
        (("0 failed", report.failed == 0), (">= 95 % used", used >= 0.95),
         ("<= 1 % refusals", share <= 0.01)),
    )  # fmt: skip


def silent_cap() -> Seen:
    """At most 30 in flight, refusing silently."""
    with testing.serve(
        process=True, latency=0.2, max_in_flight=30, headers=False, retry_after=None
    ) as server:
        report = tag(frame(4000), server)
    ratio = report.seconds / (4000 * 0.2 / 30)
    return Seen(
        "30 in flight, silent",
        f"{report.failed} failed, {ratio:.3f} x the floor, {report.refusals} refusals",
        (("0 failed", report.failed == 0), ("<= 1.20 x", ratio <= 1.20)),
    )


def queueing() -> Seen:
    """A server with 8 slots that queues."""
    with testing.serve(process=True, latency=0.1, slots=8) as server:
        report = tag(frame(4000), server)
    rate = 4000 / report.seconds / 80
    settled = [limit for at, limit in report.limits if at > report.seconds / 2]
    settled = settled or [report.limits[-1][1]]
    return Seen(
        "8 slots, queueing",
        f"{rate:.3f} of the server's rows/s; limit {min(settled)}-{max(settled)} at the end",
        (("8-16 in flight", 8 <= report.limits[-1][1] <= 16), (">= 97 %", rate >= 0.97)),
    )


def storm() -> Seen:
    """A storm of 429 for 30 s, then well; the normal rate is 100 a second."""
    with testing.serve(process=True, latency=0.2) as server:

        def weather() -> None:
            time.sleep(3)
            server.update(faults={"429": 1.0})
            time.sleep(30)
            server.update(faults={})

        threading.Thread(target=weather, daemon=True).start()
        begun = time.monotonic()
        report = tag(frame(1500), server, concurrency=20)
        calls = server.ledger.calls
    refused = [call.at for call in calls if call.status == 429]
    during = sum(refused[0] <= call.at <= refused[0] + 30 for call in calls)
    allowed = 30 * (0.2 * 100 + 10)
    return Seen(
        "429 storm of 30 s",
        f"{report.failed} failed, {during} requests in the storm of at most {allowed:.0f}; "
        f"{time.monotonic() - begun:.0f} s",
        (("0 failed", report.failed == 0), ("<= 20 % + 10/s", during <= allowed)),
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
        from llmframe.engine.governor import forget_governors

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
        df = frame(600)
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
        runs = [
            lf.start(frame(1000, 80 + i), "text", FIELDS, **options) for i in range(2)
        ]
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


SCENARIOS: dict[str, Callable[[], Seen]] = {
    "headers": requests_with_headers,
    "silent": requests_without_headers,
    "tokens": tokens,
    "cap": silent_cap,
    "queue": queueing,
    "storm": storm,
    "hour": hour_long,
    "401": hopeless("401"),
    "402": hopeless("402"),
    "quota": hopeless("quota"),
    "model": hopeless("404_model"),
    "two": two_runs,
}


def main() -> int:
    """Run the scenarios named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SCENARIOS], metavar="name")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    missed = 0
    warnings.simplefilter("ignore")
    for name in arguments.names or SCENARIOS:
        seen = SCENARIOS[name]()
        judged = ", ".join(f"{what}: {'met' if met else 'MISSED'}" for what, met in seen.goals)
        print(f"{seen.name:24} {seen.line}  [{judged}]", flush=True)
        missed += sum(not met for _, met in seen.goals)
    return int(arguments.check and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
