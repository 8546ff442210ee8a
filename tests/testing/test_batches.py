"""Files and batches of the test server: the objects, states, results and limits."""

from __future__ import annotations

import json
import math

import openai
import pytest
from openai.types import Batch, FileDeleted, FileObject

from llmframe.testing import expected, serve
from tests.kits.batches import CHAT, client_of, create, lines, reaches, request, results, upload
from tests.kits.http_client import SCHEMA, body
from tests.kits.until import until

TEXTS = [f"record {i}" for i in range(40)]
HOUR = 3600.0


def test_a_batch_answers_its_rows_by_the_rule_of_live_requests():
    with serve(faults={"malformed": 0.1, "500": 0.1}, seed=3) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS, metadata={"nonce": "n1"}), "completed")
        good, bad = results(api, batch.output_file_id), results(api, batch.error_file_id)
        assert {each["custom_id"] for each in good + bad} == set(TEXTS)
        assert [each["custom_id"] for each in good] != sorted(TEXTS, key=TEXTS.index)
        assert {each["response"]["status_code"] for each in bad} == {500}
        assert batch.request_counts.model_dump() == {
            "total": 40, "completed": len(good), "failed": len(bad),
        }  # fmt: skip
        whole = {call.row for call in server.ledger.calls if call.fault is None}
        for each in good:
            said = each["response"]["body"]["choices"][0]["message"]["content"]
            wanted = json.dumps(expected(each["custom_id"], SCHEMA), separators=(",", ":"))
            assert (said == wanted) == (each["custom_id"] in whole)
        faults = {call.row: call.fault for call in server.ledger.calls}
        server.ledger.clear()
        live = openai.OpenAI(base_url=server.url, api_key="k", max_retries=0)
        for text in TEXTS:
            try:
                live.post("/chat/completions", body=body(text), cast_to=object)
            except openai.InternalServerError:
                continue
        assert {call.row: call.fault for call in server.ledger.calls} == faults


def test_the_objects_are_what_the_sdk_declares():
    with serve() as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "completed")
        shown = api.batches.with_raw_response.retrieve(batch.id).http_response.json()
        assert set(shown) == set(Batch.model_fields)
        Batch.model_validate(shown, strict=True)
        file = api.files.with_raw_response.retrieve(batch.input_file_id).http_response.json()
        assert set(file) == set(FileObject.model_fields)
        FileObject.model_validate(file, strict=True)
        assert (file["purpose"], file["bytes"]) == ("batch", len(lines(TEXTS)))
        assert batch.usage.total_tokens == sum(
            call.tokens_in + call.tokens_out for call in server.ledger.calls
        )
        assert api.files.delete(file["id"]) == FileDeleted(
            id=file["id"], object="file", deleted=True
        )
        with pytest.raises(openai.NotFoundError):
            api.files.content(file["id"])


@pytest.mark.parametrize("process", [False, True])
def test_the_ledger_has_files_batches_steps_and_rows(process):
    with serve(process=process) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "completed")
        ledger = server.ledger
        assert [each["id"] for each in ledger.batches] == [batch.id]
        assert ledger.batches[0]["status"] == "completed"
        assert [each["id"] for each in ledger.files] == [batch.input_file_id]
        assert (ledger.steps["upload"], ledger.steps["create"]) == (1, 1)
        assert {call.batch for call in ledger.calls} == {batch.id}
        assert ledger.rows() == dict.fromkeys(TEXTS, 1)
        assert (ledger.peak_in_flight, ledger.connections) == (0, 0)
        ledger.clear()
        assert (ledger.batches, ledger.files, len(ledger)) == ([], [], 0)


@pytest.mark.parametrize("process", [False, True])
def test_the_clock_moves_a_batch_through_its_states(process):
    rules = dict.fromkeys(("validating", "working", "finalizing"), HOUR)
    with serve(process=process, batches=rules) as server, client_of(server) as api:
        batch = create(api, TEXTS)
        assert batch.status == "validating"
        server.advance(HOUR)
        reaches(api, batch, "in_progress")
        server.advance(HOUR / 2)
        until(lambda: api.batches.retrieve(batch.id).request_counts.completed >= 20)
        assert api.batches.retrieve(batch.id).request_counts.completed < 40
        server.advance(HOUR)
        reaches(api, batch, "finalizing")
        server.advance(HOUR)
        done = reaches(api, batch, "completed")
        assert done.created_at < done.in_progress_at < done.finalizing_at < done.completed_at


def test_a_batch_is_held_until_the_rules_change():
    with serve(batches={"working": math.inf}) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "in_progress")
        assert len(server.ledger) == 0
        server.update(batches={})
        reaches(api, batch, "completed")


