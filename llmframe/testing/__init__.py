"""A loopback OpenAI-compatible server with seeded faults, limits and a ledger, and test records.

    from llmframe.testing import records, serve

    with serve(latency=0.2, faults={"500": 0.1}, rpm=600) as server:
        ...                      # point any OpenAI client at server.url, with any key
        assert not server.ledger.billed_twice()

``python -m llmframe.testing --port 8000`` starts one in a shell.
"""

from __future__ import annotations

from llmframe.testing.agreement import Agreement, agreement
from llmframe.testing.answers import expected, first_label
from llmframe.testing.batches import BatchRules
from llmframe.testing.embeddings.serving import embedding
from llmframe.testing.faults import FAULTS
from llmframe.testing.handle import Server
from llmframe.testing.ledger import Call, Ledger
from llmframe.testing.records import records
from llmframe.testing.server import serve
from llmframe.testing.texts.reviews import reviews

__all__ = [
    "FAULTS",
    "Agreement",
    "BatchRules",
    "Call",
    "Ledger",
    "Server",
    "agreement",
    "embedding",
    "expected",
    "first_label",
    "records",
    "reviews",
    "serve",
]
