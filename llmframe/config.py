"""Options: their defaults, what ``configure`` set, and where the key comes from.

Precedence: the call, then ``configure``, then the environment.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.plainly import told_plainly
from llmframe.secret import Key, hide_secrets, mask_key

OPENAI_URL = "https://api.openai.com/v1"
KEYLESS = "no-key-needed"  # what a server on this machine gets where no key is known

KEY_VARIABLES = {
    "api.openai.com": "OPENAI_API_KEY",
    "api.deepseek.com": "DEEPSEEK_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
    "api.groq.com": "GROQ_API_KEY",
    "api.mistral.ai": "MISTRAL_API_KEY",
    "api.together.xyz": "TOGETHER_API_KEY",
}
"""Whose key stands in which variable; other hosts take ``OPENAI_API_KEY`` as the SDK does."""


class Options(TypedDict, total=False):
    """The options of every call, as type checkers see them; see Settings for their meaning."""

    model: str | None
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
        model: the model's name at the endpoint. base_url: root of an OpenAI-compatible API,
            with its ``/v1``. api_key: else the endpoint's variable in the environment.
        client: an ``AsyncOpenAI``, or a callable that returns one, called on the loop that
            uses it. allow_http: no warning for a key sent over plain http.
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
        checkpoint: True for ``.llmframe/<task>.jsonl`` here, a path, or False; a path that
            ends in ``.db`` is a SQLite file, for many processes that write at once. reuse:
            take answers from it. id: a column kept in it. adopt: take over a file of plain
            ``{"id": ..., field: ...}`` lines, needs id. store_input: keep the texts, too.
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
    """

    model: str | None = None
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

    def __repr__(self) -> str:
        """Only what differs from the defaults, the key masked."""
        return f"Settings({_shown({f.name: getattr(self, f.name) for f in fields(self)})})"


DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


class Configuration(Mapping[str, Any]):
    """What ``configure`` has set; printing it masks the key."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"llmframe.configure({_shown(self._values)})"


_configured: dict[str, Any] = {}


@told_plainly
def configure(*, reset: bool = False, **defaults: Any) -> Configuration:
    """Set defaults for every later call of this process.

    defaults: any option of ``tag``, such as ``model=``, ``base_url=``, ``api_key=``.
    reset: forget what was set before. Returns all that is set now; printing it masks the key.
    Raises PlanError for an unknown option or a value that cannot be right.
    """
    check_names(defaults)
    values = {} if reset else dict(_configured)
    if "base_url" in defaults and "api_key" not in defaults:
        values.pop("api_key", None)  # a key belongs to the endpoint it was given for
    values |= defaults
    check_values(Settings(**values))
    _configured.clear()
    _configured.update(values)
    return Configuration(_configured)


def settle(given: Mapping[str, Any]) -> Settings:
    """The options of one call: what it gives, else what is configured, else the defaults.

    Raises PlanError for an unknown option, a wrong value, or when no model is named.
    """
    check_names(given)
    merged = {**_configured, **given}
    mask_key(merged)
    if not _same_endpoint(given):
        merged["api_key"] = None
    settings = Settings(**merged)
    check_values(settings)
    return settings


def _same_endpoint(given: Mapping[str, Any]) -> bool:
    """Whether the configured key belongs to the endpoint of this call."""
    if "api_key" in given or "base_url" not in given:
        return True
    configured = _configured.get("base_url") or default_url()
    return (given["base_url"] or default_url()).rstrip("/") == str(configured).rstrip("/")


def default_url() -> str:
    """The endpoint that is used where none is named, as in the SDK."""
    url = os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    if not _is_url(url):
        raise PlanError(
            f"the environment variable OPENAI_BASE_URL is {hide_secrets(url)!r}; it takes {_URL_IS}"
        )
    return url


def find_key(base_url: str, *, needed: bool) -> Key:
    """The key of an endpoint from the environment.

    needed: without one there is a PlanError naming the variable that was looked for.
    """
    host = urlsplit(base_url).hostname or ""
    variable = KEY_VARIABLES.get(host, "OPENAI_API_KEY")
    key = os.environ.get(variable, "").strip()
    if key and not _is_sendable_key(key):
        raise PlanError(f"the environment variable {variable} holds no API key: {_KEY_IS}")
    if key:
        return Key(key)
    if needed:
        raise PlanError(
            f"no API key for {host}: give api_key=, or set the environment variable {variable}. "
            "In a notebook: import getpass, llmframe; "
            "llmframe.configure(api_key=getpass.getpass()). A server on this machine needs none: "
            'base_url="http://localhost:.../v1"'
        )
    return Key(KEYLESS)


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


def check_values(settings: Settings) -> None:
    """PlanError for a value that cannot be right."""
    for name, (fits, wanted) in _CHECKS.items():
        value = getattr(settings, name)
        if not fits(value):
            shown = type(value).__name__ if name in _SECRET else repr(hide_secrets(value))
            raise PlanError(f"{name}={shown} cannot be; it takes {wanted}")


def _shown(values: Mapping[str, Any]) -> str:
    changed = {name: value for name, value in values.items() if value != DEFAULTS[name]}
    return ", ".join(
        f"{n}={'***' if n in _SECRET else repr(hide_secrets(v))}" for n, v in changed.items()
    )


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object, above: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > above


def _are_prices(value: object) -> bool:
    """A pair of numbers, or a dict of them by "in" and "out"."""
    if isinstance(value, Mapping):
        value = (value.get("in"), value.get("out"), *(set(value) - {"in", "out"}))
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(v == 0 or _is_number(v, 0) for v in value)
    )


def _is_json_object(value: object) -> bool:
    plain = dict(value) if isinstance(value, Mapping) else object()
    try:
        json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_text(value: object) -> bool:
    """Text that can be sent and written: without half a character (a lone surrogate)."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _is_sendable_key(value: object) -> bool:
    """Whether it can stand in a header."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def _is_url(value: object) -> bool:
    """The root of an API: a password in it would stand in messages, and a query be lost."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


