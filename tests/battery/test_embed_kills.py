"""Embeddings whose process is killed with kill -9, again and again, and goes on."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.testing import embedding
from tests.kits.scripts import Program, until

pytestmark = [pytest.mark.battery, pytest.mark.slow]

ROWS, TEXTS, IN_FLIGHT = 600, 10, 5
CHILD = """
out = frame({rows}).llm.embed("text", model="m", batch_size={texts}, concurrency={in_flight},
                              checkpoint={path!r})
tell(ok=int((out["llm_status"] == "ok").sum()))
"""


def stored(path):
    """The answers that the checkpoint holds."""
    return path.read_bytes().count(b'"v":{"embedding"') if path.exists() else 0


def test_at_most_what_was_in_flight_is_paid_twice(tmp_path):
    path, chance, kills = tmp_path / "run.jsonl", random.Random(11), 4
    code = CHILD.format(rows=ROWS, texts=TEXTS, in_flight=IN_FLIGHT, path=str(path))
    with testing.serve(latency=0.05) as server:
        for at in range(kills):
            wanted = (at + chance.random()) * ROWS / (kills + 1)
            with Program(server, code) as child:
                until(lambda wanted=wanted: stored(path) > wanted, 60)
                child.process.kill()
                child.process.wait()
        df = pd.DataFrame({"text": [f"record {i}" for i in range(ROWS)]})
        out = df.llm.embed(
            "text", model="m", base_url=server.url, api_key="k", checkpoint=path, progress=False
        )
        twice = server.ledger.texts().total() - ROWS
        assert 0 <= twice <= kills * IN_FLIGHT * TEXTS
        wanted = np.array([embedding(text) for text in df["text"]], dtype=np.float32)
        np.testing.assert_array_equal(np.stack(out["text_embedding"]), wanted)
        assert lf.last_run().report.reused >= ROWS * (kills - 1) / (kills + 1)
