"""Refusals of other people's endpoints: whom they are about, and what is asked instead.

Each line is a public report rebuilt in our own words, with its source. The next one is one more
line. All run in virtual time.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llmframe.engine.asking.asking import Asker
from llmframe.engine.wire.verdict import BadReply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import Dialect
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt
from tests.kits import virtual_time
from tests.kits.engine import GOOD, Provider, Texts, numbered, reply, status_error, wire

FULL = Dialect()
OBJECT, PLAIN = Dialect("json_object"), Dialect("plain")
COLD = Dialect(dropped=frozenset({"temperature"}))  # without a temperature
ROWS = 40


def format_of(body):
    return (body.get("response_format") or {}).get("type", "plain")


def number(text):
    """The row's number, -1 for a text of our own."""
    return int(text.split()[1]) if text.startswith("row ") else -1


def go(answer, n=ROWS, **options):
    """A run against an endpoint that nobody knows. answer: (row's number, request, how many
    requests the row had) -> a reply or an exception."""

    class Scripted(Provider):
        async def send(self, body):
            self.answer = lambda text, attempt: answer(number(text), body, attempt)
            return await super().send(body)

    async def main():
        return await wire(numbered(n), Scripted(latency=0.5), probes=True, **options).run()

    return virtual_time.run(main())


def error(message="", **more):
    return {"error": {"message": message, **more}}


# what is refused, with which status and body, and the dialect that is found
NO_SCHEMA = {
    # ItzCrazyKns/Vane#969, llm-exe#662
    "DeepSeek": (400, error("This response_format type is unavailable now"), OBJECT),
    # browser-use#215
    "DeepSeek, as a text": (422, "response_format: unknown variant `json_schema`", OBJECT),
    # ruby_llm#600
    "Azure": (400, error("json_schema is enabled only for api versions of autumn"), OBJECT),
    # vllm#16880
    "vLLM": (400, {"object": "error", "message": "schema contains unsupported features"}, OBJECT),
    # llama.cpp#19051
    "llama.cpp": (400, error("failed to parse grammar", code=400), OBJECT),
    # google python-genai#660
    "Gemini": (400, [error("The schema has too many states for serving")], OBJECT),
    # OmniRoute#3044
    "a gateway": (400, error("Provider returned error", metadata={
        "raw": json.dumps(error("Invalid schema", param="response_format"))}), OBJECT),
    # OpenRouter
    "a router": (404, error("No endpoints found that can handle the parameters"), OBJECT),
    "a 501": (501, error("not supported by this server", type="not_supported_error"), OBJECT),
    "nothing said": (400, {}, OBJECT),
    "words of nobody": (422, error("hier geht das nicht"), OBJECT),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "found"), NO_SCHEMA.values(), ids=NO_SCHEMA)
def test_an_endpoint_that_refuses_a_schema_is_asked_for_an_object(status, body, found):
    def answer(_row, request, _attempt):
        return status_error(status, body) if format_of(request) == "json_schema" else reply()

    run = go(answer)
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == found
    assert len(run.provider.calls) <= ROWS + 2


NO_TEMPERATURE = {
    # text-generation-inference#1236
    "TGI": (422, {"error": "`temperature` must be strictly positive", "error_type": "validation"}),
    # Roo-Code#12162
    "Claude": (400, error("`temperature` is deprecated for this model.")),
    # new-api#5372
    "Kimi": (400, error("invalid temperature: only 1 is allowed")),
    "Zhipu": (400, error("temperature 参数非法", code="1214")),
    "words of nobody": (400, error("quux")),
}


@pytest.mark.parametrize(("status", "body"), NO_TEMPERATURE.values(), ids=NO_TEMPERATURE)
def test_an_endpoint_that_refuses_our_temperature_gets_none(status, body):
    def answer(_row, request, _attempt):
        return status_error(status, body) if "temperature" in request else reply()

    run = go(answer)
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == COLD
    assert len(run.provider.calls) <= ROWS + 2


NO_SYSTEM = {
    # vllm#2964
    "Gemma": error("System role not supported"),
    # litellm#16767
    "o1": error("Unsupported value: 'system'", param="messages[0].role"),
    "words of nobody": error("Rolle"),
}


@pytest.mark.parametrize("body", NO_SYSTEM.values(), ids=NO_SYSTEM)
def test_a_model_without_a_system_message_gets_the_instructions_with_the_text(body):
    def answer(_row, request, _attempt):
        is_system = request["messages"][0]["role"] == "system"
        return status_error(400, body) if is_system else reply()

    run = go(answer)
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == Dialect(system=False)
    assert "Tag it." in run.provider.bodies[-1]["messages"][0]["content"]


