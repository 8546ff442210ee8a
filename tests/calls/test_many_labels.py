"""860 labels on endpoints that refuse long enums: every row is answered, by a label of the list."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing

LABELS = [f"{kind} {n:02}" for kind in ("Gutschrift", "退款", "delivery late") for n in range(287)]
LABELS = LABELS[:860]
ROWS = pd.DataFrame({"text": [f"record {n}" for n in range(120)]})
LIMITS = [{"most_labels": 100}, {"most_labels": 500}, {"most_label_characters": 5000}]


def tag(server, fields, **options):
    options = {"concurrency": 50, "checkpoint": False, "progress": False} | options
    return lf.tag(ROWS, "text", fields, model="m", base_url=server.url, **options)


def wasted(server):
    return sum(call.status != 200 for call in server.ledger.calls)


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_every_row_has_a_label_of_the_list_for_three_requests_at_most(limit, api):
    with testing.serve(latency=0.01, **limit) as server:
        for field in (LABELS, dict.fromkeys(LABELS, "")):
            out = tag(server, {"kind": field}, api=api)
            assert list(out["llm_status"]) == ["ok"] * 120
            assert out["kind"].isin(LABELS).all()
        assert out["kind"].nunique() > 50
        assert wasted(server) <= 3
        assert len(server.ledger) <= 240 + 3


def test_a_task_with_few_labels_beside_it_keeps_its_schema():
    enums = []

    def answer(text, body):
        schema = body["response_format"]["json_schema"]["schema"]["properties"]
        enums.append("enum" in schema["tone"] if "tone" in schema else None)
        return testing.expected(text, {"properties": {"tone": {"enum": ["good", "bad"]},
                                                      "kind": {"enum": LABELS}}})  # fmt: skip

    with testing.serve(latency=0.01, most_labels=100, answer=answer) as server:
        runs = [
            lf.start(ROWS, "text", fields, model="m", base_url=server.url, concurrency=50,
                     checkpoint=False, progress=False)
            for fields in ({"tone": ["good", "bad"]}, {"kind": LABELS})
        ]  # fmt: skip
        for run in runs:
            run.result()
            assert run.report.ok == 120
        assert wasted(server) <= 3
    assert enums.count(True) == 120
    assert False not in enums


def test_labels_beside_a_short_field_and_in_a_list():
    with testing.serve(most_labels=100) as server:
        out = tag(server, {"kind": LABELS, "urgency": ["low", "high"], "note": str})
        assert list(out["llm_status"]) == ["ok"] * 120
        assert out["urgency"].isin(["low", "high"]).all()
        assert wasted(server) <= 3


def test_a_model_that_leaves_the_list_is_asked_again_and_never_believed():
    sent = []

    def answer(text, body):
        sent.append(text)
        return {"kind": "no such label" if sent.count(text) == 1 else LABELS[5]}

    with testing.serve(most_labels=100, answer=answer) as server:
        out = tag(server, {"kind": LABELS})
    assert set(out["kind"]) == {LABELS[5]}
    assert len(sent) == 240
