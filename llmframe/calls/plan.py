"""From a call's options to its plan: every mistake of the caller is found here, before it costs.

The one place that knows what each option does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.calls.destination import find_destination
from llmframe.calls.fitting import batch_settings, check_options
from llmframe.calls.identity import (
    earlier_question,
    prompts_of,
    question_of,
    server_of,
    tasks_before,
    told_apart,
)
from llmframe.calls.steps.extending import left_to_ask
from llmframe.engine.asking.embedding import NAME, Capacity
from llmframe.engine.asking.outgoing import TextRules
from llmframe.engine.asking.votes import Votes
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.parts import Job
from llmframe.errors import PlanError
from llmframe.frame.columns import NOTHING_KEPT, ColumnPlan, plan_columns
from llmframe.frame.examples import read_examples
from llmframe.frame.records import Records, read_input
from llmframe.frame.rows import RowPlan, plan_rows
from llmframe.frame.selection import selected
from llmframe.journal.paths import DEFAULT_FOLDER, explicit_path, task_folders
from llmframe.options.presets import EmbeddingLimits
from llmframe.providers.local.server import NAMED
from llmframe.providers.prices import stated_currency
from llmframe.results import RowResult
from llmframe.runs.session import Target
from llmframe.secret import Key
from llmframe.system.processes import pack
from llmframe.task.confidence import is_choice
from llmframe.task.definition import Added
from llmframe.task.fields import FieldSet, resolve_fields, some_fields, vector_field
from llmframe.task.keys import KeyMaker
from llmframe.task.parse import answer_or_error
from llmframe.task.prompt import Prompt
from llmframe.task.trust.evidence import with_evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from llmframe.calls.steps.extending import Left
    from llmframe.frame.selection import Selection
    from llmframe.options.settings import Settings
    from llmframe.providers.destination import Destination
    from llmframe.task.fields import FieldSet
    from llmframe.task.keys import Question
    from llmframe.task.prompt import Example

USUAL_TEXTS = 100  # of a request: more wins no time, and is lost where a kernel dies
LEAST_BYTES = 3  # UTF-8 bytes of a token: Chinese has as few, English more


@dataclass(frozen=True, slots=True)
class Plan:
    """One call, as values: nothing is opened, locked, started or sent.

    asked: the question put to every row. earlier: the same as the call spells it.
    job: without a checkpoint; for a local model without the server, which is not started yet.
    server: on this machine, that is asked; None for any other. note: for the card, or "".
    """

    destination: Destination
    asked: Question
    earlier: Question
    job: Job
    target: Target
    server: dict[str, Any] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a call for embeddings asks beside its options.

    into: the new column, None for one named after the text's. dimensions: numbers of a vector,
    None for as many as the model has. batch_size: texts of a request, None for the usual number.
    """

    into: str | None = None
    dimensions: int | None = None
    batch_size: int | None = None

    def at(self, destination: Destination) -> Destination:
        """The destination, at its address for embeddings. PlanError for a model that writes."""
        file = destination.file and replace(destination.file, embeds=True)
        if file is not None and not file.weights.embeds:
            raise _no_embedding_model(file.path.name)
        endpoint = replace(destination.endpoint, api="embeddings")
        return replace(destination, endpoint=endpoint, file=file)

    def capacity(self, destination: Destination) -> Capacity:
        """What one request may hold, and asks for."""
        limits = EmbeddingLimits() if destination.preset is None else destination.preset.embeds
        texts = self.batch_size or min(limits.texts, USUAL_TEXTS)
        return Capacity(texts, limits.tokens * LEAST_BYTES, self.dimensions)


def plan(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
    *,
    own_loop: bool = True,
    only_new: bool = False,
) -> Plan:
    """Plan a call. Raises PlanError for every mistake that can be seen without sending.

    own_loop: it will run on llmframe's loop, else on the caller's.
    only_new: return only the new columns.
    """
    if isinstance(fields, str) and not isinstance(input, str):
        raise PlanError(f"the input comes first, fields second: df.llm.tag({fields!r}, <fields>)")
    selection, left = selected(df, settings.where), None
    asked, rows = rows_of(df, input, settings, selection)
    prompt = _prompt(input, fields, settings)
    if settings.extend:
        check_options(settings, prompt, rows)  # for all fields: those left may be of other kinds
        specs = [spec for spec in prompt.fields.specs if not spec.evidence_of]  # it goes along
        left = left_to_ask(df, specs, prompts_of(prompt, rows.form), settings, selection=selection)
        if 0 < len(left.fields) < len(specs):
            prompt, settings = _narrowed(prompt, fields, settings, left.fields)
        if left.selection is not selection:
            selection = left.selection
            asked, rows = rows_of(df, input, settings, selection)
    return _plan(
        asked,
        rows,
        prompt,
        settings,
        own_loop=own_loop,
        only_new=only_new,
        selection=selection,
        left=left,
    )