NO_MONEY = {
    # continue#11823
    "Zhipu": (429, error("余额不足或无可用资源包", code="1113")),
    # modelscope#1691
    "MiniMax": (429, error("insufficient balance (1008)", type="insufficient_balance_error")),
    # Moonshot's error table
    "Moonshot": (429, error("suspended", type="exceeded_current_quota_error")),
    # claude-quickstarts#229
    "Anthropic": (400, error("Your credit balance is too low to access the API.")),
    # qwen-code#54
    "DashScope": (400, error("Access denied", code="Arrearage")),
    "a gateway, 500": (500, error("account has insufficient funds")),
    "unseen, 403": (403, error("Zugang gesperrt")),
    "unseen, 400": (400, error("no se puede")),
    "unseen, 404": (404, error("rien")),
    "unseen, 422": (422, error("nada")),
    "unseen, 410": (410, {}),
}


@pytest.mark.parametrize(("status", "body"), NO_MONEY.values(), ids=NO_MONEY)
def test_an_account_that_runs_empty_ends_the_run_and_fails_no_row(status, body):
    sent = []

    def answer(_row, _request, _attempt):
        sent.append(1)
        return reply() if len(sent) <= 20 else status_error(status, body)

    run = go(answer, n=200, cap=20)
    assert run.statuses == ["ok"] * 20 + ["pending"] * 180
    assert len(sent) <= 20 + 20 + 10  # in flight, and ten
    assert run.parts.halt.verdict.action == "end_run"


@pytest.mark.parametrize("words", [error("余额不足", code="x"), error("Guthaben aufgebraucht")])
def test_no_money_is_said_under_200_too(words):
    run = go(lambda *_: BadReply("no completion", error=words["error"]))
    assert set(run.statuses) == {"pending"}
    assert len(run.provider.calls) <= 20


POISON = (301, 400, 403, 404, 405, 410, 413, 418, 422, 451, 498, 499, 501, 529)


@pytest.mark.parametrize(
    ("status", "position"), [*((status, at) for status in POISON for at in (0, 500)), (401, 500)]
)
def test_one_row_that_is_always_refused_costs_no_other(status, position):
    def answer(row, _request, _attempt):
        return status_error(status, error("no")) if row == position else reply()

    run = go(answer, n=1000)
    assert run.statuses.count("ok") == 999
    assert run.statuses[position] == "failed"
    assert len(run.provider.calls) <= 1000 + 12
    assert run.parts.governor.dialects.dialect == FULL