def test_a_cancelled_batch_hands_over_what_it_answered():
    with serve(batches={"working": 2 * HOUR, "cancelling": 60}) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "in_progress")
        server.advance(HOUR)
        until(lambda: len(server.ledger) >= 20)
        assert api.batches.cancel(batch.id).status == "cancelling"
        assert api.batches.cancel(batch.id).status == "cancelling"
        server.advance(60)
        ended = reaches(api, batch, "cancelled")
        got = [each["custom_id"] for each in results(api, ended.output_file_id)]
        assert sorted(got) == sorted(server.ledger.rows())
        assert 20 <= len(got) < 40
        with pytest.raises(openai.ConflictError, match="Cannot cancel"):
            api.batches.cancel(batch.id)


@pytest.mark.parametrize(
    "rules", [{"outcomes": ["expired"], "partial": 0.25}, {"working": 4 * 24 * HOUR}]
)
def test_an_expired_batch_names_the_rows_without_an_answer(rules):
    with serve(batches=rules) as server, client_of(server) as api:
        batch = create(api, TEXTS)
        if "working" in rules:
            reaches(api, batch, "in_progress")
            server.advance(24 * HOUR - 60)
            until(lambda: len(server.ledger) >= 8)
            server.advance(60)
        ended = reaches(api, batch, "expired")
        good, bad = results(api, ended.output_file_id), results(api, ended.error_file_id)
        assert 8 <= len(good) <= 10
        assert len(good) + len(bad) == 40
        assert {each["error"]["code"] for each in bad} == {"batch_expired"}
        assert all(each["response"] is None for each in bad)


BAD = {
    "invalid_json_line": b'{"custom_id": "a", ',
    "duplicate_custom_id": request("b", "record 0"),
    "mismatched_url": request("b", url="/v1/embeddings"),
    "mismatched_model": request("b", body=body("b", model="another")),
    "invalid_method": request("b", method="GET"),
    "invalid_custom_id": request("b", "x" * 65),
    "missing_required_parameter": {
        "custom_id": "b",
        "method": "POST",
        "url": CHAT,
    },
}


@pytest.mark.parametrize("code", BAD)
def test_a_file_that_is_not_valid_fails_its_batch_with_the_line(code):
    with serve() as server, client_of(server) as api:
        batch = reaches(api, create(api, [*TEXTS, BAD[code]]), "failed")
        (found,) = batch.errors.data
        assert (found.code, found.line) == (code, 41)
        assert batch.output_file_id is batch.error_file_id is None
        assert len(server.ledger) == 0


def test_outcomes_are_by_the_order_of_creation():
    with serve(batches={"outcomes": ["failed", "completed"]}) as server, client_of(server) as api:
        batches = [create(api, TEXTS[:3]) for _ in range(3)]
        ended = [reaches(api, each, "failed", "completed").status for each in batches]
        assert ended == ["failed", "completed", "completed"]


def test_lists_are_paged_and_lag_behind():
    with serve(batches={"lag": HOUR}) as server, client_of(server) as api:
        made = [create(api, TEXTS[:1]).id for _ in range(5)]
        assert api.batches.list().data == api.files.list().data == []
        assert api.batches.retrieve(made[0]).id == made[0]
        server.advance(HOUR)
        assert [each.id for each in api.batches.list(limit=2)] == made[::-1]
        page = api.batches.list(limit=2, after=made[3])
        assert ([each.id for each in page.data], page.has_more) == ([made[2], made[1]], True)
        assert len(list(api.files.list(purpose="batch"))) == 5


def test_files_above_a_limit_are_refused():
    with serve(batches={"max_requests": 40, "max_bytes": 50_000}) as server, client_of(server) as a:
        create(a, TEXTS)
        with pytest.raises(openai.BadRequestError, match="40 requests"):
            create(a, [*TEXTS, "one more"])
        with pytest.raises(openai.BadRequestError, match="50,000 bytes"):
            upload(a, TEXTS * 10)


@pytest.mark.parametrize("how", ["failed", "429"])
def test_too_many_tokens_in_the_queue(how):
    rules = {"working": math.inf, "max_enqueued": len(lines(TEXTS)) / 4 * 1.5, "over_quota": how}
    with serve(batches=rules) as server, client_of(server) as api:
        create(api, TEXTS)
        if how == "429":
            with pytest.raises(openai.RateLimitError, match="token limit"):
                create(api, TEXTS)
            assert len(server.ledger.batches) == 1
        else:
            refused = create(api, TEXTS)
            assert refused.errors.data[0].code == "token_limit_exceeded"


@pytest.mark.parametrize(
    "rules", [{"nope": 1}, {"outcomes": ["lost"]}, {"faults": {"create": "nope"}},
              {"faults": {"begin": "500"}}, {"lines": {"a": "nope"}}, {"over_quota": "wait"}],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_at_once(rules):
    with pytest.raises(ValueError, match="there are"):
        serve(batches=rules)