def rows_of(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    settings: Settings,
    selection: Selection | None,
) -> tuple[pd.DataFrame, RowPlan]:
    """The rows that a call asks about, as a frame and as texts."""
    asked = df if selection is None else selection.rows
    return asked, plan_rows(asked, input, id=settings.id, quote=settings.redact is None)


def plan_embedding(
    df: pd.DataFrame, column: object, settings: Settings, embedding: Embedding
) -> Plan:
    """Plan a call for embeddings; raises as ``plan`` does."""
    if isinstance(column, list):
        raise PlanError(
            "embed takes one column, or a template such as '{title}: {body}': the model reads one "
            "text for each row"
        )
    if settings.provider == "local" and str(settings.model).strip().casefold() in NAMED:
        raise _no_embedding_model(str(settings.model))
    selection = selected(df, settings.where)
    asked, rows = rows_of(df, column, settings, selection)
    is_name = column in rows.columns
    if embedding.into is None and not is_name:
        raise PlanError("into= names the new column; without it embed takes the name of one column")
    into = embedding.into or f"{column}_embedding"
    return _plan(
        asked,
        rows,
        Prompt(settings.instructions, vector_field(NAME, column=into)),
        settings,
        embedding=embedding,
        selection=selection,
    )


def _no_embedding_model(name: str) -> PlanError:
    return PlanError(
        f"{name!r} is a model that writes text, and what it would give for embeddings says little "
        "about what a text means; give model=<the path of a GGUF file of an embedding model>, "
        "such as bge, e5, gte, nomic-embed or Qwen3-Embedding"
    )


def plan_stream(
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
    *,
    buffer: int,
) -> Plan:
    """Plan the tagging of records that are still to come; raises as ``plan`` does.

    buffer: records that are held between source and consumer, at most.
    """
    keys, render = read_input(input)
    quote = settings.redact is None
    records = Records(keys, render, id=settings.id, buffer=buffer, quote=quote)
    prompt = _prompt(input, fields, settings)
    return _plan(pd.DataFrame(), records, prompt, settings, only_new=True)


def _prompt(input: object, fields: object, settings: Settings) -> Prompt:  # noqa: A002
    """The question that a call asks about every row."""
    resolved = _fields(fields, settings)
    examples = read_examples(settings, input, resolved, rules_of(settings))
    if settings.evidence is not False:
        resolved = with_evidence(resolved, settings.evidence)
    return Prompt(settings.instructions, resolved, examples)


def _fields(fields: object, settings: Settings) -> FieldSet:
    """The fields that a call asks for."""
    return resolve_fields(
        fields,
        into=settings.into if "into" in settings.given else None,
        added=Added(other=settings.other, abstain=settings.abstain),
    )


def _narrowed(
    prompt: Prompt, fields: object, settings: Settings, names: Sequence[str]
) -> tuple[Prompt, Settings]:
    """The question about some of the fields, without options that mean nothing to them."""
    specs = [spec for spec in prompt.fields.specs if spec.name in names]
    # the options are right for all fields together; those that are left may take none
    if not any(spec.labels or spec.items for spec in specs):
        settings = replace(settings, other=None, abstain=False)
    if not any(map(is_choice, specs)):
        settings = replace(settings, confidence=None, votes=1)
    examples = tuple(example.only(names) for example in prompt.examples)
    asked, evidence = _fields(some_fields(fields, names), settings), settings.evidence
    if evidence is not False:
        quoted = [evidence] if isinstance(evidence, str) else evidence
        quoted = [name for name in names if quoted is True or name in quoted]
        settings = replace(settings, evidence=quoted or False)
        asked = with_evidence(asked, quoted) if quoted else asked
    return Prompt(settings.instructions, asked, examples), settings


def rules_of(settings: Settings, examples: Iterable[Example] = ()) -> TextRules:
    """What is done to every text before it leaves."""
    return TextRules(
        settings.redact,
        settings.max_input_tokens,
        settings.on_long == "truncate",
        {each.text: RowResult("ok", each.values) for each in examples},
    )


def _plan(
    df: pd.DataFrame,
    rows: RowPlan | Records,
    prompt: Prompt,
    settings: Settings,
    *,
    own_loop: bool = True,
    only_new: bool = False,
    embedding: Embedding | None = None,
    selection: Selection | None = None,
    left: Left | None = None,
) -> Plan:
    import openai  # noqa: F401 - the import is slow: on the run's loop it would hold up requests

    if left is None:
        check_options(settings, prompt, rows)
    # A nested run uses the kernel's loop, so that the person's own client may be bound to it.
    destination = find_destination(settings, own_loop=own_loop and settings.runner != "nest")
    if embedding is not None:
        destination = embedding.at(destination)
    if left is not None and not left.fields:
        destination = _unused(destination)  # so no checkpoint is made
    # From here on with what the provider sets: the model is part of every row's key.
    settings = batch_settings(destination, rows)
    dimensions = None if embedding is None else embedding.dimensions
    asked, server = _asked(prompt, destination, dimensions)
    job = Job(
        rows=rows,
        source=rows if isinstance(rows, Records) else None,
        keys=KeyMaker(asked),
        prompt=prompt,
        settings=settings,
        endpoint=destination.endpoint,
        dialect=destination.dialect,
        slots=destination.slots,
        capacity=None if embedding is None else embedding.capacity(destination),
        budget=_budget(destination),
        rules=rules_of(settings, prompt.examples),
        packed=_packed(settings, prompt.fields),
        votes=None if settings.votes == 1 else Votes(settings.votes, asked, prompt),
    )
    target = _target(df, rows, job, only_new=only_new, selection=selection, left=left)
    earlier = earlier_question(prompt, destination, dimensions, served=asked.get("served"))
    return Plan(destination, asked, earlier, job, target, server, left.note if left else "")


