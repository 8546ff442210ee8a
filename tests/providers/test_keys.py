"""Where keys are found, and that they are never shown."""

from __future__ import annotations

import sys

import pytest

from llmframe.errors import PlanError
from llmframe.options.presets import PRESETS
from llmframe.providers.endpoint import KEYLESS
from llmframe.providers.keys import find_key, key_in, keys_found

KEY = "sk-canary-0123456789"
DEEPSEEK = "https://api.deepseek.com/v1"


def test_a_known_endpoint_takes_only_its_own_variable(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(PlanError, match="DEEPSEEK_API_KEY"):
        find_key(DEEPSEEK)
    monkeypatch.setenv("DEEPSEEK_API_KEY", "theirs")
    found = find_key(DEEPSEEK)
    assert found.key == "theirs"
    assert found.source == "the environment variable DEEPSEEK_API_KEY"


def test_an_unknown_endpoint_takes_the_variable_that_the_sdk_takes(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert find_key("https://gateway.example/v1").key == KEY


def test_a_named_provider_takes_its_variable_to_an_address_of_ones_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("VLLM_API_KEY", "theirs")
    assert find_key("http://gpu-box:8000/v1", PRESETS["vllm"]).key == "theirs"


def test_geminis_key_is_found_under_both_names_its_own_first(monkeypatch):
    gemini = PRESETS["gemini"]
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    found = find_key(gemini.base_url)
    assert (found.key, found.source) == (KEY, "the environment variable GOOGLE_API_KEY")
    assert keys_found() == []  # it may be for another service of Google: nothing is proposed
    monkeypatch.setenv("GEMINI_API_KEY", "sk-its-own")
    assert find_key(gemini.base_url).key == "sk-its-own"
    assert keys_found() == ["gemini"]


def test_without_a_key_the_variable_and_the_cure_are_named():
    with pytest.raises(PlanError, match=r"OPENAI_API_KEY(.|\n)*getpass") as caught:
        find_key("https://api.openai.com/v1")
    assert 'provider="openai"' in str(caught.value)
    with pytest.raises(PlanError, match=r'base_url="https://gateway.example/v1", api_key=getpass'):
        find_key("https://gateway.example/v1")


def test_a_server_on_this_machine_needs_no_key():
    assert find_key("http://localhost:8000/v1", needed=False).key == KEYLESS
    assert find_key("http://gpu-box:8000/v1", PRESETS["vllm"]).key == KEYLESS


def test_a_key_with_strange_characters_is_refused_and_not_echoed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n…")
    with pytest.raises(PlanError, match="OPENAI_API_KEY holds no API key") as caught:
        find_key("https://api.openai.com/v1")
    assert KEY not in str(caught.value)


def test_a_found_key_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY} ")
    found = key_in("OPENAI_API_KEY")
    assert found.key == KEY
    assert KEY not in repr(found)


def test_a_dotenv_file_is_read_here_and_above_without_touching_the_environment(
    dotenv, monkeypatch, tmp_path
):
    dotenv.write_text(f"OTHER=1\nDEEPSEEK_API_KEY={KEY}\n")
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    found = find_key(DEEPSEEK)
    assert (found.key, found.source) == (KEY, "DEEPSEEK_API_KEY in the .env file")
    import os

    assert "DEEPSEEK_API_KEY" not in os.environ
    assert "OTHER" not in os.environ


def test_the_environment_wins_over_the_file(dotenv, monkeypatch):
    dotenv.write_text("DEEPSEEK_API_KEY=from-the-file\n")
    monkeypatch.setenv("DEEPSEEK_API_KEY", "from-the-environment")
    assert find_key(DEEPSEEK).key == "from-the-environment"


def test_a_file_that_is_no_text_holds_no_key(dotenv):
    dotenv.write_bytes(b"DEEPSEEK_API_KEY=\xff\xfe\n")
    with pytest.raises(PlanError, match="DEEPSEEK_API_KEY"):
        find_key(DEEPSEEK)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_file_is_read_by_its_byte_order_mark(dotenv, encoding):
    dotenv.write_bytes(f"DEEPSEEK_API_KEY={KEY}\r\n# ключ\r\n".encode(encoding))
    assert find_key(DEEPSEEK).key == KEY


def test_strange_letters_elsewhere_in_the_file_hide_no_key(dotenv):
    dotenv.write_bytes(f"# clé\nDEEPSEEK_API_KEY={KEY}\n".encode("latin-1"))
    assert find_key(DEEPSEEK).key == KEY


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
def test_a_file_in_another_encoding_is_named_where_no_key_was_found(dotenv, encoding):
    dotenv.write_bytes("DEEPSEEK_KEY=clé\n".encode(encoding))
    with pytest.raises(PlanError, match=r"\.env is not UTF-8 text: save it as such"):
        find_key(DEEPSEEK)


def test_a_file_that_may_not_be_read_is_named(dotenv, monkeypatch):
    def refuse(_):
        raise PermissionError

    dotenv.write_text(f"DEEPSEEK_API_KEY={KEY}\n")
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(PlanError, match=r"\.env cannot be read"):
        find_key(DEEPSEEK)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_a_key_are_no_part_of_it(monkeypatch, quote):
    monkeypatch.setenv("OPENAI_API_KEY", f" {quote}{KEY}{quote} ")
    assert key_in("OPENAI_API_KEY").key == KEY
    monkeypatch.setenv("OPENAI_API_KEY", quote)
    assert key_in("OPENAI_API_KEY").key == quote


def test_only_a_key_of_the_file_goes_where_only_the_file_says(dotenv, monkeypatch):
    gateway = "https://gateway.example/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    with pytest.raises(PlanError, match="OPENAI_API_KEY of the environment is not sent there"):
        find_key(gateway, only_file=True)
    dotenv.write_text(f"OPENAI_API_KEY={KEY}\n")
    assert find_key(gateway, only_file=True).key == KEY


def test_an_unreadable_env_file_is_mentioned(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=x\n")
    monkeypatch.setitem(sys.modules, "dotenv", None)  # as if it were not installed
    with pytest.raises(PlanError, match="pip install python-dotenv"):
        find_key("https://api.openai.com/v1")


def test_the_providers_whose_key_is_there_are_known(monkeypatch):
    assert keys_found() == []
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert keys_found() == ["groq"]


def test_what_cannot_be_a_key_does_not_hide_the_others(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "schl\u00fcssel")
    monkeypatch.setenv("MISTRAL_API_KEY", "a-key")
    assert keys_found() == ["mistral"]
