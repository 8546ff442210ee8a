"""Faults of files and batches: before a step, after it, half-way, and in the lines of results."""

from __future__ import annotations

import openai
import pytest

from llmframe.testing import serve
from tests.kits.batches import client_of, create, reaches, results, upload

TEXTS = [f"record {i}" for i in range(20)]


def test_an_endpoint_without_batches_knows_neither_path():
    with serve(batches=None) as server, client_of(server) as api:
        for call in (api.batches.list, api.files.list, lambda: upload(api, TEXTS)):
            with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
                call()


def test_files_and_batches_ask_for_the_key():
    with serve(key="another") as server, client_of(server) as api:
        for call in (api.batches.list, lambda: upload(api, TEXTS)):
            with pytest.raises(openai.AuthenticationError):
                call()


@pytest.mark.parametrize("fault", ["500", "drop", "done:500", "done:drop"])
def test_a_create_that_gets_no_good_reply_may_have_been_done(fault):
    with serve(batches={"faults": {"create": [fault]}}) as server, client_of(server) as api:
        with pytest.raises((openai.InternalServerError, openai.APIConnectionError)):
            create(api, TEXTS)
        assert len(api.batches.list().data) == fault.startswith("done:")
        create(api, TEXTS)
        assert server.ledger.steps["create"] == 2
        assert len(server.ledger.batches) == 1 + fault.startswith("done:")


def test_a_connection_lost_in_an_upload_leaves_no_file():
    with serve(batches={"faults": {"upload": ["drop"]}}) as server, client_of(server) as api:
        with pytest.raises(openai.APIConnectionError):
            upload(api, TEXTS * 1000)
        assert api.files.list().data == []
        assert upload(api, TEXTS).bytes > 0


def test_a_download_ends_half_way_or_finds_nothing():
    rules = {"faults": {"download": ["cut", "missing", "401", None]}}
    with serve(batches=rules) as server, client_of(server) as api:
        name = reaches(api, create(api, TEXTS), "completed").output_file_id
        with pytest.raises(openai.APIConnectionError):
            api.files.content(name)
        with pytest.raises(openai.NotFoundError):
            api.files.content(name)
        with pytest.raises(openai.AuthenticationError):
            api.files.content(name)
        assert len(results(api, name)) == 20


def test_a_step_can_be_slow():
    with serve(batches={"delays": {"list": 30}}) as server, client_of(server) as api:
        with pytest.raises(openai.APITimeoutError):
            api.batches.list(timeout=0.1)
        assert upload(api, TEXTS).bytes > 0


def test_lines_of_results_can_be_spoilt():
    spoilt = {"record 11": "broken", "record 12": "unknown", "record 13": "repeated",
              "record 14": "absent"}  # fmt: skip
    with serve(batches={"lines": spoilt}) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "completed")
        raw = api.files.content(batch.output_file_id).read().splitlines()
        assert len(raw) == 20 + 1 - 1
        whole = [each for each in raw if each.endswith(b"}")]
        assert len(whole) == 19
        names = [each.split(b'"')[7].decode() for each in whole]
        assert sum(name.startswith("unknown-") for name in names) == 1
        assert (names.count("record 13"), names.count("record 14")) == (2, 0)
        assert len(server.ledger) == 20  # all of them were worked on and paid


def test_an_error_file_alone_is_no_output_file():
    with serve(faults={"500": 0.5, "drop": 0.5}) as server, client_of(server) as api:
        batch = reaches(api, create(api, TEXTS), "completed")
        assert batch.output_file_id is None
        kinds = {(each["response"] or {}).get("status_code") for each in
                 results(api, batch.error_file_id)}  # fmt: skip
        assert kinds == {500, None}