def _unused(destination: Destination) -> Destination:
    """The destination of a call that sends nothing: no file is made, and no batch."""
    live = replace(destination.settings, checkpoint=False, mode="live", batch_fallback=None)
    return replace(destination, settings=live)


def _target(
    df: pd.DataFrame,
    rows: RowPlan | Records,
    job: Job,
    *,
    only_new: bool,
    selection: Selection | None,
    left: Left | None,
) -> Target:
    """What the run is about, and where its answers go; only new columns can clash with nothing."""
    settings, task = job.settings, job.keys.digest.hex()[:12]
    frame_rows = rows if isinstance(rows, RowPlan) else None
    whole = df if selection is None else selection.whole
    if left is not None and not left.fields:
        columns = ColumnPlan(outputs=(), task=task, prefix=settings.prefix)
    else:
        columns = plan_columns(
            # a frame of answers alone has no columns that could be replaced
            whole.iloc[:, :0] if only_new else whole,
            job.prompt.fields.specs,
            settings,
            inputs=() if only_new else rows.reserved,
            own=frame_rows,
            task=task,
            selection=selection,
            prompts=None if frame_rows is None else prompts_of(job.prompt, rows.form),
            kept=NOTHING_KEPT if left is None else left.kept,
        )
    return Target(
        # the person may change the frame while the run goes on
        df=df if frame_rows is None else frame_rows.as_planned(df),
        rows=rows,
        columns=columns,
        selection=selection,
        only_new=only_new,
        # a stream is never joined: its records are nobody else's
        options=(object(),) if frame_rows is None else _identity(job),
    )


def _packed(settings: Settings, fields: FieldSet) -> dict[str, bytes]:
    """The functions of the person's that are to run in processes, by option; PlanError if not."""
    if settings.workers != "process":
        return {}
    own: dict[str, Callable[..., object] | None] = {
        "redact=": settings.redact,
        "fields": partial(answer_or_error, fields) if fields.runs_own_code else None,
    }
    return {name: pack(function, name) for name, function in own.items() if function is not None}


def _asked(
    prompt: Prompt, destination: Destination, dimensions: int | None
) -> tuple[Question, dict[str, Any] | None]:
    """The question put to every row; and the server on this machine that is asked, or None."""
    asked, where = question_of(prompt, destination, dimensions), destination.settings.checkpoint
    if where is False:
        return asked, None
    server = server_of(destination)
    own = None if where is True else explicit_path(where)
    return told_apart(asked, server, tasks_before(own)), server


def _budget(destination: Destination) -> Budget:
    """What the run may spend; PlanError for a budget of money where no price is known."""
    settings, prices = destination.settings, destination.prices
    if settings.max_cost is not None and prices is None:
        raise PlanError(
            f"max_cost={settings.max_cost:g} needs the prices of {settings.model!r}, which are not "
            'known: give prices={"in": ..., "out": ..., "currency": "USD"}, each per million '
            "tokens, or install genai-prices"
        )
    return Budget(
        max_cost=settings.max_cost,
        max_tokens=settings.max_tokens,
        prices=prices,
        stated_in=stated_currency(destination.endpoint.base_url),
        is_free=destination.is_free,
    )


def _identity(job: Job) -> tuple[object, ...]:
    """The options that make two calls for the same task different runs.

    Speed is not among them: a call with another concurrency joins the run that is alive. One
    with another key or address does not: the account or server of the other may be at its end.
    """
    settings, budget, endpoint = job.settings, job.budget, job.endpoint
    return (
        (endpoint.base_url.rstrip("/"), *map(Key, endpoint.secrets)),
        _wanted_file(settings.checkpoint, job.keys.digest),
        (settings.adopt, settings.reuse, settings.store_input),
        (settings.on_error, settings.on_incomplete, job.rules),
        (settings.mode, settings.batch_fallback, settings.votes),
        (budget.max_cost, budget.max_tokens, budget.prices),
    )


def _wanted_file(where: Any, digest: bytes) -> Path | None:
    """The checkpoint that a call asks for; its run may get another where that one is locked."""
    if where is False:
        return None
    if where is True:
        folder = task_folders(DEFAULT_FOLDER, [digest.hex()])[0]
        return folder / f"{digest.hex()}.jsonl"
    return explicit_path(where)
