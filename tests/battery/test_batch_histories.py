"""Batch mode at providers drawn by chance: whatever they do, nothing good is bought twice."""

from __future__ import annotations

import random

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import RunAborted
from tests.kits.batch_lives import hurry, sent_again_without_need, tag_batch
from tests.kits.battery import answered, frame, statuses
from tests.kits.soak import times

pytestmark = [
    pytest.mark.battery,
    pytest.mark.filterwarnings("ignore::llmframe.errors.IncompleteWarning"),
]

STEP_FAULTS = ("500", "502", "503_after", "429_after", "drop", "done:500", "done:503", "done:drop")
ROW_FAULTS = ("500", "503", "malformed", "length", "blank", "off_list", "refusal", "drop")


def drawn(chance: random.Random) -> dict:
    """A server's options."""
    steps = ("upload", "create", "list", "retrieve", "download")
    return {
        "seed": chance.randrange(1000),
        "retry_after": 0.05,
        "faults": dict.fromkeys(chance.sample(ROW_FAULTS, chance.randrange(4)), 0.08),
        "batches": {
            "working": chance.choice([0.0, 0.1, 0.4]),
            "outcomes": chance.choices(["completed", "expired"], k=4),
            "partial": chance.random(),
            "lag": chance.choice([0.0, 0.2]),
            "max_requests": chance.choice([50_000, 15, 8]),
            "max_enqueued": chance.choice([10**9, 12_000]),
            "over_quota": chance.choice(["failed", "429"]),
            "faults": {
                step: chance.choices([*STEP_FAULTS, None, None], k=chance.randrange(4))
                for step in steps
            },
            "lines": {"record 7 ": chance.choice(["repeated", "broken", "unknown", "absent"])},
        },
    }


def hold(seed: int, folder) -> None:
    """Run one history, and again at a good provider; all that must hold after both."""
    df, chance = frame(60), random.Random(seed)
    options = drawn(chance)
    fallback = chance.choice([None, None, "live"])
    with testing.serve(**options) as server:
        try:
            out = tag_batch(df, server, folder, batch_fallback=fallback)
        except RunAborted as error:
            out = error.run.partial()
        server.update(faults={}, batches={})
        again = tag_batch(df, server, folder)
        wrong = set(sent_again_without_need(server)) - {"record 7 wants something"}
        assert not wrong, options
        got = set(again.loc[again["llm_status"] == "ok", "text"])
        assert answered(server.ledger) - got <= {"record 7 wants something"}, options
        assert statuses(again) == {"ok": 60}, (options, statuses(out))
        assert lf.last_run().report.pending == 0


@pytest.mark.parametrize("seed", range(15))
def test_a_drawn_provider_gets_nothing_paid_twice(tmp_path, monkeypatch, seed):
    hurry(20, setting=monkeypatch.setattr)
    hold(seed, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 100 + times(200)))
def test_many_drawn_providers_get_nothing_paid_twice(tmp_path, monkeypatch, seed):
    hurry(20, setting=monkeypatch.setattr)
    hold(seed, tmp_path)
