"""Answers of another server on this machine are not reused in silence."""

from __future__ import annotations

import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.calls.opening import open_run
from llmframe.calls.plan import plan
from llmframe.options.layers import settle

DF = pd.DataFrame({"text": [f"record {i}" for i in range(5)]})
FIELDS = {"intent": ["refund", "other"]}


def tag(server, **options):
    options = {"model": "m", "base_url": server.url, "progress": False} | options
    run = lf.start(DF, "text", FIELDS, **options)
    run.result()
    return run.report


@pytest.fixture
def servers():
    """Two servers whose only models have different names, as llama.cpp's have."""
    with testing.serve(models=("a.gguf",)) as one, testing.serve(models=("b.gguf",)) as other:
        yield one, other


@pytest.mark.parametrize("where", [True, "own.jsonl"])
def test_another_model_at_another_port_is_asked_again_and_each_goes_on_for_nothing(servers, where):
    for turn, server in enumerate((*servers, *servers)):
        report = tag(server, checkpoint=where)
        assert report.reused == (0 if turn < 2 else 5)
    assert [len(server.ledger) for server in servers] == [5, 5]


def notes_of(server):
    """What the card of the next call says about the provider and the checkpoint."""
    settings = settle({"model": "m", "base_url": server.url})
    with open_run(plan(DF, "text", FIELDS, settings)) as session:
        return " ".join(session.notes)


def test_where_nothing_tells_them_apart_answers_are_reused_and_the_card_names_the_address():
    with testing.serve() as one, testing.serve() as other:
        tag(one)
        assert tag(other).reused == 5
        assert f"Answers from {one.url} are reused, though this call asks {other.url}" in (
            notes_of(other)
        )
        assert "Answers from" not in notes_of(one)


def test_a_finished_table_needs_no_server(servers):
    one, _ = servers
    tag(one)
    one.close()
    assert tag(one).reused == 5


def test_answers_of_an_earlier_version_are_reused(servers, monkeypatch):
    one, other = servers
    with monkeypatch.context() as earlier:
        earlier.setattr("llmframe.calls.plan.server_of", lambda _: None)
        tag(one)
    assert tag(other).reused == 5
    assert "Answers from" not in notes_of(other)


def test_two_servers_asked_side_by_side_do_not_share_their_answers(servers):
    options = {"model": "m", "progress": False}
    runs = [lf.start(DF, "text", FIELDS, base_url=one.url, **options) for one in servers]
    for run in runs:
        run.result()
    assert [len(server.ledger) for server in servers] == [5, 5]


def test_a_call_without_a_checkpoint_asks_no_server_what_it_serves(servers, monkeypatch):
    monkeypatch.setattr("llmframe.calls.plan.server_of", lambda _: pytest.fail("it was asked"))
    assert tag(servers[0], checkpoint=False).ok == 5
