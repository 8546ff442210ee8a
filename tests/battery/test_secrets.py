"""Secrets: a key, or a row's text, is planted and then looked for in all that a call leaves."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pandas as pd
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAsyncHttpxClient

import llmframe as lf
from llmframe import testing
from llmframe.errors import LLMFrameError, PlanError, RowError, RunAborted
from llmframe.options.layers import settle
from llmframe.secret import Key
from llmframe.testing import FAULTS
from tests.kits.battery import statuses, until
from tests.kits.canary import KEY, ROW, Artefacts, add_error, collect, is_ours, ways_to_write
from tests.kits.raw import Raw, completion, good, http

pytestmark = pytest.mark.battery

FIELDS = {"intent": ["refund", "delivery"], "words": str}
PLAIN = {"intent": ["refund", "delivery"]}
N = 6


def frame() -> pd.DataFrame:
    return pd.DataFrame({"id": range(N), "text": [f"{i}: {ROW} {i}" for i in range(N)]})


def options(url, **more):
    return {
        "model": "test-model", "base_url": url, "progress": "log", "details": True,
        "max_attempts": 2, "timeout": 0.4, "id": "id", "concurrency": 4,
    } | more  # fmt: skip


def at_first(fault):
    """One row meets the fault, at its first attempt."""
    return lambda row, attempt: fault if row.startswith("1:") and attempt == 0 else None


def raised(call):
    """The error that the call raises."""
    with pytest.raises(LLMFrameError) as caught:
        call()
    return caught.value


# -- the key -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_the_key_is_in_nothing_that_a_fault_leaves(fault, tmp_path, capfd):
    """Key leak: 0 hits in every artefact, with a server that puts the key into its errors."""
    with testing.serve(echo_key=True, key=KEY, faults=at_first(fault), retry_after=0.01) as server:
        left = collect(
            lambda: lf.tag(frame(), "text", FIELDS, **options(server.url, api_key=KEY)),
            tmp_path, capfd,
        )  # fmt: skip
        assert len(server.ledger) >= 1
    assert left.found(KEY) == []
    assert left.found(KEY[3:]) == []


SPOKEN = {
    "a value": lambda asked: {**asked.answer, "words": f"Your key is {KEY}."},
    "a value, escaped": lambda asked: json.dumps({**asked.answer, "words": KEY}).replace(
        "/", "\\u002F"
    ),
    "a value, with a slash escaped": lambda asked: json.dumps(
        {**asked.answer, "words": KEY}
    ).replace("/", "\\/"),
    "a label": lambda asked: {**asked.answer, "intent": KEY},
    "a property": lambda asked: {**asked.answer, KEY: 1},
    "no JSON": lambda asked: f"key: {KEY}",
    "broken JSON": lambda asked: f'{{"intent": "{KEY}", ',
}


@pytest.mark.parametrize("what", SPOKEN)
def test_a_key_that_the_answer_repeats_is_taken_out_of_it(what, tmp_path, capfd):
    """Key leak: also through values, messages about them, llm_raw and the checkpoint."""

    def script(asked):
        content = SPOKEN[what](asked)
        return http(completion(content if isinstance(content, str) else json.dumps(content)))

    with Raw(script) as server:
        left = collect(
            lambda: lf.tag(frame(), "text", FIELDS, **options(server.url, api_key=KEY)),
            tmp_path, capfd,
        )  # fmt: skip
    assert left.found(KEY) == []
    assert left.found("[key]") != [] or what in ("a property", "broken JSON")


STATUSES = ("200 OK", "400 Bad", "401 No", "429 Slow", "500 Oops", "307 Go")
BODIES = (b'{"error": {"message": "%s", "code": "%s"}}', b"%s %s", b"<%s %s>")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
def test_a_key_that_headers_and_bodies_repeat_is_shown_to_nobody(status, body, tmp_path, capfd):
    """Key leak: through reason, type, request id, limits, location, code, parameter."""
    body %= (KEY.encode(), KEY.encode())
    headers = {
        "content_type": f"text/{KEY}", "x_request_id": KEY, "location": f"https://x/{KEY}?k={KEY}",
        "x_ratelimit_limit_requests": KEY, "retry_after": "0.01", "set_cookie": f"a={KEY}",
        "www_authenticate": KEY, "server": KEY, "openai_organization": KEY,
    }  # fmt: skip
    spoilt = http(body, f"{status} {KEY}", **headers)
    with Raw(lambda asked: good(asked) if asked.number else spoilt) as server:
        left = collect(
            lambda: lf.tag(frame()[:3], "text", FIELDS, **options(server.url, api_key=KEY)),
            tmp_path, capfd,
        )  # fmt: skip
    assert left.found(KEY) == []


WAYS = (
    *("option", "configured", "environment", "client", "client made", "azure", "header"),
    *("token", "other transport"),
)


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_as_safe_by_whatever_way_it_comes(way, tmp_path, capfd, monkeypatch):
    """Key leak: api_key=, configure, the environment, client=, other headers, token providers."""

    async def token():
        return KEY

    def script(asked):
        assert KEY in " ".join(asked.headers.values())
        answer = json.dumps({**asked.answer, "words": str(asked.headers)})
        heads = {"x_request_id": KEY, "www_authenticate": KEY}
        error = {"message": f"no: {asked.headers}", "code": "context_length_exceeded"}
        if asked.number % 2:
            return http(completion(answer), **heads)
        return http({"error": error}, "400 Bad", **heads)

    with Raw(script) as server:
        url = server.url
        clients = {
            "client": lambda: AsyncOpenAI(api_key=KEY, base_url=url),
            "client made": lambda: lambda: AsyncOpenAI(api_key=KEY, base_url=url),
            "azure": lambda: AsyncAzureOpenAI(api_key=KEY, base_url=url, api_version="1"),
            "header": lambda: AsyncOpenAI(
                api_key="another", base_url=url, default_headers={"X-Api-Key": KEY}
            ),
            "other transport": lambda: (
                lambda: AsyncOpenAI(
                    api_key=KEY, base_url=url, http_client=DefaultAsyncHttpxClient()
                )
            ),
            "token": lambda: AsyncOpenAI(api_key=token, base_url=url),
        }
        given = {"api_key": KEY} if way == "option" else {}
        if way == "configured":
            lf.configure(api_key=KEY, base_url=url)
        if way == "environment":
            monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
        if way in clients:
            given = {"client": clients[way](), "base_url": None}
        call = options(url, **given)
        left = collect(lambda: lf.tag(frame(), "text", FIELDS, **call), tmp_path, capfd)
        assert len(server.asked) >= N
    left.add("configuration", [lf.configure(), settle(call)])
    assert left.found(KEY) == []


def test_no_checkpoint_holds_a_key_wherever_the_person_has_put_it(tmp_path):
    """Key leak: the readable settings of a task hold what was asked, not what opens doors."""
    with testing.serve() as server:
        lf.tag(
            frame(), "text", FIELDS,
            **options(
                server.url, api_key=KEY, checkpoint=tmp_path / "run.jsonl", progress=False,
                instructions=f"Never say {KEY}.",
                extra_body={"api_key": "other-secret", "user": KEY, "metadata": {"a": [KEY]}},
            ),
        )  # fmt: skip
    left = Artefacts()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            left.add(path.name, path.read_bytes())
    assert "run.jsonl" in left.left
    assert left.found(KEY) == left.found("other-secret") == []
    assert left.found("Never say") == ["run.jsonl"]


MISTAKES = {
    "a column": {"what": "txet"},
    "an option": {"concurency": 3},
    "a value": {"timeout": -1},
    "a key's type": {"api_key": KEY.encode()},
    "a key's characters": {"api_key": KEY + "\u200b"},
    "a key of two lines": {"api_key": f"{KEY}\nX-Other: 1"},
    "a URL with a password": {"base_url": f"https://user:{KEY}@host.invalid/v1"},
    "a URL with a query": {"base_url": f"https://host.invalid/v1?key={KEY}"},
    "a parameter": {"extra_body": {"api_key": KEY, "bad": object()}},
    "the fields": {"fields": {}},
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("how", ["accessor", "function", "configure"])
def test_a_mistake_in_the_call_is_reported_without_the_key(name, how):
    """Key leak: messages, and the variables of every frame of ours that a traceback shows."""
    given = {"model": "m", "api_key": KEY, "base_url": "http://127.0.0.1:9/v1"} | MISTAKES[name]
    what, fields = given.pop("what", "text"), given.pop("fields", FIELDS)
    calls = {
        "accessor": lambda: frame().llm.tag(what, fields, **given),
        "function": lambda: lf.tag(frame(), what, fields, **given),
        "configure": lambda: lf.configure(**given),
    }
    if how == "configure" and name in ("a column", "the fields"):
        return
    with pytest.raises(PlanError) as caught:
        calls[how]()
    left = Artefacts()
    for at, (held, _) in enumerate(traceback.walk_tb(caught.value.__traceback__)):
        if is_ours(held.f_code.co_filename):
            left.add(f"variables {at}", held.f_locals)
    assert left.left
    add_error(left, caught.value)
    assert left.found(KEY) == []


@pytest.mark.parametrize("fault", ["401", "quota", "404_model", "context"])
def test_an_error_that_leaves_a_run_is_pickled_without_it(fault, tmp_path):
    """Key leak: an error may travel to another process; its run, which knows the key, may not."""
    with testing.serve(echo_key=True, faults={fault: 1.0}) as server:
        call = options(server.url, api_key=KEY, on_error="raise", progress=False)
        error = raised(lambda: lf.tag(frame(), "text", FIELDS, **call))
    assert error.run is lf.last_run()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.run) == (str(error), None)
    if isinstance(error, RowError):
        assert again.kind == error.kind == "context_length"
        assert again.position == error.position is not None
    left = Artefacts()
    add_error(left, error)
    assert left.found(KEY) == []


def test_a_run_is_not_pickled_and_says_what_to_keep_instead():
    """Key leak: a run holds a key, a loop and a lock."""
    with testing.serve() as server:
        run = lf.start(frame(), "text", FIELDS, **options(server.url, api_key=KEY, progress=False))
        run.wait()
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"run\.partial\(\)"):
            take(run)


def test_a_key_is_text_that_is_shown_and_pickled_nowhere():
    """Key leak: what holds the key in memory masks it."""
    key = Key(KEY)
    assert f"Bearer {key}" == f"Bearer {KEY}"
    assert KEY not in repr({"api_key": [key]})
    assert copy.deepcopy({"k": key})["k"] is copy.copy(key)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(settle({"api_key": KEY}))


def test_words_that_servers_take_for_a_key_may_stand_in_answers():
    """The other side: "ollama" is no secret, and an answer is not to be falsified."""
    for key in ("ollama", "EMPTY", "lm-studio", "sk-no-key-required"):
        with testing.serve(answer=lambda *_, k=key: {"words": f"about {k}"}) as server:
            call = options(server.url, api_key=key, progress=False, checkpoint=False)
            out = lf.tag(frame()[:1], "text", {"words": str}, **call)
        assert out["words"].tolist() == [f"about {key}"]


# -- the rows' texts ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_texts_of_rows_stay_in_the_frame(fault, tmp_path, capfd):
    """Row text at rest: 0 hits in checkpoint, logs, attrs, metadata, errors, reports."""
    faults = at_first(fault) if fault else {}
    with testing.serve(faults=faults, retry_after=0.01) as server:
        left = collect(
            lambda: lf.tag(frame(), "text", PLAIN, **options(server.url)), tmp_path, capfd
        )
    theirs = (
        "traceback",
        "verbose",
        "frame",
        "errors",
        "run's errors",
        "history",
        "parts",
        "file ours",
        "file pandas",
    )
    assert left.found(ROW, but=theirs) == []
    assert {"attrs", "log", "metadata ours", "metadata pandas", "warnings"} <= set(left.left)
    assert any(name.startswith("file") and name.endswith(".jsonl") for name in left.left)


@pytest.mark.parametrize("kept", [False, True])
def test_texts_are_kept_in_the_checkpoint_only_on_demand(kept, tmp_path):
    """Row text at rest: store_input=True."""
    path = tmp_path / "run.jsonl"
    with testing.serve(fault_rows={f"{ROW} 3": "refusal"}) as server:
        call = options(server.url, checkpoint=path, store_input=kept, progress=False)
        out = lf.tag(frame(), "text", PLAIN, **call)
    assert statuses(out) == {"ok": N - 1, "failed": 1}
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert any(form in files for form in ways_to_write(ROW)) is kept


def test_texts_that_are_kept_are_the_redacted_ones(tmp_path):
    """Row text at rest: redact= comes before everything."""
    path = tmp_path / "run.jsonl"
    with testing.serve() as server:
        call = options(server.url, checkpoint=path, store_input=True, progress=False)
        lf.tag(frame(), "text", PLAIN, redact=lambda t: t.replace(ROW, "[gone]"), **call)
    assert ROW not in path.read_text()
    assert path.read_text().count("[gone]") == N


def test_a_hopeless_run_quotes_no_row(tmp_path, capfd):
    """Row text at rest: RunAborted goes into logs and mails."""
    with testing.serve(faults={"401": 1.0}) as server, pytest.raises(RunAborted) as caught:
        lf.tag(frame(), "text", PLAIN, **options(server.url))
    assert ROW not in str(caught.value)


def test_the_log_of_a_background_run_names_no_row(tmp_path, caplog):
    """Row text at rest: nor does a view that fails, at the DEBUG level."""
    caplog.set_level(1)
    with testing.serve() as server:
        run = lf.start(frame(), "text", PLAIN, **options(server.url, api_key=KEY))
        run.wait()
        until(lambda: any("finished" in line for line in caplog.messages))
    assert ROW not in caplog.text
    assert KEY not in caplog.text
