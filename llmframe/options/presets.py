"""What is known of providers: a table of facts that only set defaults and save tries.

Naming a provider (``provider="deepseek"``) sets what nobody has set otherwise: the address,
where the key stands, a model where a name stays good. What it lacks is known beforehand, so
that no request is wasted on finding out; an address that is known is told by its host.
An endpoint that is not in the table needs no entry: what it understands is found out.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One provider.

    title: its name for people. base_url: root of its API; "" where everybody has their own.
    hosts: by which its addresses are known; a leading dot stands for any subdomain.
    port: by which a server on this machine is known. variable: holds its key. keyless: it
    asks for none unless it is told to. model: a name that stays good while models change, or
    None. extra_body: sent with that model. max_output_tokens, timeout: where an endless
    answer is likely, or a slow one. at_once: requests to begin with, of a server that works
    on a few. rpm: requests a minute by the end of a model's name, as documented. seed_name:
    what its seed is called. priced_as: the address that price lists know it by, where that is
    another. note: what else to know.
    """

    name: str
    title: str
    base_url: str = ""
    hosts: tuple[str, ...] = ()
    port: int | None = None
    variable: str = ""
    keyless: bool = False
    model: str | None = None
    extra_body: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    timeout: float | None = None
    at_once: int | None = None
    rpm: Mapping[str, float] = field(default_factory=dict)
    seed_name: str = "seed"
    priced_as: str = ""
    lacks: frozenset[Lack] = frozenset()
    note: str = ""

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What it sets among the options that nobody has given; given: the options so far."""
        wanted: dict[str, Any] = {"base_url": self.base_url or None, "model": self.model}
        wanted["max_output_tokens"] = self.max_output_tokens
        wanted["timeout"] = self.timeout
        if given.get("model") in (None, self.model):
            wanted["extra_body"] = self.extra_body
        model = str(given.get("model") or self.model or "")
        wanted["rpm"] = next((n for end, n in self.rpm.items() if model.endswith(end)), None)
        return {n: v for n, v in wanted.items() if v is not None and not _stands(n, given)}


def _stands(name: str, given: Mapping[str, Any]) -> bool:
    """Whether an option was set; None is a value too, but no address and no model."""
    return name in given and (given[name] is not None or name not in ("base_url", "model"))


def _presets(*presets: Preset) -> dict[str, Preset]:
    return {preset.name: preset for preset in presets}


PRESETS = _presets(
    Preset(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        hosts=("api.openai.com",),
        variable="OPENAI_API_KEY",
    ),
    Preset(
        name="azure",
        title="Azure OpenAI",
        hosts=(".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        variable="AZURE_OPENAI_API_KEY",
        note="model= is the deployment's name",
    ),
    Preset(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        hosts=("api.deepseek.com",),
        variable="DEEPSEEK_API_KEY",
        model="deepseek-flash",
        extra_body={"thinking": {"type": "disabled"}},  # on by default, it costs ten times as much
        lacks=frozenset({"json_schema", "max_completion_tokens", "rate-limit headers"}),
        note="what is no JSON comes as blanks, and is asked for once more",
    ),
    Preset(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        hosts=("openrouter.ai",),
        variable="OPENROUTER_API_KEY",
        rpm={":free": 20.0},
        note="it tells what each request really costs",
    ),
    Preset(
        name="together",
        title="Together AI",
        base_url="https://api.together.ai/v1",
        hosts=("api.together.ai", "api.together.xyz"),
        variable="TOGETHER_API_KEY",
        priced_as="https://api.together.xyz/v1",
    ),
    Preset(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        hosts=("api.groq.com",),
        variable="GROQ_API_KEY",
        lacks=frozenset({"logprobs"}),
    ),
    Preset(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        hosts=("api.mistral.ai",),
        variable="MISTRAL_API_KEY",
        model="mistral-small-latest",
        seed_name="random_seed",
        lacks=frozenset({"max_completion_tokens"}),
    ),
    Preset(
        name="ollama",
        title="Ollama",
        base_url="http://localhost:11434/v1",
        port=11434,
        variable="OLLAMA_API_KEY",
        keyless=True,
        at_once=4,
        lacks=frozenset({"max_completion_tokens", "429", "rate-limit headers"}),
        note="it works on OLLAMA_NUM_PARALLEL requests at once, the others wait in line",
    ),
    Preset(
        name="vllm",
        title="vLLM",
        base_url="http://localhost:8000/v1",
        variable="VLLM_API_KEY",
        keyless=True,
        lacks=frozenset({"429", "rate-limit headers"}),
        note="it queues what its GPU cannot take",
    ),
    Preset(
        name="lmstudio",
        title="LM Studio",
        base_url="http://localhost:1234/v1",
        port=1234,
        keyless=True,
        at_once=4,
        lacks=frozenset({"json_object", "max_completion_tokens", "429", "rate-limit headers"}),
    ),
    Preset(
        name="llama.cpp",
        title="llama.cpp",
        base_url="http://localhost:8080/v1",
        variable="LLAMA_API_KEY",
        keyless=True,
        at_once=4,
        lacks=frozenset({"429", "rate-limit headers"}),
        note="a prompt longer than a slot's context is refused: llama-server -c",
    ),
    Preset(
        name="local",
        title="a local model",
        keyless=True,
        model="smollm2",
        max_output_tokens=256,  # so small a model may never end
        timeout=300.0,
        lacks=frozenset({"429", "rate-limit headers"}),
        note="llama.cpp's server, started by llmframe on this machine",
    ),
)
"""By name. Read in the providers' own documentation and threads in November 2026."""

_ALIASES = {"azureopenai": "azure", "togetherai": "together"}


def _plain(name: str) -> str:
    """A name without what people write differently: case, dots, dashes and blanks."""
    return re.sub(r"[\W_]+", "", name.casefold())


_BY_PLAIN = {**{_plain(name): name for name in PRESETS}, **_ALIASES}


def provider_name(given: object) -> str | None:
    """A provider's name as the table has it; PlanError with the nearest for any other."""
    if given is None:
        return None
    found = _BY_PLAIN.get(_plain(given)) if isinstance(given, str) else None
    if found is not None:
        return found
    near = difflib.get_close_matches(_plain(str(given)), _BY_PLAIN, n=2)
    names = [_BY_PLAIN[name] for name in near] or list(PRESETS)
    *others, last = map(repr, names)
    listed = f"{', '.join(others)} or {last}" if others else last
    hint = f"did you mean {listed}?" if near else f"there are {listed}."
    raise PlanError(
        f"there is no provider {given!r}; {hint} Any other OpenAI-compatible endpoint is given by "
        'base_url="https://.../v1"'
    )


def preset_of(base_url: str) -> Preset | None:
    """The provider that an address is known to be of."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    for preset in PRESETS.values():
        if any(
            host == known or (known[0] == "." and host.endswith(known)) for known in preset.hosts
        ):
            return preset
        if preset.port is not None and host in HERE and _port(base_url) == preset.port:
            return preset
    return None


def _port(base_url: str) -> int | None:
    try:
        return urlsplit(base_url).port
    except ValueError:
        return None
