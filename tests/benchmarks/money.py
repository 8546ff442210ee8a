"""What a run says that it cost, against the ledger of the server that bills it.

``python -m tests.benchmarks.money [name ...]`` prints a line for each scenario; ``--check``
exits with 1 where a goal is missed. The bill: $1 and $2 per million tokens in and out, and a
tenth for tokens in the server's cache, which works as providers' do. The first part runs on the
loopback server, which states its tokens as each family of providers does; budgets before the
first answer, time-outs and hedges run in virtual time. The last part runs one cell again and again
under one cap, in this and in other processes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.reply import Reply
from llmframe.report import RunReport
from llmframe.results import Usage
from llmframe.testing.options import USAGES
from tests.benchmarks.limits import Seen
from tests.benchmarks.money_again import AGAIN
from tests.kits.engine import GOOD, numbered, wire
from tests.kits.virtual_time import run

PRICES = {"in": 1.0, "out": 2.0, "cached": 0.1}
FIELDS = {"intent": ["refund", "delivery", "billing", "other"]}
INSTRUCTIONS = "Tag this customer-service record by its main intent. " * 40
ROWS = 400


def tag(name: str, *, options: dict[str, Any], **server: Any) -> tuple[RunReport, float, int]:
    """The report of a run, what the server bills for it, and its rows that are ok."""
    texts = [f"{name} {i} " + "where is my parcel? " * (i % 9) for i in range(ROWS)]
    frame = pd.DataFrame({"text": texts})
    with testing.serve(process=True, latency=0.02, prices=PRICES, **server) as provider:
        lf.tag(
            frame, "text", FIELDS, instructions=INSTRUCTIONS, model=name, base_url=provider.url,
            api_key="k", concurrency=20, checkpoint=False, progress=False, **options,
        )  # fmt: skip
        report = lf.last_run().report
        return report, provider.ledger.cost(PRICES), report.ok


def whole(usage: str) -> Seen:
    """A run whose prompt's constant part is cached."""
    prices = None if usage == "openrouter" else PRICES
    report, bill, _ = tag(f"whole-{usage}", options={"prices": prices}, cache=True, usage=usage)
    off = (report.cost or 0.0) / bill - 1
    return Seen(
        f"cached, {usage}",
        f"said ${report.cost:.6f}, billed ${bill:.6f}, {off:+.3%}; "
        f"{report.cached_share:.0%} of the prompts cached",
        (("within 1 %", abs(off) <= 0.01), ("cached", report.cached_share > 0.5)),
    )


def budget(usage: str) -> Seen:
    """The same with half the money that it takes."""
    most = 0.025
    report, bill, ok = tag(
        f"budget-{usage}",
        options={"prices": PRICES, "max_cost": most},
        cache=True,
        usage=usage,
    )
    share = bill / most
    return Seen(
        f"max_cost, {usage}",
        f"billed {share:.4f} of max_cost, {ok} of {ROWS} rows, {report.limited_by}",
        (("stopped by it", 0 < ok < ROWS), ("within 1 %", 0.99 <= share <= 1.01)),
    )


def silent() -> Seen:
    """Replies that do not state their tokens."""
    report, bill, _ = tag("silent", options={"prices": PRICES}, usage=None)
    off = (report.cost or 0.0) / bill - 1
    return Seen(
        "no usage",
        f"said about ${report.cost:.6f}, billed ${bill:.6f}, {off:+.1%}; "
        f"{report.estimated} of {report.requests} replies estimated",
        (("said to be estimated", report.estimated == report.requests),
         ("within a quarter", abs(off) <= 0.25)),
    )  # fmt: skip


def silent_budget() -> Seen:
    """A budget where replies do not state their tokens."""
    most = 100_000
    report, _, ok = tag("silent-budget", options={"max_tokens": most}, usage=None)
    used = report.tokens_in + report.tokens_out
    return Seen(
        "max_tokens, no usage",
        f"{used:,} of {most:,} tokens by the estimate, {ok} of {ROWS} rows",
        (("stopped by it", 0 < ok < ROWS), ("not above", used <= most)),
    )


class Billing:
    """A provider in virtual time that bills what it answers, whoever waits for it."""

    def __init__(self, tokens: tuple[int, int], latency: Callable[[int], float]) -> None:
        self.tokens, self.latency = tokens, latency
        self.number = 0

    async def send(self, body: dict[str, Any]) -> Reply:
        self.number += 1
        await asyncio.sleep(self.latency(self.number))
        return Reply(GOOD, "stop", None, Usage(*self.tokens), {})


def limited(name: str, most: int, provider: Billing, *, rows: int = 2000, **options: Any) -> Seen:
    """What is billed of a budget of tokens; the overshoot is at most what is in flight."""

    async def main() -> Any:
        budget = Budget(max_tokens=most)
        return await wire(numbered(rows), provider, budget=budget, **options).run()

    wired = run(main())
    billed, one = provider.number * sum(provider.tokens), sum(provider.tokens)
    tally = wired.tally
    return Seen(
        name,
        f"billed {billed:,} of {most:,} tokens, {wired.statuses.count('ok')} rows; read "
        f"{tally.usage.tokens:,}, {tally.unread} requests not read",
        (("not above what is in flight", billed <= most + 20 * one),
         (">= 90 %", billed >= 0.9 * most)),
    )  # fmt: skip


def timeouts() -> Seen:
    """40 % of the answers come after the time-out, and are billed."""
    provider = Billing((900, 100), lambda number: 100 if number % 5 in (0, 2) else 1)
    patience = Patience(30, None, 5)
    return limited("time-outs", 100_000, provider, cap=20, patience=patience)


def hedges() -> Seen:
    """The last rows are late and asked for twice."""
    provider = Billing((900, 100), lambda number: 20 if 70 < number <= 80 else 0.2)
    return limited("hedges", 95_000, provider, rows=80, cap=20, hedge=True)


def thoughts(cap: int | None) -> Seen:
    """Long answers: one request is out until it is known what they take."""
    provider = Billing((200, 4000), lambda _: 30)
    return limited(f"4,000 tokens an answer, {cap or 'auto'}", 50_000, provider, cap=cap)


def small(most: int) -> Seen:
    """A small budget and many rows in the queue."""
    provider = Billing((300, 10), lambda _: 1)
    return limited(f"max_tokens={most:,}", most, provider, cap=None, probes=True)


SCENARIOS: dict[str, Callable[[], Seen]] = {
    **{f"cached-{usage}": lambda usage=usage: whole(usage) for usage in USAGES},
    **{f"budget-{usage}": lambda usage=usage: budget(usage) for usage in USAGES},
    "silent": silent,
    "silent-budget": silent_budget,
    "timeouts": timeouts,
    "hedges": hedges,
    "thoughts": lambda: thoughts(None),
    "thoughts-200": lambda: thoughts(200),
    "small-4000": lambda: small(4_000),
    "small-8000": lambda: small(8_000),
    **AGAIN,
}


def main() -> int:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("names", nargs="*", metavar="name", help=", ".join(SCENARIOS))
    made.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    given = made.parse_args()
    warnings.simplefilter("ignore")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in given.names or SCENARIOS:
            seen = SCENARIOS[name]()
            lost = [goal for goal, reached in seen.goals if not reached]
            missed += bool(lost)
            print(f"{seen.name:28} {seen.line}{f'   MISSED: {lost}' if lost else ''}", flush=True)
        os.chdir("/")
    return int(given.check and missed > 0)


if __name__ == "__main__":
    sys.exit(main())
