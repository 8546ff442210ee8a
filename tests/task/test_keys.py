"""Keys: whatever changes one buys every stored answer again, so they are pinned here."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.calls.identity import sampling_of
from llmframe.errors import PlanError
from llmframe.options.settings import Settings
from llmframe.providers.address import endpoint_identity, is_loopback
from llmframe.task.keys import KEY_BYTES, KeyMaker

ASKED = {
    "version": 1,
    "model": "m",
    "endpoint": "https://api.example.com/v1",
    "instructions": "Tag it. 标注",
    "fields": {"intent": ["refund", "other"]},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def test_the_keys_of_a_task_are_what_they_were():
    keys = KeyMaker(ASKED)
    assert keys.digest.hex() == "5b9fd09c2af89b55e016b4d44330050e"
    assert keys.key("a parcel").hex() == "b87bfbcadd74c528b3c06fa6dc48d4fa"
    assert keys.key("退款 🙂\n{}").hex() == "4b26f9435ee17abd2553e3e612b3d104"
    assert keys.key("").hex() == "51a93997bcaa05d4a96cf9f571be186c"


def test_a_key_has_sixteen_bytes_and_is_the_same_each_time():
    keys = KeyMaker(ASKED)
    assert len(keys.key("x")) == len(keys.digest) == KEY_BYTES == 16
    assert keys.key("x") == keys.key("x") == KeyMaker(dict(reversed(ASKED.items()))).key("x")


@pytest.mark.parametrize("name", list(ASKED))
def test_everything_that_is_asked_changes_the_key(name):
    other = KeyMaker(ASKED | {name: "something else"})
    assert other.digest != KeyMaker(ASKED).digest
    assert other.key("x") != KeyMaker(ASKED).key("x")


@given(json_values, json_values)
def test_different_questions_have_different_digests(one, other):
    same = KeyMaker({"a": one}).digest == KeyMaker({"a": other}).digest
    assert same == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@given(st.text(), st.text())
def test_different_texts_have_different_keys(one, other):
    keys = KeyMaker({"a": 1})
    assert (keys.key(one) == keys.key(other)) == (one == other)


@pytest.mark.parametrize("text", ["\n", '"}', '\n{"a":1}', "x\n", "\nx"])
def test_a_text_is_never_taken_for_a_part_of_the_question(text):
    whole = {"a": "b"}
    keys = {
        KeyMaker(whole).key(text),
        KeyMaker({"a": "b" + text}).key(""),
        KeyMaker({"a": "b" + text}).digest,
        KeyMaker(whole).digest,
    }
    assert len(keys) == 4


def test_fields_in_another_order_are_another_question():
    one = KeyMaker({"fields": [["a", 1], ["b", 2]]})
    assert one.digest != KeyMaker({"fields": [["b", 2], ["a", 1]]}).digest


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), {1, 2}, b"x"])
def test_what_is_no_json_is_a_mistake_of_the_caller(value):
    with pytest.raises(PlanError, match="JSON"):
        KeyMaker({"sampling": {"extra_body": {"x": value}}})


def test_what_contains_itself_is_a_mistake_of_the_caller():
    loop: dict = {}
    loop["self"] = loop
    with pytest.raises(PlanError, match="JSON"):
        KeyMaker(loop)


# -- sampling: only what was given ----


def test_sampling_that_is_not_given_adds_nothing():
    assert sampling_of(Settings()) == {}
    assert sampling_of(Settings(extra_body={})) == {}


def test_sampling_that_is_given_is_part_of_the_question():
    given = Settings(temperature=0, seed=7, max_output_tokens=50, extra_body={"top_p": 0.5})
    assert sampling_of(given) == {
        "temperature": 0.0,
        "seed": 7,
        "max_output_tokens": 50,
        "extra_body": {"top_p": 0.5},
    }


def test_a_temperature_of_1_and_of_1_0_ask_the_same():
    def digest(temperature):
        return KeyMaker(sampling_of(Settings(temperature=temperature))).digest

    assert digest(1) == digest(1.0) != digest(0)


# -- the endpoint ----


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://API.Example.com/V1/", "https://api.example.com/v1"),
        ("https://api.example.com:443/v1", "https://api.example.com/v1"),
        ("http://example.com:80/v1", "http://example.com/v1"),
        ("http://example.com:443/v1", "http://example.com:443/v1"),
        ("https://api.example.com:8443/v1", "https://api.example.com:8443/v1"),
        ("https://user:secret@api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1?key=secret#x", "https://api.example.com/v1"),
        ("https://api.example.com", "https://api.example.com"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1/v1"),
        ("http://127.9.9.9:8000/v1", "http://127.9.9.9/v1"),
        ("http://localhost:1234/v1/", "http://127.0.0.1/v1"),
        ("http://box.localhost:1234/v1", "http://box.localhost/v1"),
        ("http://0.0.0.0:8000/v1", "http://127.0.0.1/v1"),
        ("http://[::1]:8000/v1", "http://127.0.0.1/v1"),
        ("http://[::ffff:127.0.0.1]:8000/v1", "http://127.0.0.1/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1/v1"),
        ("https://api.example.com./v1", "https://api.example.com/v1"),
        ("https://api.example.com//v1//", "https://api.example.com/v1"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://api.deepseek.com", "https://api.deepseek.com/v1"),
        ("https://api.deepseek.com/beta", "https://api.deepseek.com/beta"),
        ("https://api.groq.com/", "https://api.groq.com/openai/v1"),
        ("https://api.together.xyz/v1", "https://api.together.ai/v1"),
        ("https://x.services.ai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1"),
        ("local:smollm2.gguf:263:81049e9af8b9", "local:smollm2.gguf:263:81049e9af8b9"),
        ("http://[2001:db8::1]:8000/v1", "http://[2001:db8::1]:8000/v1"),
        ("http://10.0.0.1:8000/v1", "http://10.0.0.1:8000/v1"),
    ],
)
def test_an_endpoint_is_scheme_host_and_path_without_the_port_of_a_loopback(url, identity):
    assert endpoint_identity(url) == endpoint_identity(identity) == identity


@pytest.mark.parametrize("port", ["99999", "abc", "-1"])
def test_a_port_that_is_none_is_a_mistake_of_the_caller(port):
    with pytest.raises(PlanError, match="base_url"):
        endpoint_identity(f"https://example.com:{port}/v1")


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "::1", "0.0.0.0", "::"])
def test_this_machine_is_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.evil.com", "notlocalhost", "10.0.0.1", "1.1.1.1"])
def test_other_machines_are_not_loopback(host):
    assert not is_loopback(host)
