"""Options, their precedence, and which key goes where."""

from __future__ import annotations

import numpy as np
import openai
import pandas as pd
import pytest

import llmframe as lf
from llmframe.errors import PlanError
from llmframe.options.layers import settle
from llmframe.options.settings import DEFAULTS, OPTIONS, Settings

KEY = "sk-canary-0123456789"


def test_the_call_wins_over_configure_which_wins_over_the_default():
    assert settle({}).timeout == 60.0
    lf.configure(timeout=5)
    assert settle({}).timeout == 5
    assert settle({"timeout": 7}).timeout == 7


def test_a_call_may_ask_for_the_default_again():
    lf.configure(concurrency=50)
    assert settle({"concurrency": "auto"}).concurrency == "auto"


def test_configure_adds_up_and_reset_forgets():
    lf.configure(model="a")
    assert dict(lf.configure(timeout=5)) == {"model": "a", "timeout": 5}
    assert dict(lf.configure(reset=True, model="b")) == {"model": "b"}


def test_printing_the_configuration_masks_the_key():
    shown = repr(lf.configure(model="m", api_key=KEY))
    assert KEY not in shown
    assert shown == "lf.configure(model='m', api_key=***)"


def test_printing_settings_masks_the_key():
    assert KEY not in repr(Settings(api_key=KEY, client=object()))


def test_a_wrong_value_does_not_change_the_configuration():
    lf.configure(timeout=5)
    with pytest.raises(PlanError):
        lf.configure(timeout=-1)
    assert settle({}).timeout == 5


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(PlanError, match="did you mean concurrency"):
        settle({"concurency": 5})


def test_an_option_that_resembles_nothing_names_those_used_most():
    with pytest.raises(PlanError, match=r"used are instructions, model, .* help\(df\.llm\.tag\)"):
        lf.configure(zzz=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""), ("model", 3), ("base_url", "localhost:8000"), ("base_url", "ftp://x"),
        ("api_key", ""), ("api_key", 5), ("allow_http", "yes"), ("instructions", None),
        ("temperature", -1), ("temperature", True), ("seed", 1.5), ("max_output_tokens", 0),
        ("extra_body", [1]), ("extra_body", {"a": object()}), ("redact", "x"),
        ("concurrency", 0), ("concurrency", True),
        ("concurrency", "many"), ("concurrency", 2.5), ("timeout", 0), ("timeout", None),
        ("deadline", 0), ("max_attempts", 0), ("checkpoint", None), ("checkpoint", 3),
        ("reuse", 1), ("adopt", None), ("prefix", None), ("into", " "), ("overwrite", "no"),
        ("progress", "bar"), ("progress", None), ("runner", "process"), ("on_error", "ignore"),
        ("on_incomplete", "warn"), ("provider", 7), ("seed", True), ("seed", 0.5),
        ("temperature", False), ("prices", (False, 1)), ("prices", (1, float("nan"))),
        ("progress", 1), ("progress", 0), ("progress", 1.0), ("max_tokens", float("inf")),
        ("concurrency", np.float64(1.5)), ("timeout", np.timedelta64(5, "ns")),
        ("hedge", np.int64(1)), ("max_attempts", np.bool_(True)), ("timeout", 10**400),
        ("extra_body", {"a": float("nan")}),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_right_is_named_with_what_would_be(name, value):
    with pytest.raises(PlanError, match=f"^{name}=.* is not valid; it takes "):
        settle({name: value})


@pytest.mark.parametrize(
    "name", ["temperature", "rpm", "tpm", "timeout", "deadline", "max_cost", "concurrency", "seed"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("inf")])
