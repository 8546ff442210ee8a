"""Facts about providers, which set defaults and save failed requests.

Naming a provider (``provider="deepseek"``) sets what nobody has set otherwise: the address,
the variable of its key, and a model where one name stays good. An endpoint needs no entry
here: what it understands is found out by asking.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from llmframe.errors import PlanError

Lack = Literal[
    "json_schema",  # refused as a response format
    "json_object",  # the same
    "max_completion_tokens",  # refused, or silently ignored: max_tokens is what it takes
    "logprobs",  # refused
    "429",  # it queues instead of refusing
    "rate-limit headers",
]

HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """What one request for embeddings may hold. texts: how many. tokens: of all of them.

    The defaults are a little below OpenAI's. An endpoint that takes less is found out by asking.
    """

    texts: int = 2048
    tokens: int = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One provider. Options it has no value for are left to the defaults."""

    name: str
    title: str  # for people
    base_url: str = ""  # "" where every customer has an address
    hosts: tuple[str, ...] = ()  # of its addresses; a leading dot stands for any subdomain
    port: int | None = None  # of its server on this machine
    variable: str = ""  # holds the key
    other_variable: str = ""  # read where that one is not set, as the provider's SDK does
    keyless: bool = False  # asks for no key unless it is configured to
    model: str | None = None  # a name that stays good while models change
    extra_body: Mapping[str, Any] | None = None  # sent with that model only
    max_output_tokens: int | None = None  # where an answer may never end
    timeout: float | None = None  # seconds, where it is slow
    slots: int | None = None  # first concurrent requests, for a server that handles only a few
    rpm: Mapping[str, float] = field(default_factory=dict)  # documented; by the model's ending
    seed_name: str = "seed"  # of the parameter
    embeds: EmbeddingLimits = EmbeddingLimits()
    priced_as: str = ""  # the address in price lists, where that is another
    lacks: frozenset[Lack] = frozenset()
    other_site: str = ""  # the provider's name at its other site, which refuses this one's keys
    note: str = ""  # what else people should know

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that may hold its key, in the order in which they are read."""
        return tuple(name for name in (self.variable, self.other_variable) if name)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options that it sets and nobody has given; given: the options so far."""
        model = str(given.get("model") or self.model or "")
        sets: dict[str, Any] = {
            "base_url": self.base_url or None,
            "model": self.model,
            "max_output_tokens": self.max_output_tokens,
            "timeout": self.timeout,
            "extra_body": self.extra_body if model in ("", self.model) else None,
            "rpm": next((rpm for end, rpm in self.rpm.items() if model.endswith(end)), None),
        }

        def is_given(name: str) -> bool:
            # None is a value that a person may choose, but it is no address and no model
            return name in given and (given[name] is not None or name not in ("base_url", "model"))

        return {
            name: value for name, value in sets.items() if value is not None and not is_given(name)
        }