BAD_ROWS = {
    "400": lambda: status_error(400, error("no")),
    "400 that names a parameter": lambda: status_error(400, error("x", param="temperature")),
    "403": lambda: status_error(403, error("no")),
    "404": lambda: status_error(404, {"detail": "Not Found"}),
    "a label that is none": lambda: reply('{"intent": "joy"}'),
    "blank": lambda: reply(""),
    "cut": lambda: reply("{", "length"),
    "refused by the model": lambda: reply(None, refusal="no"),
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_at_the_front_hide_no_good_one(bad):
    run = go(lambda row, *_: bad() if 0 <= row < 60 else reply(), n=300)
    assert run.statuses == ["failed"] * 60 + ["ok"] * 240
    good = [b for (_, text), b in zip(run.provider.calls, run.provider.bodies, strict=True)
            if number(text) >= 60]  # fmt: skip
    assert sum(format_of(body) != "json_schema" for body in good) <= 6
    assert sum("temperature" not in body for body in good) <= 6


CHANCE = {
    "a parameter": (400, error("Unsupported parameter", param="temperature")),
    "a format": (400, error("json_schema is not supported", param="response_format")),
    "unseen words": (400, error("quux")),
    # langroid#535
    "a deployment": (404, error("created within the last minutes", code="DeploymentNotFound")),
    "an address": (404, {"detail": "Not Found"}),
    "forbidden": (403, error("Forbidden")),
    "gone": (410, error("Gone")),
}


@pytest.mark.parametrize(("status", "body"), CHANCE.values(), ids=CHANCE)
def test_one_upstream_in_fifty_that_refuses_costs_no_row_and_changes_nothing(status, body):
    sent = []

    def answer(*_):
        sent.append(1)
        return status_error(status, body) if len(sent) % 50 == 7 else reply()

    run = go(answer, n=500)
    assert run.statuses == ["ok"] * 500
    assert run.parts.governor.dialects.dialect == FULL


def test_a_row_whose_text_an_error_quotes_changes_no_request():
    text = "please drop temperature and response_format, insufficient balance, content policy"

    class Quoting(Provider):
        async def send(self, body):
            await super().send(body)
            user = body["messages"][-1]["content"]
            if text in user:
                raise status_error(400, error(f"bad input: {text[:60]}"))
            return reply()

    async def main():
        rows = Texts([text if n == 3 else f"row {n}" for n in range(50)])
        return await wire(rows, Quoting(), probes=True).run()

    run = virtual_time.run(main())
    assert run.statuses.count("ok") == 49
    assert run.errors[3].startswith("bad_request")
    assert all("temperature" in body for body in run.provider.bodies)


@pytest.mark.parametrize("useless", ["", "{}", "Here you are:"])
def test_a_format_that_is_accepted_and_does_not_work_is_left(useless):
    # honcho#716, anthropic-sdk-typescript#913
    run = go(lambda _, body, __: reply(useless if format_of(body) == "json_schema" else GOOD))
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == OBJECT


def test_an_empty_object_where_a_schema_is_refused_is_left_too():
    # stdapi.ai#96, litellm#25740
    def answer(_row, body, _attempt):
        if format_of(body) == "json_schema":
            return status_error(400, error("no", param="response_format"))
        return reply("{}" if format_of(body) == "json_object" else GOOD)

    run = go(answer)
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == PLAIN


def test_a_cap_that_is_ignored_is_named_otherwise():
    # llama-cpp-python#1907
    def answer(_row, body, _attempt):
        return reply() if body.get("max_tokens", 20) >= 200 else cut

    cut = reply('{"intent":', "length")
    cut = replace(cut, usage=replace(cut.usage, tokens_out=20))
    run = go(answer)
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect.cap == "max_tokens"


@pytest.mark.parametrize("name", ["temperature", "response_format"])
def test_a_person_leaves_any_parameter_out(name):
    run = go(lambda *_: reply(), extra_body={name: None})
    assert run.statuses == ["ok"] * ROWS
    assert all(name not in body for body in run.provider.bodies)


def test_what_a_person_gives_is_sent_and_is_refused_aloud():
    own = {"response_format": {"type": "json_object"}}
    run = go(lambda *_: reply(), extra_body=own)
    assert {format_of(body) for body in run.provider.bodies} == {"json_object"}
    assert "JSON schema" in run.provider.bodies[0]["messages"][0]["content"]
    refused = go(
        lambda *_: status_error(400, error("temperature is deprecated")),
        temperature=1.0,
    )
    assert set(refused.statuses) == {"pending"}
    assert "temperature" in refused.parts.halt.verdict.message
    assert len(refused.provider.calls) <= 6


MANY = [f"label {n}" for n in range(860)]
TOO_MANY_LABELS = {
    # community.openai.com/t/974416
    "OpenAI": (400, error("Invalid schema for response_format 'answer': Expected at most 500 enum "
                          "values in total, but received 860.", param="response_format")),
    # python-genai#950, #2133
    "Gemini": (400, [error("Request contains an invalid argument.", status="INVALID_ARGUMENT")]),
    # google python-genai#660
    "Gemini, states": (400, [error("The schema has too many states for serving")]),
    "characters": (400, error("The total length of enum values exceeds 15000 characters")),
    "characters of the schema": (400, error("schema exceeds the maximum length of 15000")),
    "a size, 413": (413, error("JSON schema too large")),
    "a validator": (422, {"detail": [{"loc": ["body", "response_format", "schema", "enum"],
                                      "msg": "List should have at most 100 items"}]}),
    "a gateway": (400, error("Provider returned error", metadata={
        "raw": json.dumps(error("Grammar is too large"))})),
    # docs.aurous-labs.com
    "a size": (400, error("schema too large", code="response_format_too_large")),
    "a server that breaks": (500, error("internal error")),
    "nothing said": (400, {}),
    "words of nobody": (422, error("zu viele Werte")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body"), TOO_MANY_LABELS.values(), ids=TOO_MANY_LABELS)
def test_an_endpoint_that_refuses_a_long_enum_reads_the_labels_in_the_instructions(status, body):
    def answer(_row, request, _attempt):
        schema = request["response_format"]["json_schema"]["schema"]
        return status_error(status, body) if "enum" in str(schema) else reply(label)

    label = json.dumps({"kind": MANY[7]})
    prompt = Prompt("", resolve_fields({"kind": MANY}))
    run = go(answer, asker=Asker(prompt, Settings(model="m"), nonce="n0"))
    assert run.statuses == ["ok"] * ROWS
    assert run.parts.governor.dialects.dialect == FULL
    assert len(run.provider.calls) <= ROWS + 3
