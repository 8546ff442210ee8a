"""Options: their defaults, and what ``configure`` set.

Precedence: the call, then ``configure``, then the provider's entry, then the environment.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.option_rules import CHECKS, SECRET, URL_IS, fits, is_url, plain
from llmframe.plainly import told_plainly
from llmframe.presets import PRESETS, preset_of, provider_name
from llmframe.secret import hide_secrets, mask_key
from llmframe.variables import AZURE_ENDPOINT, BASE_URL, Found, find_variable

OPENAI_URL = "https://api.openai.com/v1"
LONGEST = 80  # characters of a value that are printed
ENDPOINT = ("provider", "base_url", "api_key", "client")


class Options(TypedDict, total=False):
    """The options of every call, as type checkers see them; see Settings for their meaning."""

    model: str | None
    provider: str | None
    base_url: str | None
    api_key: str | None
    client: Any
    allow_http: bool
    instructions: str
    temperature: float | None
    seed: int | None
    max_output_tokens: int | None
    max_input_tokens: int | None
    on_long: Literal["fail", "truncate"]
    extra_body: Mapping[str, Any] | None
    redact: Callable[[str], str] | None
    concurrency: int | Literal["auto"]
    rpm: float | None
    tpm: float | None
    timeout: float
    deadline: float | None
    max_attempts: int
    hedge: bool
    max_cost: float | None
    max_tokens: int | None
    prices: tuple[float, float] | Mapping[str, float] | None
    checkpoint: bool | str | os.PathLike[str]
    reuse: bool
    id: Hashable | None
    adopt: bool
    store_input: bool
    prefix: str
    into: str
    overwrite: bool
    details: bool
    confidence: Literal["logprob"] | None
    progress: Literal["auto", "widget", "tqdm", "log"] | bool
    runner: Literal["auto", "thread", "nest"]
    on_error: Literal["keep", "raise"]
    on_incomplete: Literal["return", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options of one call with their defaults.

    Endpoint
        provider: "openai", "azure", "deepseek", "openrouter", "together", "groq", "mistral",
            "ollama", "vllm", "lmstudio" or "llama.cpp" sets base_url, the key's variable and
            more, all to be overridden; "local" starts a small model on this machine.
        model: the model's name at the endpoint; with "local" "smollm2" or the path of a GGUF
            file. base_url: root of an OpenAI-compatible API, with its ``/v1``; else
            OPENAI_BASE_URL. api_key: else the endpoint's variable. Both are looked for in the
            environment, then in a ``.env`` file; an address that only the file names gets no
            key of the environment.
        client: an ``AsyncOpenAI``, or a callable that returns one, called on the loop that
            uses it; it knows its address, so a base_url beside it can only be the same.
            allow_http: no warning for a key sent over plain http.
    Prompt
        instructions: what to do with each record. temperature, seed: None lets 0 be sent and
            no seed. max_output_tokens: tokens, of one answer. max_input_tokens: tokens of one
            row's text, reckoned as a quarter of its UTF-8 bytes; on_long: a longer row is
            to "fail" unsent, or to "truncate" its text and be asked. extra_body: further
            parameters of the request. redact: str -> str, over every text before it leaves;
            a row for which it raises fails unsent.
    Speed
        concurrency: requests at once, at most; "auto" finds its own. rpm, tpm: requests and
            tokens a minute; None learns them from the provider. timeout: seconds, one
            attempt. deadline: seconds, one row, waiting for the provider not counted.
            max_attempts: requests of one row, refusals by the provider not counted. hedge: at
            the end, ask rows that are later than 95 % once more; the first answer wins.
    Money
        max_cost, max_tokens: stop before more is spent, in the currency of the prices, or in
            tokens in and out; what is in flight still comes back. prices: per million tokens
            (in, out); else those that the package genai-prices knows, if it is installed.
    Keeping
        checkpoint: True for ``.llmframe/<task>.jsonl`` here, a path, or False; a path's file
            takes over what the default one gives. One that ends in ``.db`` is a SQLite file, for
            many processes that write at once. reuse: take answers from it. id: a column kept in
            it. adopt: take over a file of plain ``{"id": ..., field: ...}`` lines, needs id.
            store_input: keep the texts, too.
    Columns
        prefix: put before every new column's name. into: the column of a single field.
        overwrite: replace columns that llmframe did not write. details: add llm_attempts,
            llm_tokens_in, llm_tokens_out, llm_cost, llm_seconds and llm_raw.
    Trust
        confidence: "logprob" adds a column ``<field>_confidence`` behind each closed choice: the
            probability that the model gave to the label, missing where the endpoint does not
            tell. It ranks answers by doubt; how often a 0.9 is right must be measured.
    Running
        progress: "auto", "widget", "tqdm", "log" or False. runner: "auto" and "thread" run
            on a loop of llmframe's own, "nest" on the notebook's. on_error: "raise" stops at
            the first row that fails for good. on_incomplete: "raise" makes a stopped run an
            error, so that Run All does not export half a table.

    given: the options that somebody has set, if only to their defaults; no option itself.
    """

    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    client: Any = None
    allow_http: bool = False
    instructions: str = ""
    temperature: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    max_input_tokens: int | None = None
    on_long: Literal["fail", "truncate"] = "fail"
    extra_body: Mapping[str, Any] | None = None
    redact: Callable[[str], str] | None = None
    concurrency: int | Literal["auto"] = "auto"
    rpm: float | None = None
    tpm: float | None = None
    timeout: float = 60.0
    deadline: float | None = None
    max_attempts: int = 5
    hedge: bool = False
    max_cost: float | None = None
    max_tokens: int | None = None
    prices: tuple[float, float] | Mapping[str, float] | None = None
    checkpoint: bool | str | os.PathLike[str] = True
    reuse: bool = True
    id: Hashable | None = None
    adopt: bool = False
    store_input: bool = False
    prefix: str = ""
    into: str = "label"
    overwrite: bool = False
    details: bool = False
    confidence: Literal["logprob"] | None = None
    progress: Literal["auto", "widget", "tqdm", "log"] | bool = "auto"
    runner: Literal["auto", "thread", "nest"] = "auto"
    on_error: Literal["keep", "raise"] = "keep"
    on_incomplete: Literal["return", "raise"] = "return"
    given: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Only what differs from the defaults, the key masked."""
        return f"Settings({_shown({name: getattr(self, name) for name in DEFAULTS})})"


DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Settings) if f.name != "given"}


class Configuration(Mapping[str, Any]):
    """What ``configure`` has set; printing it masks the key."""

    def __init__(self, values: Mapping[str, Any], left: str | None = None) -> None:
        self._values = dict(values)
        self._left = left  # the provider that another address has left behind

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        told = "; ".join(self._told())
        return f"lf.configure({_shown(self._values)})" + (f"  # {told}" if told else "")

    def _told(self) -> Iterator[str]:
        """What is to be known beside the values."""
        preset = PRESETS.get(self._values.get("provider") or "")
        if self._left is not None:
            yield f"base_url= leaves {PRESETS[self._left].title}, its key and what it sets"
        if preset is None:
            return
        if sets := _shown(preset.defaults(self._values)):
            yield f"{preset.title} sets {sets}"
        if preset.variable and not self._values.get("api_key"):
            found = find_variable(preset.variable)
            unset = "" if found or preset.keyless else ", which is not set"
            yield f"key: {found.source if found else preset.variable}{unset}"


_configured: dict[str, Any] = {}


@told_plainly
def configure(*, reset: bool = False, **defaults: Any) -> Configuration:
    """Set defaults for every later call of this process.

    defaults: any option of ``tag``, such as ``provider=``, ``model=``, ``api_key=``.
    reset: forget what was set before. Returns all that is set now; printed it masks the key,
    and says what the provider's entry sets beside it. Another endpoint than before takes
    nothing over from it, its key least of all.
    Raises PlanError for an unknown option or a value that cannot be right.
    """
    global _configured
    defaults = _checked(defaults)
    lower = {} if reset else dict(_configured)
    values = _laid_over(lower, defaults)
    _configured = values  # at once: other threads settle their calls by it
    stays = "provider" in values or "provider" in defaults
    return Configuration(values, left=None if stays else lower.get("provider"))


def settle(given: Mapping[str, Any], *, without: Collection[str] = ()) -> Settings:
    """The options of one call: what it gives, else what is configured, else the defaults.

    without: options that the call does not take; they keep their defaults, whatever is
    configured for other calls. Raises PlanError for an unknown option or a wrong value.
    """
    merged = _laid_over(_configured, _checked(given))
    taken = {name: value for name, value in merged.items() if name not in without}
    return Settings(**taken, given=frozenset(taken))


def _checked(layer: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of options in plain Python, the key masked: first of all, as they are compared.

    Raises PlanError for an unknown option, or a value that cannot be right.
    """
    check_names(layer)
    values = {name: plain(name, value) for name, value in layer.items()}
    mask_key(values)
    for name, value in values.items():
        if not fits(name, value):
            wanted = CHECKS[name][1]
            raise PlanError(f"{name}={_echo(name, layer[name])} cannot be; it takes {wanted}")
    return values


