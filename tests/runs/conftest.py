"""A slow server, and runs that are stopped at the end of their test."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf

FIELDS = {"intent": ["refund", "delivery", "other"]}


@pytest.fixture
def slow(configured):
    """The configured server, a tenth of a second away."""
    configured.update(latency=0.1)
    lf.configure(concurrency=10)
    return configured


@pytest.fixture
def start(slow):
    """Starts runs that are stopped at the end of the test."""
    runs = []

    def begin(df=None, **options):
        if df is None:
            df = pd.DataFrame({"text": [f"record {i}" for i in range(100)]})
        runs.append(df.llm.start("text", FIELDS, **options))
        return runs[-1]

    yield begin
    for run in runs:
        run.stop()
        run.stop()
        assert run.wait(10)
