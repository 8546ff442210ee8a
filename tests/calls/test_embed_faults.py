"""``df.llm.embed`` where the endpoint refuses, fails, lies or takes less than was sent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows.health_probe import TEXT as PROBE
from llmframe.errors import RowError, RunAborted
from llmframe.testing import embedding


def embed(server, texts, **options):
    given = {"model": "m", "base_url": server.url, "api_key": "k", "progress": False}
    return pd.DataFrame({"text": texts}).llm.embed("text", **(given | options))


def texts(n=40, bad=()):
    return [f"record {i}{' BAD' if i in bad else ''} says something" for i in range(n)]


def paid(server):
    """How often each text was paid, health probes left out."""
    return {text: times for text, times in server.ledger.texts().items() if text != PROBE}


def check(out, bad=()):
    """Every text but the bad ones has its own vector."""
    assert out["llm_status"].tolist() == [
        "failed" if at in bad else "ok" for at in range(len(out))
    ]  # fmt: skip
    good = out[out["llm_status"] == "ok"]
    wanted = np.array([embedding(text) for text in good["text"]], dtype=np.float32)
    np.testing.assert_array_equal(np.stack(good["text_embedding"]), wanted)


@pytest.mark.parametrize("rules", [{"base64": False}, {}])
@pytest.mark.parametrize("unsupported", [(), ("encoding_format",)])
def test_base64_lists_and_a_refused_format_give_the_same_vectors(rules, unsupported):
    with testing.serve(embeddings=rules, unsupported=unsupported) as server:
        check(embed(server, texts()))


@pytest.mark.parametrize("fault", ["unordered", "unnumbered"])
def test_the_order_of_a_reply_is_of_no_account(fault):
    with testing.serve(faults={fault: 1.0}) as server:
        check(embed(server, texts()))


@pytest.mark.parametrize("fault", ["context", "content_filter", "500", "nan_vector", "no_vector"])
def test_a_bad_text_fails_alone_whatever_was_sent_with_it(fault):
    with testing.serve(fault_rows={"BAD": fault}) as server:
        out = embed(server, texts(40, bad=(7, 8, 31)), max_attempts=2)
        check(out, bad=(7, 8, 31))
        kinds = {"context": "context_length", "500": "server"}
        kind = kinds.get(fault, fault if fault == "content_filter" else "output")
        assert out["llm_error"].dropna().str.startswith(f"{kind}: ").all()


@pytest.mark.parametrize("fault", ["left_out", "nan_vector"])
def test_a_text_whose_vector_is_missing_once_is_asked_again(fault):
    served = []

    def once(row, attempt):
        served.append(row)
        return fault if len(served) == 1 else None

    with testing.serve(faults=once) as server:
        check(embed(server, texts(5)))
        assert [len(call.texts) for call in server.ledger.calls] == [5, 1]


def test_a_vector_of_another_length_fails_its_text():
    with testing.serve(fault_rows={"BAD": "other_size"}) as server:
        out = embed(server, [*texts(1), *texts(5, bad=(4,))[1:]], batch_size=1, concurrency=1)
        check(out, bad=(4,))
        assert "65 numbers, those of other rows 64" in out["llm_error"].iloc[4]


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("rules", [{"texts": 16}, {"tokens": 100}])
def test_a_request_that_is_too_large_is_sent_in_parts(rules, status):
    with testing.serve(embeddings=rules | {"status": status}) as server:
        check(embed(server, texts(400), concurrency=4))
        assert max(paid(server).values()) == 1  # nothing was answered twice


def test_what_an_endpoint_takes_is_learnt():
    with testing.serve(embeddings={"texts": 16, "status": 413}, latency=0.01) as server:
        check(embed(server, texts(2000), concurrency=2))
        later = server.ledger.calls[-60:]
        assert {call.status for call in later} == {200}
        assert max(len(call.texts) for call in later) >= 12


def test_one_text_too_long_is_no_reason_for_smaller_requests():
    with testing.serve(embeddings={"text_tokens": 50}) as server:
        long = ["word " * 100, *texts(599)]
        out = embed(server, long, concurrency=1)
        check(out, bad=(0,))
        assert [len(call.texts) for call in server.ledger.calls[-4:]] == [100] * 4


def test_losses_refusals_and_pages_cost_nothing_twice():
    faults = {"429_after": 0.1, "500": 0.1, "drop": 0.1, "html": 0.05, "error_200": 0.05}
    with testing.serve(faults=faults, seed=3, retry_after=0.05) as server:
        out = embed(server, texts(300), batch_size=10, max_attempts=20, timeout=5.0)
        check(out)
        assert max(paid(server).values()) == 1


def test_wrong_dimensions_end_the_call_with_what_to_do():
    with testing.serve(embeddings={"shortens": False}) as server:
        with pytest.raises(RunAborted, match="dimensions=16 was asked for"):
            embed(server, texts(200), dimensions=16)
        assert len(server.ledger) <= 30


def test_dimensions_that_are_refused_end_the_call_in_the_endpoints_words():
    with testing.serve() as server:
        with pytest.raises(RunAborted, match="'dimensions' must be 1 to 64"):
            embed(server, texts(5000), dimensions=100, concurrency=20)
        assert len(server.ledger) <= 100


@pytest.mark.parametrize("fault", ["401", "quota", "404_model"])
def test_what_is_hopeless_for_all_ends_the_call_soon(fault):
    with testing.serve(faults={fault: 1.0}) as server:
        with pytest.raises(RunAborted):
            embed(server, texts(5000), concurrency=10)
        assert len(server.ledger) <= 60


def test_on_error_raise_names_the_row_that_fails():
    with testing.serve(fault_rows={"BAD": "context"}) as server:
        with pytest.raises(RowError) as caught:
            embed(server, texts(40, bad=(11,)), on_error="raise")
        assert caught.value.position == 11
        again = embed(server, texts(40, bad=(11,)))
        assert again["llm_status"].tolist().count("ok") == 39


def test_a_chat_endpoints_answer_is_no_embedding():
    with testing.serve(faults={"empty_choices": 1.0}) as server:
        check(embed(server, texts(5)))  # the fault is of chat completions alone


def test_two_runs_over_the_same_texts_pay_once():
    with testing.serve(latency=0.1) as server:
        import threading

        outs = []
        threads = [
            threading.Thread(
                target=lambda at=at: outs.append(embed(server, texts(200), into=f"e{at}"))
            )
            for at in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outs) == 2
        assert all((out["llm_status"] == "ok").all() for out in outs)
        assert max(paid(server).values()) == 1


def test_the_run_is_shown_and_reported_as_any_other(capsys):
    with testing.serve() as server:
        out = embed(server, texts(30), progress="log")
        report = lf.last_run().report
        assert (report.rows, report.ok, report.requests) == (30, 30, 1)
        assert out.attrs["llmframe"]["model"] == "m"
        assert "vectors of 64 numbers" in str(out.llm.summary())