def test_no_option_takes_a_number_without_an_end_or_none_at_all(name, value):
    with pytest.raises(PlanError, match=f"^{name}=.*(nan|inf).* is not valid; it takes "):
        settle({name: value})


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("concurrency", np.int64(5), 5), ("seed", np.int64(3), 3), ("seed", -3, -3),
        ("timeout", np.float32(5), 5.0), ("timeout", np.longdouble(5), 5.0),
        ("reuse", np.bool_(False), False), ("progress", np.bool_(False), False),
        ("model", np.str_("m"), "m"), ("id", np.str_("uid"), "uid"),
        ("max_tokens", 1e6, 1_000_000), ("max_output_tokens", 256.0, 256), ("seed", 3.0, 3),
        ("max_attempts", np.float64(2), 2), ("max_input_tokens", 1e3, 1000),
        ("concurrency", 8.0, 8), ("rpm", np.int64(60), 60), ("temperature", np.float64(0), 0.0),
        ("prices", [np.float64(0.5), np.int64(2)], (0.5, 2)),
        ("prices", {"in": np.float64(0.5), "out": 0}, {"in": 0.5, "out": 0}),
        ("extra_body", {"top_k": np.int64(5), "stop": ("a", np.str_("b"))},
         {"top_k": 5, "stop": ["a", "b"]}),
    ],
)  # fmt: skip
def test_numbers_of_numpy_and_whole_floats_are_taken_as_plain_ones(name, value, taken):
    lf.configure(**{name: value})
    for found in (getattr(settle({}), name), getattr(settle({name: value}), name)):
        assert found == taken
        assert repr(found) == repr(taken)


class Unlike:
    """A value that cannot be compared, as pd.NA cannot, or has no truth value or repr."""

    def __init__(self, *raising):
        self.raising = raising

    def __eq__(self, other):
        return self._raise("==")

    __hash__ = object.__hash__

    def __bool__(self):
        return self._raise("bool")

    def __repr__(self):
        return self._raise("repr")

    def _raise(self, what):
        if what in self.raising:
            raise RuntimeError(what)
        return "Unlike" if what == "repr" else True


FRAME = pd.DataFrame({"text": ["one", "two"]})
COLUMNS = {
    "Series": FRAME["text"],
    "DataFrame": FRAME,
    "long array": np.arange(100_000),
    "one-element array": np.array([1]),
    "array of nothing": np.array([]),
    "Index": pd.Index(["a", "b"]),
    "missing": pd.NA,
    "no ==": Unlike("=="),
    "no bool": Unlike("bool"),
    "nothing": Unlike("==", "bool", "repr"),
}


@pytest.mark.parametrize("what", COLUMNS)
@pytest.mark.parametrize("name", [name for name in DEFAULTS if not OPTIONS[name].by_row])
def test_an_option_that_is_given_a_column_is_named_in_a_few_words(name, what):
    for call in (lambda given: settle(given), lambda given: lf.configure(**given)):
        with pytest.raises(PlanError, match=f"^{name}=.* is not valid; it takes ") as caught:
            call({name: COLUMNS[what]})
        echo = str(caught.value).partition(" is not valid; ")[0]
        assert len(echo) < 120
        assert "\n" not in echo
    assert repr(lf.configure()) == "lf.configure()"


def test_what_is_configured_is_not_reached_by_a_column_of_the_call():
    lf.configure(provider="azure", api_key=KEY)
    for name in ("base_url", "provider", "api_key", "client"):
        with pytest.raises(PlanError, match=f"^{name}=Series is not valid"):
            settle({name: FRAME["text"]})


def test_a_big_wrong_value_is_cut():
    with pytest.raises(
        PlanError, match=r"^base_url='xxx.*… is not valid; it takes the root"
    ) as caught:
        settle({"base_url": "x" * 10_000})
    assert len(str(caught.value)) < 400
    held = {"a": object()}
    held["itself"] = held
    with pytest.raises(PlanError, match=r"^extra_body=dict is not valid"):
        settle({"extra_body": held})
    with pytest.raises(PlanError, match=r"^timeout=int is not valid"):
        settle({"timeout": 10**10_000})
    with pytest.raises(PlanError, match=r"^prices=list is not valid"):
        settle({"prices": [FRAME["text"]] * 3})


def test_a_parameter_that_is_changed_later_changes_no_configuration():
    body = {"top_p": 0.5}
    lf.configure(extra_body=body)
    body["top_p"] = 0.9
    assert settle({}).extra_body == {"top_p": 0.5}


def test_what_a_call_does_not_take_keeps_its_default_there():
    lf.configure(id="uid", timeout=5)
    settings = settle({}, without=("id",))
    assert (settings.id, settings.timeout, settings.given) == (None, 5, {"timeout"})