# By name. Read in the providers' own documentation and threads in November 2026; docs/providers.md
# names the source of each fact. Where a provider has two sites with separate accounts, the plain
# name means the one in mainland China, and the other has a name of its own: a key of one site is
# refused by the other.
# fmt: off
PRESETS = {preset.name: preset for preset in (
    Preset(name="openai", title="OpenAI", variable="OPENAI_API_KEY",
        base_url="https://api.openai.com/v1", hosts=("api.openai.com",)),
    Preset(name="azure", title="Azure OpenAI", variable="AZURE_OPENAI_API_KEY",
        hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        note="model= is the deployment's name"),
    Preset(name="deepseek", title="DeepSeek", variable="DEEPSEEK_API_KEY",
        base_url="https://api.deepseek.com/v1", hosts=("api.deepseek.com",),
        model="deepseek-flash",
        extra_body={"thinking": {"type": "disabled"}},  # on by default, it costs ten times as much
        lacks=frozenset({"json_schema", "max_completion_tokens", "rate-limit headers"}),
        note="what is no JSON comes as blanks, and is asked for once more"),
    Preset(name="openrouter", title="OpenRouter", variable="OPENROUTER_API_KEY",
        base_url="https://openrouter.ai/api/v1", hosts=("openrouter.ai",), rpm={":free": 20.0},
        note="it reports what each request really costs"),
    Preset(name="together", title="Together AI", variable="TOGETHER_API_KEY",
        base_url="https://api.together.ai/v1", hosts=("api.together.ai", "api.together.xyz"),
        priced_as="https://api.together.xyz/v1"),
    Preset(name="groq", title="Groq", variable="GROQ_API_KEY",
        base_url="https://api.groq.com/openai/v1", hosts=("api.groq.com",),
        lacks=frozenset({"logprobs"})),
    Preset(name="mistral", title="Mistral", variable="MISTRAL_API_KEY",
        embeds=EmbeddingLimits(512, 14_000),
        base_url="https://api.mistral.ai/v1", hosts=("api.mistral.ai",),
        model="mistral-small-latest", seed_name="random_seed",
        lacks=frozenset({"max_completion_tokens"})),
    Preset(name="gemini", title="Gemini", variable="GEMINI_API_KEY",
        embeds=EmbeddingLimits(100),
        other_variable="GOOGLE_API_KEY",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        hosts=("generativelanguage.googleapis.com",),
        note="its models think before they answer, which is billed as output: "
        'extra_body={"reasoning_effort": "low"} shortens it'),
    Preset(name="anthropic", title="Anthropic", variable="ANTHROPIC_API_KEY",
        base_url="https://api.anthropic.com/v1", hosts=("api.anthropic.com",),
        lacks=frozenset({"json_schema", "json_object", "logprobs"}),  # accepted and ignored
        note="its OpenAI-compatible address ignores response formats, so that JSON is asked for "
        "in the prompt"),
    Preset(name="qwen", title="Qwen (DashScope)", variable="DASHSCOPE_API_KEY",
        embeds=EmbeddingLimits(10),
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        hosts=("dashscope.aliyuncs.com",), model="qwen-flash",
        extra_body={"enable_thinking": False},  # a schema is followed only without thinking
        other_site="qwen-intl"),
    Preset(name="qwen-intl", title="Qwen (DashScope international)", variable="DASHSCOPE_API_KEY",
        embeds=EmbeddingLimits(10),
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        hosts=("dashscope-intl.aliyuncs.com",), model="qwen-flash",
        extra_body={"enable_thinking": False},
        other_site="qwen"),
    Preset(name="zhipu", title="Zhipu", variable="ZHIPUAI_API_KEY",
        embeds=EmbeddingLimits(64),
        base_url="https://open.bigmodel.cn/api/paas/v4", hosts=("open.bigmodel.cn",),
        lacks=frozenset({"json_schema", "max_completion_tokens"}),
        other_site="zai",
        note='most of its models think first: extra_body={"thinking": {"type": "disabled"}} '
        "where the model allows it"),
    Preset(name="zai", title="Z.ai", variable="ZAI_API_KEY",
        embeds=EmbeddingLimits(64),
        base_url="https://api.z.ai/api/paas/v4", hosts=("api.z.ai",),
        lacks=frozenset({"json_schema", "max_completion_tokens"}),
        other_site="zhipu",
        note='most of its models think first: extra_body={"thinking": {"type": "disabled"}} '
        "where the model allows it"),
    Preset(name="moonshot", title="Moonshot (Kimi)", variable="MOONSHOT_API_KEY",
        base_url="https://api.moonshot.cn/v1", hosts=("api.moonshot.cn",),
        other_site="moonshot-intl"),
    Preset(name="moonshot-intl", title="Moonshot (Kimi international)",
        variable="MOONSHOT_API_KEY",
        base_url="https://api.moonshot.ai/v1", hosts=("api.moonshot.ai",),
        other_site="moonshot"),
    Preset(name="siliconflow", title="SiliconFlow", variable="SILICONFLOW_API_KEY",
        embeds=EmbeddingLimits(32),
        base_url="https://api.siliconflow.cn/v1", hosts=("api.siliconflow.cn",),
        lacks=frozenset({"max_completion_tokens"}),
        other_site="siliconflow-intl"),
    Preset(name="siliconflow-intl", title="SiliconFlow international",
        embeds=EmbeddingLimits(32),
        variable="SILICONFLOW_API_KEY",
        base_url="https://api.siliconflow.com/v1", hosts=("api.siliconflow.com",),
        lacks=frozenset({"max_completion_tokens"}),
        other_site="siliconflow"),
    Preset(name="ollama", title="Ollama", variable="OLLAMA_API_KEY", keyless=True,
        base_url="http://localhost:11434/v1", port=11434, slots=4,
        lacks=frozenset({"max_completion_tokens", "429", "rate-limit headers"}),
        note="it handles OLLAMA_NUM_PARALLEL requests concurrently, the others wait in line"),
    Preset(name="vllm", title="vLLM", variable="VLLM_API_KEY", keyless=True,
        base_url="http://localhost:8000/v1",  # no port: anything may listen on 8000
        lacks=frozenset({"429", "rate-limit headers"}),
        note="it queues what its GPU cannot take"),
    Preset(name="lmstudio", title="LM Studio", keyless=True,
        base_url="http://localhost:1234/v1", port=1234, slots=4,
        lacks=frozenset({"json_object", "max_completion_tokens", "429", "rate-limit headers"})),
    Preset(name="llama.cpp", title="llama.cpp", variable="LLAMA_API_KEY", keyless=True,
        base_url="http://localhost:8080/v1", slots=4,
        lacks=frozenset({"429", "rate-limit headers"}),
        note="a prompt longer than a slot's context is rejected: llama-server -c"),
    Preset(name="local", title="a local model", keyless=True, model="smollm2", timeout=300.0,
        embeds=EmbeddingLimits(16),  # this machine may take seconds for each
        max_output_tokens=256,  # so small a model may never end
        lacks=frozenset({"429", "rate-limit headers"}),
        note="llama.cpp's server, started by llmframe on this machine"),
)}
# fmt: on


