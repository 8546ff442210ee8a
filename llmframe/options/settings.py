"""Options: their defaults, and what ``configure`` set.

Precedence: the call, then ``configure``, then the provider's entry, then the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from llmframe.options.rules import SECRET
from llmframe.secret import hide_secrets
from llmframe.text import cut

LONGEST = 80  # characters of a value that are printed


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
            takes over what the default one gives. reuse: take answers from it. id: a
            column kept in it. adopt: take over a file of plain ``{"id": ..., field: ...}``
            lines, needs id. store_input: keep the texts, too.
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


def _shown(values: Mapping[str, Any]) -> str:
    changed = {name: value for name, value in values.items() if value != DEFAULTS[name]}
    return ", ".join(f"{name}={_printed(name, value)}" for name, value in changed.items())


def _printed(name: str, value: Any) -> str:
    if name in SECRET:
        return "***"
    if name == "instructions":
        value = cut(value, LONGEST)
    return repr(hide_secrets(value))