def test_a_wrong_key_is_not_echoed():
    with pytest.raises(PlanError) as caught:
        settle({"api_key": KEY.encode()})
    assert KEY not in str(caught.value)


def test_the_configured_key_belongs_to_the_configured_endpoint():
    lf.configure(base_url="https://a.example/v1", api_key=KEY)
    assert settle({}).api_key == KEY
    assert settle({"base_url": "https://a.example/v1/"}).api_key == KEY
    assert settle({"base_url": "https://b.example/v1"}).api_key is None
    assert settle({"base_url": "https://b.example/v1", "api_key": "other"}).api_key == "other"


def test_a_key_configured_alone_belongs_to_the_default_endpoint(monkeypatch):
    lf.configure(api_key=KEY)
    assert settle({"base_url": "https://api.openai.com/v1"}).api_key == KEY
    assert settle({"base_url": "https://b.example/v1"}).api_key is None
    monkeypatch.setenv("OPENAI_BASE_URL", "https://b.example/v1")
    assert settle({"base_url": "https://b.example/v1"}).api_key == KEY


def test_configuring_another_endpoint_forgets_the_key_of_the_first():
    lf.configure(base_url="https://a.example/v1", api_key=KEY)
    lf.configure(base_url="https://b.example/v1")
    assert settle({}).api_key is None


def test_a_provider_is_kept_by_its_name_in_the_table():
    lf.configure(provider="DeepSeek")
    assert settle({}).provider == "deepseek"
    with pytest.raises(PlanError, match="did you mean 'groq'"):
        lf.configure(provider="grok")
    assert settle({}).provider == "deepseek"


def test_printing_the_configuration_says_what_the_provider_sets():
    shown = repr(lf.configure(provider="deepseek", api_key=KEY))
    assert "# DeepSeek sets base_url='https://api.deepseek.com/v1', model='deepseek-flash'" in shown
    assert KEY not in shown
    assert "sets" not in repr(lf.configure(reset=True, model="m"))


def test_printing_the_configuration_says_which_variable_holds_the_key(monkeypatch):
    assert repr(lf.configure(provider="groq")).endswith("; key: GROQ_API_KEY, which is not set")
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    shown = repr(lf.configure(provider="groq"))
    assert shown.endswith("; key: the environment variable GROQ_API_KEY")
    assert KEY not in shown
    assert "GROQ_API_KEY" not in repr(lf.configure(api_key=KEY))


def test_printing_cuts_long_instructions():
    shown = repr(lf.configure(instructions="word " * 100))
    assert "word…'" in shown
    assert len(shown) < 120
    assert settle({}).instructions == "word " * 100


def test_an_empty_key_is_reported_with_its_usual_cause():
    for empty in ("", "   "):
        with pytest.raises(PlanError, match=r'api_key="" is not valid; .*os\.environ\.get'):
            lf.configure(api_key=empty)
    with pytest.raises(PlanError, match=r"api_key=\*\*\* is not valid"):
        settle({"api_key": f"{KEY}…"})


RESOURCE = "https://res.openai.azure.com"


def test_the_address_of_ones_own_resource_does_not_leave_azure():
    lf.configure(provider="azure", model="x", api_key=KEY)
    assert "leaves" not in repr(lf.configure(base_url=RESOURCE))
    settings = settle({})
    assert (settings.provider, settings.model, settings.api_key) == ("azure", "x", KEY)
    lf.configure(base_url="https://other.openai.azure.com")
    assert (settle({}).provider, settle({}).api_key) == ("azure", None)