_URL_IS = (
    'the root of an API, such as "https://api.openai.com/v1", without a user name or password '
    "and without ? and #; such things go into client=AsyncOpenAI(...)"
)
_KEY_IS = "it takes visible ASCII characters only"
_SECRET = frozenset({"api_key", "client"})
_BOOL = (lambda v: isinstance(v, bool), "True or False")
_TEXT = (lambda v: isinstance(v, str), "text")
_Check = tuple[Callable[[Any], bool], str]
_CHECKS: dict[str, _Check] = {
    "model": (lambda v: v is None or (_is_text(v) and bool(v.strip())), "a model's name"),
    "base_url": (lambda v: v is None or _is_url(v), _URL_IS),
    "api_key": (
        lambda v: v is None or _is_sendable_key(v),
        "text of visible ASCII characters, or None",
    ),
    "allow_http": _BOOL,
    "instructions": _TEXT,
    "temperature": (lambda v: v is None or v == 0 or _is_number(v, 0), "a number from 0, or None"),
    "seed": (lambda v: v is None or isinstance(v, int), "a whole number, or None"),
    "max_output_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "max_input_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "on_long": (lambda v: v in ("fail", "truncate"), '"fail" or "truncate"'),
    "extra_body": (lambda v: v is None or _is_json_object(v), "a dict that JSON can hold, or None"),
    "redact": (lambda v: v is None or callable(v), "a function of one text, or None"),
    "concurrency": (lambda v: v == "auto" or _is_int(v, 1), 'a number from 1, or "auto"'),
    "rpm": (lambda v: v is None or _is_number(v, 0), "requests a minute above 0, or None"),
    "tpm": (lambda v: v is None or _is_number(v, 0), "tokens a minute above 0, or None"),
    "max_cost": (lambda v: v is None or _is_number(v, 0), "money above 0, or None"),
    "max_tokens": (lambda v: v is None or _is_int(v, 1), "a number of tokens, or None"),
    "prices": (
        lambda v: v is None or _are_prices(v),
        "two numbers, per million tokens in and out, or None",
    ),
    "timeout": (lambda v: _is_number(v, 0), "seconds above 0"),
    "deadline": (lambda v: v is None or _is_number(v, 0), "seconds above 0, or None"),
    "max_attempts": (lambda v: _is_int(v, 1), "a number from 1"),
    "checkpoint": (lambda v: isinstance(v, bool | str | os.PathLike), "True, False or a path"),
    "hedge": _BOOL,
    "reuse": _BOOL,
    "adopt": _BOOL,
    "store_input": _BOOL,
    "prefix": (_is_text, "text that can be written (no lone surrogate)"),
    "into": (lambda v: isinstance(v, str) and bool(v.strip()), "a column's name"),
    "overwrite": _BOOL,
    "details": _BOOL,
    "confidence": (lambda v: v in (None, "logprob"), '"logprob" or None'),
    "progress": (
        lambda v: v in ("auto", "widget", "tqdm", "log", True, False),
        '"auto", "widget", "tqdm", "log" or False',
    ),
    "runner": (lambda v: v in ("auto", "thread", "nest"), '"auto", "thread" or "nest"'),
    "on_error": (lambda v: v in ("keep", "raise"), '"keep" or "raise"'),
    "on_incomplete": (lambda v: v in ("return", "raise"), '"return" or "raise"'),
}
