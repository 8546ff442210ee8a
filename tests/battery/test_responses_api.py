"""A run by the Responses API is the run by chat completions, under every fault."""

from __future__ import annotations

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.errors import RunAborted
from llmframe.testing.faults import ERRORS, PAGES, SPOILT
from tests.kits.battery import check, frame, statuses, tag

pytestmark = pytest.mark.battery

ENDS = ("quota", "401", "402", "403", "404_model")  # the run, and not a row
FAULTS = [*(name for name in (*ERRORS, *SPOILT, *PAGES) if name not in ENDS), "off_list", "drop"]


def run(api, details=False, **options):
    asked = {"api": api, "details": details, "confidence": "logprob", "max_output_tokens": 99}
    with testing.serve(latency=0.005, seed=3, retry_after=0.05, **options) as server:
        return tag(frame(60), server, None, **asked), lf.last_run().report


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_means_the_same_in_both_apis(fault):
    faults = {fault: 0.2}
    (chat, before), (responses, after) = (
        run(api, details=True, faults=faults) for api in ("chat", "responses")
    )
    # of the rows, not of the run: several faults at a time are an outage, whose probes cost, too
    alike = [name for name in chat if name not in ("llm_attempts", "llm_seconds", "llm_raw")]
    assert responses[alike].equals(chat[alike])
    assert statuses(chat).get("ok", 0) > 0
    assert chat["llm_tokens_out"].sum() > 0
    assert after.errors_by_kind == before.errors_by_kind


@pytest.mark.parametrize("fault", ENDS)
def test_what_ends_a_run_ends_it_in_both_apis(fault):
    messages = []
    for api in ("chat", "responses"):
        with pytest.raises(RunAborted) as caught:
            run(api, faults={fault: 1.0})
        messages.append(str(caught.value).partition("http://")[0])
    assert messages[0] == messages[1]


def test_cached_tokens_and_logprobs_are_the_same():
    (chat, before), (responses, after) = run("chat", cache=True), run("responses", cache=True)
    assert responses.equals(chat)
    assert responses["intent_confidence"].notna().all()
    assert after.tokens_cached == before.tokens_cached > 0


def test_answers_of_one_api_are_reused_by_the_other(tmp_path):
    with testing.serve() as server:
        tag(frame(20), server, tmp_path, api="chat")
        out = tag(frame(20), server, tmp_path, api="responses")
        check(out, frame(20), server)
        assert len(server.ledger) == 20


@pytest.mark.parametrize(("api", "other"), [("chat", "responses"), ("responses", "chat")])
def test_an_endpoint_without_this_api_says_how_to_use_the_other(api, other):
    with testing.serve(apis=(other,)) as server, pytest.raises(RunAborted) as caught:
        tag(frame(20), server, None, api=api)
    assert 'api="responses"' in str(caught.value)
    with testing.serve(apis=(other,)) as server:
        check(tag(frame(20), server, None, api=other), frame(20), server)


@pytest.mark.parametrize("unsupported", ["json_schema", "temperature"])
def test_what_the_endpoint_refuses_is_left_out(unsupported):
    with testing.serve(unsupported=(unsupported,)) as server:
        check(tag(frame(20), server, None, api="responses"), frame(20), server)
