"""Makes checkpoint.jsonl, which was written by the version before keys had a normal form.

Its call spells the request as that version told apart: ``temperature=0``, instructions that end
in a newline, an address of this machine by its name.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import llmframe as lf
from llmframe import testing

FIELDS = {"intent": ["refund", "delivery", "other"]}
SPELLED = {"temperature": 0, "instructions": "Tag the record.\n", "extra_body": {"top_p": 1.0}}
ROWS = 12


def frame() -> pd.DataFrame:
    """The rows that are answered in the file."""
    return pd.DataFrame({"text": [f"record {i}" for i in range(ROWS)]})


def options(url: str, checkpoint: object) -> dict[str, object]:
    """All other options of the call."""
    return {
        "model": "test-model",
        "base_url": url.replace("127.0.0.1", "localhost"),
        "api_key": "sk-test-123456789",
        "progress": False,
        "checkpoint": checkpoint,
    }


if __name__ == "__main__":
    where = Path(__file__).with_name("checkpoint.jsonl")
    with testing.serve() as server:
        lf.tag(frame(), "text", FIELDS, **options(server.url, where), **SPELLED)
    where.with_name("checkpoint.jsonl.lock").unlink(missing_ok=True)