def _laid_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of options over another.

    An endpoint is one thing: where the upper names another one, nothing of the lower's is
    left, least of all its key; nor its model, where the upper names a provider.
    A provider where everybody has an address of their own is not left by telling it.
    """
    values = dict(lower)
    if "provider" in upper:
        upper = {**upper, "provider": provider_name(upper["provider"])}
    if _moves(lower, upper):
        if "provider" in upper and any(lower.get(name) for name in ENDPOINT):
            values.pop("model", None)
        for name in set(ENDPOINT) - _kept(lower, upper):
            values.pop(name, None)
    return values | dict(upper)


def _kept(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> set[str]:
    """What of the endpoint stays where the upper names an address."""
    preset = PRESETS.get(lower.get("provider") or "")
    if preset is None or preset.base_url or not preset.hosts or "provider" in upper:
        return set()
    if preset_of(str(upper.get("base_url") or "")) not in (None, preset):
        return set()
    had_one = lower.get("base_url") or find_variable(AZURE_ENDPOINT)
    return {"provider"} if had_one else {"provider", "api_key"}


def _moves(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> bool:
    """Whether the upper layer names another endpoint than the lower."""
    if upper.get("provider", lower.get("provider")) != lower.get("provider"):
        return True
    if lower.get("client") is not None and any(upper.get(name) for name in ENDPOINT):
        return True  # a client knows its own address and key
    if upper.get("client") is not None:
        return True
    if "base_url" not in upper:
        return False
    return not is_same_endpoint(*(_meant(layer.get("base_url"), lower) for layer in (upper, lower)))


def _meant(base_url: str | None, layer: Mapping[str, Any]) -> str:
    """The address that is meant where this one, or none, is given."""
    preset = PRESETS.get(layer.get("provider") or "")
    if base_url:
        return base_url
    return preset.base_url if preset is not None else default_address().value


def is_same_endpoint(one: str, other: str) -> bool:
    """Whether two addresses are of one endpoint.

    One that is a part of the other is: with its /v1, and without. A login is no part of it.
    """
    there, here = map(_alike, (one, other))
    return there.startswith(here) or here.startswith(there)


def _alike(base_url: str) -> str:
    """An address without what may be written otherwise; it ends in a slash."""
    parts = urlsplit(base_url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/')}/"


def default_address() -> Found:
    """The endpoint that is used where none is named, as in the SDK, and where that stands."""
    found = find_variable(BASE_URL) or Found(OPENAI_URL)
    if not is_url(found.value):
        raise PlanError(f"{found.source} is {hide_secrets(found.value)!r}; it takes {URL_IS}")
    return found


def check_names(given: Mapping[str, Any]) -> None:
    """PlanError for an option that does not exist, with the nearest that does."""
    for name in given:
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, n=3)
            hint = (
                f"; did you mean {' or '.join(near)}?"
                if near
                else f"; there are {', '.join(DEFAULTS)}"
            )
            raise PlanError(f"there is no option {name!r}{hint}")


def _echo(name: str, value: object) -> str:
    """A wrong value, for people; of a wrong key or client no more than what it is."""
    if name in SECRET and isinstance(value, str):
        return "***" if value.strip() else '""'
    if name in SECRET:
        return type(value).__name__
    try:
        told = repr(hide_secrets(value))
    except Exception:  # noqa: BLE001 - a stranger's repr, a huge int, a dict that holds itself
        return type(value).__name__
    return type(value).__name__ if "\n" in told else _cut(told)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _shown(values: Mapping[str, Any]) -> str:
    changed = {name: value for name, value in values.items() if value != DEFAULTS[name]}
    return ", ".join(f"{name}={_printed(name, value)}" for name, value in changed.items())


def _printed(name: str, value: Any) -> str:
    if name in SECRET:
        return "***"
    if name == "instructions":
        value = _cut(value)
    return repr(hide_secrets(value))
