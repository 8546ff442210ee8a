"""The options of every call, each declared once: name, type, default, rule, group and words.

To add an option: a line in ``Settings``, and its type in ``Options`` for type checkers. The
check, the error, the signature and the table in ``help()`` are made from these; a test fails
where the two disagree.
"""

# ruff: noqa: RUF009 - a group declares a field, as dataclasses.field does

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict, TypeVar

from llmframe.options import rules
from llmframe.options.presets import PRESETS
from llmframe.options.rules import BOOL, TOKENS, Rule, above_0, one_of
from llmframe.secret import hide_secrets
from llmframe.text import cut

T = TypeVar("T")

LONGEST = 80  # characters of a value that are printed
WIDTH = 84  # characters of a line of the table; help() indents it by four more
NAMES = 26  # characters of the table's first column


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One declared option.

    default: None is accepted where it is the default, and nowhere else.
    doc: what it does, in plain words, with the unit: one line that stands alone, then perhaps more
    on a second. of_endpoint: part of what an endpoint is,
    so that no other endpoint may get it. secret: never printed. by_row: a value for each row is
    accepted. of_frames: it means nothing to a stream. of_one_request: it means something to a
    single small request, too, as all of an endpoint does.
    """

    name: str
    default: Any
    rule: Rule
    group: str
    doc: str
    of_endpoint: bool = False
    secret: bool = False
    by_row: bool = False
    of_frames: bool = False
    of_one_request: bool = False

    @property
    def takes(self) -> str:
        """What it accepts, in words."""
        takes = self.rule.takes
        return takes if self.default is not None or "None" in takes else f"{takes}, or None"

    def accepts(self, value: object) -> bool:
        """True for a value in plain Python that may be right; a whole column never is."""
        try:
            if value is None:
                return self.default is None
            single = self.by_row or rules.is_single(value)
            return single and bool(self.rule.accepts(value))
        except Exception:  # noqa: BLE001 - a foreign ==, bool or length may raise anything
            return False


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together; calling it declares one of them."""

    title: str

    def __call__(self, default: T, rule: Rule, doc: str, **flags: bool) -> T:
        """A field of Settings; typed as its value, as ``dataclasses.field`` is."""
        declared = {"rule": rule, "group": self.title, "doc": doc, **flags}
        return field(default=default, metadata=declared)


