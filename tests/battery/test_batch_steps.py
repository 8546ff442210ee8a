"""Batch mode under faults of every step: nothing is lost, nothing is bought twice."""

from __future__ import annotations

import pytest

from llmframe import testing
from tests.kits.batch_lives import hurry, sent_twice, tag_batch
from tests.kits.battery import check, frame

pytestmark = pytest.mark.battery

STEPS = ("upload", "create", "list", "retrieve", "download")
PASSING = ("500", "503_after", "429_after", "drop", "done:500", "done:drop", "done:503_after")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hurry(setting=monkeypatch.setattr)


def run(tmp_path, faults, **rules):
    """Tag 40 rows as two batches, and check all that must hold; the server's ledger."""
    df = frame(40)
    with testing.serve(retry_after=0.05, batches={"faults": faults, **rules}) as server:
        out = tag_batch(df, server, tmp_path)
        check(out, df, server)
        assert sent_twice(server) == 0
        return server.ledger


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_that_passes_costs_nothing(tmp_path, step, fault):
    ledger = run(tmp_path, {step: [fault]})
    assert len(ledger.batches) == 1


@pytest.mark.parametrize("step", STEPS)
def test_three_faults_in_a_row_cost_nothing(tmp_path, step):
    assert len(run(tmp_path, {step: ["500", "done:drop", "503"]}).batches) == 1


@pytest.mark.parametrize("fault", ["done:500", "done:drop"])
def test_a_lost_reply_of_a_create_is_found_even_where_lists_lag(tmp_path, fault):
    assert len(run(tmp_path, {"create": [fault]}, lag=0.3).batches) == 1


def test_every_step_fails_once(tmp_path):
    assert len(run(tmp_path, {step: ["done:500"] for step in STEPS}).batches) == 1


def test_a_download_that_is_cut_is_taken_again(tmp_path):
    assert len(run(tmp_path, {"download": ["cut", "cut", None]}).batches) == 1
