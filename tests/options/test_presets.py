"""The table of providers: names, what an entry sets, and by what an address is known."""

from __future__ import annotations

import re

import pytest

from llmframe.errors import PlanError
from llmframe.options.presets import PRESETS, preset_of, provider_name
from llmframe.options.settings import DEFAULTS
from llmframe.providers.address import endpoint_identity

NOTHING: dict[str, object] = {}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("deepseek", "deepseek"), ("DeepSeek", "deepseek"), ("llama.cpp", "llama.cpp"),
        ("llamacpp", "llama.cpp"), ("llama-cpp", "llama.cpp"), ("LM Studio", "lmstudio"),
        ("azure-openai", "azure"), ("Together AI", "together"), (None, None),
        ("DashScope", "qwen"), ("kimi", "moonshot"), ("GLM", "zhipu"), ("Z.ai", "zai"),
        ("SiliconFlow", "siliconflow"), ("Google", "gemini"), ("Claude", "anthropic"),
        ("Kimi intl", "moonshot-intl"),
    ],
)  # fmt: skip
def test_a_name_is_found_however_it_is_written(written, name):
    assert provider_name(written) == name


@pytest.mark.parametrize(
    ("written", "near"), [("depseek", "'deepseek'"), ("olama", "'ollama'"), ("lokal", "'local'")]
)
def test_an_unknown_provider_names_the_nearest(written, near):
    with pytest.raises(PlanError, match=f"no provider {written!r}; did you mean {near}"):
        provider_name(written)


@pytest.mark.parametrize("written", ["zzzzzz", 7, ""])
def test_a_provider_that_resembles_nothing_lists_all_and_says_that_none_is_needed(written):
    with pytest.raises(
        PlanError, match=r"there are 'openai', 'azure', .* or 'local'\. Any.*base_url="
    ):
        provider_name(written)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_an_entry_is_in_order(preset):
    assert PRESETS[preset.name] is preset
    assert preset.title
    assert not preset.base_url or re.fullmatch(
        r"https?://[^/]+/\S*(v1|v4|v1beta/openai)", preset.base_url
    )
    assert re.fullmatch(r"([A-Z_]+_KEY)?", preset.variable)
    assert re.fullmatch(r"([A-Z_]+_KEY)?", preset.other_variable)
    assert preset.extra_body is None or preset.model
    assert set(preset.defaults(NOTHING)) <= set(DEFAULTS)


def test_an_entry_sets_only_what_nobody_has_set():
    preset = PRESETS["deepseek"]
    assert preset.defaults(NOTHING) == {
        "base_url": "https://api.deepseek.com/v1",
        "model": "deepseek-flash",
        "extra_body": {"thinking": {"type": "disabled"}},
    }
    given = {"base_url": "https://x/v1", "model": "deepseek-v4-pro"}
    assert preset.defaults(given) == {}  # the extra parameter belongs to the model that it sets
    assert preset.defaults({"extra_body": {}})["model"] == "deepseek-flash"
    assert preset.defaults({"base_url": None, "model": None}) == preset.defaults(NOTHING)


def test_a_documented_limit_holds_for_the_models_that_it_is_documented_for():
    preset = PRESETS["openrouter"]
    assert preset.defaults({"model": "x/y:free"})["rpm"] == 20.0
    assert "rpm" not in preset.defaults({"model": "x/y"})
    assert "rpm" not in preset.defaults({"model": "x/y:free", "rpm": 5.0})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.together.xyz/v1", "together"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen-intl"),
        ("https://open.bigmodel.cn/api/paas/v4", "zhipu"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://api.moonshot.ai/v1", "moonshot-intl"),
        ("https://api.siliconflow.com/v1", "siliconflow-intl"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini"),
        ("https://api.anthropic.com/v1/", "anthropic"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://127.0.0.1:1234/v1", "lmstudio"),
        ("http://127.0.0.1:8000/v1", None),  # anything may listen there
        ("http://10.0.0.1:11434/v1", None),
        ("https://gateway.example/v1", None),
        ("https://evil-api.deepseek.com.example/v1", None),
        ("https://notopenai.azure.com/v1", None),
    ],
)
def test_an_address_is_known_by_its_host_or_its_own_port(url, name):
    preset = preset_of(url)
    assert (preset.name if preset else None) == name


@pytest.mark.parametrize(
    "preset", [preset for preset in PRESETS.values() if preset.other_site], ids=lambda one: one.name
)
def test_two_sites_of_a_provider_name_each_other_and_are_two_endpoints(preset):
    other = PRESETS[preset.other_site]
    assert PRESETS[other.other_site] is preset
    assert endpoint_identity(preset.base_url) != endpoint_identity(other.base_url)
