"""Keys and passwords: what is hidden, and what is left as it is."""

from __future__ import annotations

import logging

import pytest

from llmframe.secret import header_secrets, hide_in_logs, hide_keys, hide_secrets, mask_key

KEY = "sk-canary/0123456789"


def test_a_key_is_taken_out_of_a_text_as_it_is_and_as_json_writes_it():
    escaped = "".join(f"\\u{ord(one):04X}" for one in KEY)
    for form in (KEY, KEY.replace("/", "\\/"), escaped, escaped.lower()):
        assert hide_keys(f"a {form} b", [KEY]) == "a [key] b"


@pytest.mark.parametrize("word", ["ollama", "EMPTY", "sk-no-key-required", "12345678901", ""])
def test_a_word_that_is_no_secret_stays(word):
    assert hide_keys(f"about {word}", [word]) == f"about {word}"


def test_passwords_in_addresses_and_parameters_are_hidden_and_all_else_stays():
    given = {
        "url": "https://me:pa/ss@host/v1?key=1", "api_key": "x", "Authorization": "y",
        "max_completion_tokens": 5, "stop": ["a", ("b",)], "note": "me:pass@host",
    }  # fmt: skip
    assert hide_secrets(given) == {
        "url": "https://***@host/v1?***", "api_key": "***", "Authorization": "***",
        "max_completion_tokens": 5, "stop": ["a", ("b",)], "note": "me:pass@host",
    }  # fmt: skip


def test_the_keys_of_a_request_stand_in_its_headers():
    headers = {"Authorization": f"Bearer {KEY}", "api-key": "azure", "Accept": "json"}
    assert header_secrets(headers) == [KEY, "azure"]


def test_blanks_around_a_key_are_dropped_and_other_values_stay():
    options = {"api_key": f" {KEY}\n", "model": "m"}
    mask_key(options)
    assert options["api_key"] == KEY
    assert repr(options) == "{'api_key': ***, 'model': 'm'}"
    other = {"api_key": None}
    mask_key(other)
    assert other == {"api_key": None}


def test_what_a_transport_logs_is_logged_without_the_key(caplog):
    caplog.set_level("INFO", "httpx2")
    hide_in_logs([KEY])
    logging.getLogger("httpx2").info("status %s, %d", KEY, 200)
    logging.getLogger("httpx2").info("100 % of nothing")
    assert caplog.messages == ["status [key], 200", "100 % of nothing"]