def _plain(name: str) -> str:
    """A name without what people write differently: case, dots, dashes and blanks."""
    return re.sub(r"[\W_]+", "", name.casefold())


_BY_PLAIN = {_plain(name): name for name in PRESETS} | {
    "azureopenai": "azure",
    "togetherai": "together",
    "google": "gemini",
    "claude": "anthropic",
    "dashscope": "qwen",
    "bailian": "qwen",
    "alibaba": "qwen",
    "dashscopeintl": "qwen-intl",
    "glm": "zhipu",
    "zhipuai": "zhipu",
    "bigmodel": "zhipu",
    "kimi": "moonshot",
    "moonshotai": "moonshot",
    "kimiintl": "moonshot-intl",
    "通义千问": "qwen",
    "通义": "qwen",
    "千问": "qwen",
    "阿里云": "qwen",
    "百炼": "qwen",
    "阿里云百炼": "qwen",
    "智谱": "zhipu",
    "智谱ai": "zhipu",
    "智谱清言": "zhipu",
    "月之暗面": "moonshot",
    "硅基流动": "siliconflow",
    "深度求索": "deepseek",
}
_BY_ADDRESS = dict.fromkeys(
    ("doubao", "豆包", "volcengine", "火山方舟", "火山引擎", "ark", "字节跳动"),
    'base_url="https://ark.cn-beijing.volces.com/api/v3", api_key=os.environ["ARK_API_KEY"], '
    'model="..."',
)
"""Options for endpoints without a preset whose names people know."""


def provider_name(given: object) -> str | None:
    """A provider's name as the table has it; PlanError with the nearest for any other."""
    if given is None:
        return None
    found = _BY_PLAIN.get(_plain(given)) if isinstance(given, str) else None
    if found is not None:
        return found
    if options := _BY_ADDRESS.get(_plain(str(given))):
        raise PlanError(f"{given!r} has no preset; give its address: lf.configure({options})")
    near = difflib.get_close_matches(_plain(str(given)), _BY_PLAIN, n=2)
    names = dict.fromkeys(_BY_PLAIN[name] for name in near)
    *others, last = map(repr, names) if near else map(repr, PRESETS)
    listed = f"{', '.join(others)} or {last}" if others else last
    hint = f"did you mean {listed}?" if near else f"there are {listed}."
    raise PlanError(
        f"there is no provider {given!r}; {hint} Any other OpenAI-compatible endpoint is given by "
        'base_url="https://.../v1", and a model by model='
    )


def preset_of(base_url: str) -> Preset | None:
    """The provider that an address is known to belong to."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = None
    for preset in PRESETS.values():
        for known in preset.hosts:
            if host == known or (known[0] == "." and host.endswith(known)):
                return preset
        if preset.port is not None and preset.port == port and host in HERE:
            return preset
    return None