endpoint = Group("Endpoint")
prompt = Group("Prompt")
speed = Group("Speed")
money = Group("Money")
keeping = Group("Keeping")
rows = Group("Rows")
columns = Group("Columns")
trust = Group("Trust")
running = Group("Running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options of one call.

    given: names of the options that the call or ``configure`` has set, if only to their defaults.
    """

    # a table: default and rule on the first line, then what the option does: a line for Shift-Tab,
    # and after a line break the rest
    # fmt: off
    model: str | None = endpoint(None, rules.MODEL,
        "the model's name at the endpoint\n"
        'With provider="local": "smollm2", or the path of a GGUF file.')
    provider: str | None = endpoint(None, rules.PROVIDER,
        'whose API: "openai", "deepseek", "ollama", "local", ...\n'
        f"One of {', '.join(PRESETS)}. It sets base_url, where to find the key, and more; "
        '"local" runs a small model on this machine.', of_endpoint=True)
    base_url: str | None = endpoint(None, rules.URL,
        "root of an OpenAI-compatible API, with its /v1\n"
        "None: the provider's, else OPENAI_BASE_URL from the environment or a .env file, else "
        "OpenAI.", of_endpoint=True)
    api_key: str | None = endpoint(None, rules.KEY,
        "the key; None: from the endpoint's own variable\n"
        "Such as OPENAI_API_KEY, in the environment or a .env file. An address that only a .env "
        "file names gets no key from the environment.", of_endpoint=True, secret=True)
    client: Any = endpoint(None, rules.CLIENT,
        "your own AsyncOpenAI, instead of base_url and api_key\n"
        "Or a function that returns one, called on the event loop that uses it.",
        of_endpoint=True, secret=True)
    api: Literal["chat", "responses"] = endpoint("chat", one_of("chat", "responses"),
        '"chat" or "responses": which OpenAI API\n'
        '"chat" asks /v1/chat/completions, "responses" asks /v1/responses; the answers are the '
        "same.", of_endpoint=True)
    service_tier: str | None = endpoint(None, rules.NAME,
        'the provider\'s tier, such as "flex": cheaper and slower\n'
        "Sent with every request; answers are the same, so saved ones are used whatever the "
        "tier. A tier whose price is not known needs prices= where max_cost is given.",
        of_endpoint=True)
    allow_http: bool = endpoint(False, BOOL, "True: no warning when a key is sent over plain http")

    instructions: str = prompt("", rules.TEXT, "what the model should do with each row",
        of_one_request=True)
    examples: list[tuple[Any, Any]] | Any | None = prompt(None, rules.EXAMPLES,
        "texts with their right answers, shown with every request\n"
        "A frame with the input's columns and the fields', or a list of (text, values): values is "
        "a dict of fields, or the value of the only one. A row with the text of an example is not "
        "asked, and has the example's values.", by_row=True)
    pick: Literal["fixed", "balanced"] = prompt("fixed", one_of("fixed", "balanced"),
        '"fixed": all examples; "balanced": as many of each label\n'
        '"balanced" takes the first of each label of the first closed choice, at most four, in '
        "turns.")
    temperature: float | None = prompt(None, rules.NOT_NEGATIVE,
        "randomness, from 0; None: 0, where the model allows it", of_one_request=True)
    seed: int | None = prompt(None, rules.WHOLE,
        "for repeatable answers, where the model supports it", of_one_request=True)
    max_output_tokens: int | None = prompt(None, TOKENS,
        "tokens of one answer, at most; None: the endpoint's limit", of_one_request=True)
    max_input_tokens: int | None = prompt(None, TOKENS,
        "tokens of one text, at most, counted as UTF-8 bytes / 4")
    on_long: Literal["fail", "truncate"] = prompt("fail", one_of("fail", "truncate"),
        'longer texts: "fail" without sending, or "truncate"\n'
        'A text above max_input_tokens: "fail" does not send it, "truncate" sends its beginning.')
    extra_body: Mapping[str, Any] | None = prompt(None, rules.JSON,
        "a dict of further parameters for every request", of_one_request=True)
    redact: Callable[[str], str] | None = prompt(None, rules.FUNCTION,
        "a function str -> str for every text before it is sent\n"
        "Where it raises, the row fails and is not sent.")

    concurrency: int | Literal["auto"] = speed("auto", rules.COUNT_OR_AUTO,
        'requests at the same time, at most; "auto" finds a good number')
    rpm: float | None = speed(None, above_0("requests a minute"),
        "requests a minute, at most; None: learnt from the provider")
    tpm: float | None = speed(None, above_0("tokens a minute"),
        "tokens a minute, at most; None: learnt from the provider")
    timeout: float = speed(60.0, above_0("seconds"), "seconds for one request", of_one_request=True)
    deadline: float | None = speed(None, above_0("seconds"),
        "seconds for one row with all its requests; None: no limit\n"
        "Waiting for the provider does not count.")
    max_attempts: int = speed(5, rules.COUNT,
        "requests for one row, at most\n"
        "Those that are rate-limited (429) do not count.")
    hedge: bool = speed(False, BOOL,
        "True: at the end, ask again for the slowest rows\n"
        "Those slower than 95 % of the others; the first answer counts, both are paid.")
    workers: Literal["thread", "process"] = speed("thread", rules.WORKERS,
        '"thread"; "process": your own functions use all cores\n'
        "redact= and the validators of your own models run beside the requests in a thread, or in "
        "one process for each core: worth it where they take more than a millisecond a row.")

    max_cost: float | None = money(None, above_0("money"),
        "stop before the task costs more, in the prices' currency\n"
        "Earlier calls of the task count, so that a larger limit goes on where a smaller one "
        "ended; requests already sent finish. None: no limit.")
    max_tokens: int | None = money(None, TOKENS,
        "the same limit in tokens, input and output of all rows")
    prices: tuple[float, float] | Mapping[str, float | str] | None = money(None, rules.PRICES,
        'per million tokens: (input, output), or {"in": ..., ...}\n'
        '{"in": ..., "out": ..., "cached": ...}, the last for input that the provider had in its '
        'cache; "batch": the share of all these that a batch costs, 0.5 if you do not say; '
        '"currency": "CNY" names the currency of the amounts that are shown. None: from '
        "the package genai-prices (US dollars), if it is installed.", of_one_request=True)
    mode: Literal["live", "batch"] = money("live", one_of("live", "batch"),
        '"live"; "batch": within 24 hours, at about half the price\n'
        "The requests go to the provider as files (its Batch API). The same call again, in a new "
        "kernel too, finds its batches and goes on; Stop cancels them, an interrupt does not.")
    batch_fallback: Literal["live"] | None = money(None, one_of("live"),
        '"live": what a batch leaves unanswered is asked live\n'
        "At the live price: rows that failed or expired there, and all rows where the endpoint "
        "has no batches. None: they go into another batch.")

    checkpoint: bool | str | os.PathLike[str] = keeping(True, rules.PATH,
        "where answers are saved as they come, so that none is lost\n"
        "True: .llmframe/<task>.jsonl in the working folder. A path: there (the default file is "
        "read too). False: nowhere.")
    reuse: bool = keeping(True, BOOL, "take saved answers; False: ask, and pay, again")
    id: Hashable | None = keeping(None, rules.ID,
        "name of a column whose values are saved with the answers")
    adopt: bool = keeping(False, BOOL,
        "take over a file of your own with answers by id\n"
        'Plain lines {"id": ..., <field>: ...}; needs checkpoint=<path> and id.', of_frames=True)
    store_input: bool = keeping(False, BOOL, "save the text of each row, too")

    where: Any | None = rows(None, rules.MASK,
        "tag only these rows: a mask, or a query such as 'n < 3'\n"
        "All other rows keep the answers and the status that they have. A mask is a boolean for "
        "each row, such as df['stars'] < 3; a query is written as for df.query.", by_row=True,
        of_frames=True)

    extend: bool = rows(False, BOOL,
        "True: ask only for fields without an answer yet\n"
        "A field that this prompt (instructions, description, input) has been answered for keeps "
        "its column as it is, whichever model answered; where no field is new, rows without an "
        "answer are asked for what they lack.", of_frames=True)

    prefix: str = columns("", rules.PREFIX, "put before the name of every new column",
        of_frames=True)
    into: str = columns("label", rules.COLUMN, "the new column, where fields is a single field")
    overwrite: bool = columns(False, BOOL,
        "replace existing columns, even those of your own\n"
        "Those that llmframe wrote and nobody changed are replaced anyway.", of_frames=True)
    details: bool = columns(False, BOOL,
        "add columns: attempts, tokens, cost, seconds, raw answer\n"
        "They are llm_attempts, llm_tokens_in, llm_tokens_cached, llm_tokens_out, llm_cost, "
        "llm_seconds and llm_raw.", of_frames=True)
    explode: Literal["indicator"] | None = columns(None, one_of("indicator"),
        '"indicator": a column True or False for each label\n'
        "Of each list of labels, in place of the list: topics_refund, topics_delivery. Missing "
        "where the row has no answer.", of_frames=True)
    flatten: bool = columns(False, BOOL,
        "True: a column for each value of a nested model\n"
        "Named and typed as it is: customer.name, customer.age. Lists stay lists.", of_frames=True)

    other: str | None = trust(None, rules.LABEL,
        'a label added to every closed choice, such as "other"\n'
        "For rows that none of the labels fits: to each closed choice of texts, and to each list "
        "of labels, that does not have it yet. Where only some of the fields should have it, "
        "write it among their labels instead.")
    abstain: bool = trust(False, BOOL,
        'True: the model may answer "unsure": a missing cell\n'
        "In every closed choice and every list of labels. The cell is missing, its row is ok, and "
        "scores count it as not covered. A choice of numbers is answered with null instead.")
    confidence: Literal["logprob"] | None = trust(None, one_of("logprob"),
        '"logprob": add how sure the model is of each closed choice\n'
        "<field>_confidence after each closed choice, from 0 to 1: the label's share of the "
        "probability of all its labels, where the endpoint gives the alternatives "
        "(top_logprobs). Else the probability of the label's own tokens, which is at most that, "
        'and may be below 0.5 for one of two; the card and attrs["llmframe"] say which. Missing '
        "where the endpoint gives no probabilities. It ranks rows by doubt; how often a 0.9 is "
        "right, you must measure.", of_frames=True)

    votes: Literal[1, 3, "2+1"] = trust(1, rules.VOTES,
        '3 or "2+1": ask again, and say how far the answers agree\n'
        "<field>_agreement after each closed choice: the share of the votes, from 0 to 1, that "
        "have the label that most of them have. Each vote sees the labels in another order and has "
        'a seed of its own. "2+1" asks a third time only where the first two differ: about 2.2 '
        "requests a row. A saved answer is the first vote, and is not paid again.", of_frames=True)

    evidence: bool | str | list[str] = trust(False, rules.EVIDENCE,
        "True or field names: quote the text behind each answer\n"
        "<field>_evidence is the shortest part of the text that carries the answer, as it stands "
        "in your own cell, and <field>_evidence_at where: [begin, end]. A quote that stands "
        "nowhere in the text does not count and is missing.", of_frames=True)

    progress: Literal["auto", "widget", "tqdm", "log"] | bool = running("auto", rules.PROGRESS,
        '"auto", "widget", "tqdm", "log", or False for none at all')
    runner: Literal["auto", "thread", "nest"] = running("auto", one_of("auto", "thread", "nest"),
        '"thread": in the background; "nest": the notebook\'s loop\n'
        '"auto" is "thread".', of_frames=True)
    on_error: Literal["keep", "raise"] = running("keep", one_of("keep", "raise"),
        'a row fails for good: "keep" the others going, or "raise"')
    on_incomplete: Literal["return", "raise"] = running("return", one_of("return", "raise"),
        'a run was stopped: "return" the frame and warn, or "raise"\n'
        'With "raise", Run All does not export half a table.', of_frames=True)
    # fmt: on
    given: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Only what differs from the defaults, the key masked."""
        return f"Settings({shown({name: getattr(self, name) for name in OPTIONS})})"


class Options(TypedDict, total=False):
    """The types once more, because type checkers read ``**options`` from a TypedDict only."""

    model: str | None
    provider: str | None
    base_url: str | None
    api_key: str | None
    client: Any
    api: Literal["chat", "responses"]
    service_tier: str | None
    allow_http: bool
    instructions: str
    examples: list[tuple[Any, Any]] | Any | None
    pick: Literal["fixed", "balanced"]
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
    workers: Literal["thread", "process"]
    max_cost: float | None
    max_tokens: int | None
    prices: tuple[float, float] | Mapping[str, float | str] | None
    mode: Literal["live", "batch"]
    batch_fallback: Literal["live"] | None
    checkpoint: bool | str | os.PathLike[str]
    reuse: bool
    id: Hashable | None
    adopt: bool
    store_input: bool
    where: Any | None
    extend: bool
    prefix: str
    into: str
    overwrite: bool
    details: bool
    explode: Literal["indicator"] | None
    flatten: bool
    other: str | None
    abstain: bool
    confidence: Literal["logprob"] | None
    votes: Literal[1, 3, "2+1"]
    evidence: bool | str | list[str]
    progress: Literal["auto", "widget", "tqdm", "log"] | bool
    runner: Literal["auto", "thread", "nest"]
    on_error: Literal["keep", "raise"]
    on_incomplete: Literal["return", "raise"]


OPTIONS: dict[str, Option] = {
    f.name: Option(name=f.name, default=f.default, **f.metadata)
    for f in fields(Settings)
    if f.metadata
}
FIRST = (  # those that people use first
    *("instructions", "model", "provider", "base_url", "api_key"),
    *("concurrency", "max_cost", "checkpoint"),
)
DEFAULTS: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}


