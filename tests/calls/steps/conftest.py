"""A server that counts what each request asks for, for the tests of calls in small steps."""

from __future__ import annotations

import json

import pytest

from llmframe import testing
from llmframe.testing.answers import asked_schema


class Asked:
    """What a server was asked: the fields of each request's schema, by model."""

    def __init__(self):
        self.requests = []

    def answer(self, text, body):
        fields = (asked_schema(body) or {}).get("properties", {})
        self.requests.append((body["model"], text, [*fields]))
        values = {"intent": "refund", "urgency": 2, "note": f"{body['model']} on {text}"}
        values |= {"code": None, "tags": [text]}
        return {name: values[name] for name in fields}

    @property
    def fields(self):
        """The fields of each request, one entry for each list of them."""
        return sorted({json.dumps(fields) for _, _, fields in self.requests})

    @property
    def texts(self):
        return sorted(text for _, text, _ in self.requests)


@pytest.fixture(scope="package")
def served():
    asked = Asked()
    with testing.serve(answer=asked.answer, fault_rows={"bad": "refusal"}) as server:
        yield server, asked


@pytest.fixture
def asked(served):
    """What was asked in this test."""
    served[1].requests.clear()
    return served[1]


@pytest.fixture
def call(served, asked, tmp_path, monkeypatch):
    """The options of a call, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return {"model": "m", "base_url": served[0].url, "progress": False}
