"""The soak: 10,000 rows, 50 in flight, one request in twenty faulty, ten kills.

A row's faults are drawn by the server from its text and its attempt, so that it is known
beforehand which rows must fail: those whose every request is spoilt, and no other.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from llmframe import testing
from llmframe.testing.faults import choose_fault
from tests.kits import battery as kit
from tests.kits.kills import kill_until_done

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.battery, pytest.mark.soak]
SEED = 11
PASSING = {
    "429": 0.005, "429_after": 0.005, "500": 0.006, "503": 0.004, "drop": 0.006, "hang": 0.004,
    "empty_choices": 0.003, "html": 0.003, "malformed": 0.004, "off_list": 0.004,
    "null_content": 0.003, "length": 0.003,
}  # fmt: skip
FOR_GOOD = {
    "(refused)": "refusal", "(filtered)": "content_filter", "(too long)": "context",
    "(other)": "schema", "(cut)": "length", "(broken)": "500", "(page)": "html",
}  # fmt: skip
LIVES = 24  # attempts of a row that are looked at: more than any row can have


def texts(n: int) -> Iterator[str]:
    """n texts whose faults pass: no two of a row come one after the other."""
    found = number = 0
    while found < n:
        text = f"record {number} wants something"
        number += 1
        drawn = [choose_fault(PASSING, SEED, text, attempt) for attempt in range(LIVES)]
        if not any(a and b for a, b in itertools.pairwise(drawn)):
            found += 1
            yield text


def soak_frame(n: int) -> pd.DataFrame:
    """n rows; one in two hundred has a word that spoils its every request."""
    marks = list(FOR_GOOD)
    written = [
        f"{text} {marks[i // 200 % len(marks)]}" if i % 200 == 77 else text
        for i, text in enumerate(texts(n))
    ]
    return pd.DataFrame({"text": written, "number": [f"R-{i}" for i in range(n)]})


def test_ten_thousand_rows_under_faults_and_kills(nursery, tmp_path):
    n, kills, concurrency = 10_000, 10, 50
    df = soak_frame(n)
    df.to_pickle(tmp_path / "frame.pickle")
    with testing.serve(
        process=True, latency=(0.03, 0.3), faults=PASSING, fault_rows=FOR_GOOD, seed=SEED,
        retry_after=0.2,
    ) as server:  # fmt: skip
        lives = kill_until_done(
            nursery, server, tmp_path / "run.jsonl", n=n, kills=kills, concurrency=concurrency,
            frame=str(tmp_path / "frame.pickle"), timeout=2.0,
        )  # fmt: skip
        calls = server.ledger.calls
        out: pd.DataFrame = lives.result["frame"]
        lost, twice = kit.lost(out, server.ledger), lives.paid_twice(server)
    spoilt = df["text"].str.contains("|".join(mark.strip("()") + r"\)" for mark in FOR_GOOD))
    failed = out["llm_status"] == "failed"
    faulty = sum(call.fault is not None for call in calls)
    print(
        f"\n{n} rows, {kills} kills, {len(calls)} requests, {faulty} of them faulty: lost "
        f"{len(lost)}, paid twice {sum(twice)} (at one kill at most {max(twice)}), failed "
        f"{int(failed.sum())}, injected for good {int(spoilt.sum())}\n{kit.kinds(out)}"
    )
    assert lost == []
    assert sum(twice) <= kills * concurrency
    assert max(twice) <= concurrency
    assert failed.tolist() == spoilt.tolist()
    assert kit.statuses(out) == {"ok": n - int(spoilt.sum()), "failed": int(spoilt.sum())}
    calm = kit.uninterrupted(df[~spoilt], concurrency=concurrency)
    assert_frame_equal(out[~spoilt], calm)