def table(names: Collection[str]) -> str:
    """The table of these options for ``help()``: a line each, those used first in full."""
    lines = ["Used first"]
    for name in FIRST:
        if name in names:
            lines += _explained(OPTIONS[name], _whole(OPTIONS[name].doc))
    group = ""
    for name, option in OPTIONS.items():
        if name in FIRST or name not in names:
            continue
        if option.group != group:
            group = option.group
            lines += ["", group]
        lines += _explained(option, option.doc.partition("\n")[0])
    return "\n".join(lines)


def _whole(doc: str) -> str:
    """All that is said about an option, as one text."""
    line, _, more = doc.partition("\n")
    return f"{line.removesuffix('...').rstrip(', ')}. {more}" if more else line


def _explained(option: Option, text: str) -> Iterator[str]:
    """The lines about one option: its name and default in the first column."""
    default = json.dumps(option.default) if isinstance(option.default, str) else option.default
    left = f"  {option.name}={default}"
    for line in textwrap.wrap(text, WIDTH - NAMES, break_on_hyphens=False):
        yield f"{left:<{NAMES}}{line}"
        left = ""


def shown(values: Mapping[str, Any]) -> str:
    """The options that differ from their defaults, as a call has them, without secrets."""

    def printed(name: str, value: Any) -> str:
        if OPTIONS[name].secret:
            return "***"
        if OPTIONS[name].by_row and not isinstance(value, str):
            return "..."
        return repr(hide_secrets(cut(value, LONGEST) if name == "instructions" else value))

    changed = {
        name: value
        for name, value in values.items()
        if value is not None and (OPTIONS[name].by_row or value != DEFAULTS[name])
    }
    return ", ".join(f"{name}={printed(name, value)}" for name, value in changed.items())