def test_the_key_of_a_resource_in_the_environment_goes_to_no_other(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", RESOURCE)
    lf.configure(provider="azure", api_key=KEY)
    settings = settle({"base_url": "https://other.openai.azure.com"})
    assert (settings.provider, settings.api_key) == ("azure", None)


@pytest.mark.parametrize(
    ("provider", "url"),
    [("azure", "https://api.groq.com/openai/v1"), ("local", "http://localhost:8000/v1")],
)
def test_an_address_of_another_provider_leaves_even_one_without_an_address(provider, url):
    lf.configure(provider=provider, api_key=KEY)
    settings = settle({"base_url": url})
    assert (settings.provider, settings.api_key) == (None, None)


def test_configure_says_that_another_address_leaves_the_provider():
    lf.configure(provider="deepseek")
    assert "# base_url= leaves DeepSeek" in repr(lf.configure(base_url="https://b.example/v1"))
    assert "leaves" not in repr(lf.configure(provider="deepseek"))
    assert "leaves" not in repr(lf.configure(reset=True, base_url="https://b.example/v1"))


def test_the_default_address_is_looked_up_as_keys_are(monkeypatch, tmp_path):
    pytest.importorskip("dotenv")
    lf.configure(api_key=KEY)
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=https://file.example/v1\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "  ")
    assert settle({"base_url": "https://file.example/v1"}).api_key == KEY
    assert settle({"base_url": "https://api.openai.com/v1"}).api_key is None


def test_another_provider_takes_nothing_over_from_the_one_before():
    lf.configure(provider="openai", model="gpt", api_key=KEY, timeout=5)
    other = settle({"provider": "deepseek"})
    assert (other.provider, other.model, other.api_key) == ("deepseek", None, None)
    assert other.timeout == 5
    lf.configure(provider="deepseek")
    assert settle({}).api_key is None


def test_the_same_provider_keeps_its_key_and_model():
    lf.configure(provider="openai", model="gpt", api_key=KEY)
    same = settle({"provider": "OpenAI"})
    assert (same.model, same.api_key) == ("gpt", KEY)


def test_a_model_that_was_named_for_no_endpoint_stays():
    lf.configure(model="deepseek-v4-pro")
    assert settle({"provider": "deepseek"}).model == "deepseek-v4-pro"


def test_a_base_url_of_the_call_leaves_the_configured_provider_and_its_key():
    lf.configure(provider="deepseek", api_key=KEY)
    settings = settle({"base_url": "https://b.example/v1"})
    assert (settings.provider, settings.api_key) == (None, None)
    same = settle({"base_url": "https://api.deepseek.com/v1/"})
    assert (same.provider, same.api_key) == ("deepseek", KEY)


def test_a_provider_of_the_call_leaves_the_configured_address_and_client():
    lf.configure(base_url="https://a.example/v1", api_key=KEY, model="m", client=lambda: None)
    settings = settle({"provider": "ollama"})
    assert (settings.base_url, settings.api_key, settings.client) == (None, None, None)
    assert settings.model is None


def test_no_provider_may_be_asked_for_again():
    lf.configure(provider="deepseek")
    assert settle({"provider": None}).provider is None


def test_an_address_with_and_without_its_end_is_the_same_endpoint():
    lf.configure(base_url="https://api.example.com", api_key=KEY)
    lf.configure(base_url="https://API.example.com/v1")
    assert settle({}).api_key == KEY
    assert settle({"base_url": "https://api.example.com/v1/"}).api_key == KEY
    for other in ("https://api.example.com.evil/v1", "https://api.example.com:444/v1",
                  "http://api.example.com/v1", "https://api.example.com/v10"):  # fmt: skip
        assert settle({"base_url": other}).api_key is None


@pytest.mark.parametrize(
    "upper",
    [{"base_url": "https://b.example/v1"}, {"api_key": KEY}, {"provider": "groq"}],
)
def test_an_endpoint_of_the_call_leaves_a_configured_client(upper):
    lf.configure(
        client=openai.AsyncOpenAI(api_key="sk-theirs-123", base_url="https://a.example/v1")
    )
    found = settle(upper)
    assert found.client is None
    assert found.api_key == upper.get("api_key")


def test_a_client_of_the_call_leaves_the_configured_provider_and_key():
    client = openai.AsyncOpenAI(api_key="sk-theirs-123", base_url="https://a.example/v1")
    lf.configure(provider="deepseek", api_key=KEY)
    found = settle({"client": client})
    assert found.client is client
    assert (found.provider, found.api_key, found.base_url) == (None, None, None)


@pytest.mark.parametrize("host", ["a..b.invalid", "a" * 64 + ".invalid"])
def test_a_host_that_cannot_be_one_is_a_plan_error(host):
    with pytest.raises(PlanError, match="base_url"):
        lf.configure(base_url=f"https://{host}/v1")
