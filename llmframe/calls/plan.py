"""From a call's options to a run: every mistake of the caller is found here, before it costs.

The one place that knows what each option does.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.calls.destination import find_destination, start_local
from llmframe.calls.identity import (
    StoredQuestions,
    answered_elsewhere,
    earlier_question,
    question_of,
    server_of,
    tasks_before,
    told_apart,
)
from llmframe.engine.asking.asking import Sampling
from llmframe.engine.asking.embedding import NAME, Capacity
from llmframe.engine.asking.outgoing import TextRules
from llmframe.engine.execution import Execution
from llmframe.engine.job import Job
from llmframe.engine.rows.budget import Budget
from llmframe.engine.wire.client import has_default_transport
from llmframe.errors import PlanError, warn
from llmframe.frame.columns import plan_columns
from llmframe.frame.records import Records, read_input
from llmframe.frame.rows import RowPlan, plan_rows
from llmframe.frame.selection import selected
from llmframe.journal import TaskInfo, adopt_plain, id_text, open_checkpoint
from llmframe.journal.paths import DEFAULT_FOLDER, explicit_path, task_folders
from llmframe.messages import endings
from llmframe.messages.doubts import doubts
from llmframe.options.presets import EmbeddingLimits
from llmframe.providers.address import proxy_of
from llmframe.providers.batch_limits import batch_limits
from llmframe.providers.local.server import NAMED
from llmframe.providers.prices import stated_currency
from llmframe.runs.run import Run
from llmframe.runs.session import Session, Target
from llmframe.secret import Key, hide_keys, hide_secrets
from llmframe.system.processes import pack
from llmframe.task.confidence import is_choice
from llmframe.task.fields import FieldSet, resolve_fields, vector_field
from llmframe.task.keys import KeyMaker
from llmframe.task.parse import answer_or_error, parse_reply
from llmframe.task.prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmframe.frame.columns import ColumnPlan
    from llmframe.frame.selection import Selection
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.providers.destination import Destination
    from llmframe.providers.endpoint import Endpoint
    from llmframe.task.fields import FieldSet
    from llmframe.task.keys import Question

USUAL_TEXTS = 100  # of a request: more wins no time, and is lost where a kernel dies
LEAST_BYTES = 3  # UTF-8 bytes of a token: Chinese has as few, English more
MEASURED = 2000  # rows whose texts are measured for the context that a local model needs


@dataclass(frozen=True, slots=True)
class Plan:
    """One call, as values: nothing is opened, locked, started or sent.

    asked: the question put to every row. earlier: the same as the call spells it.
    job: without a checkpoint; for a local model without the server, which is not started yet.
    server: on this machine, that is asked; None for any other.
    """

    destination: Destination
    asked: Question
    earlier: Question
    job: Job
    target: Target
    server: dict[str, Any] | None


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

    def sampling(self, settings: Settings) -> Sampling:
        """What is sent with every request."""
        return Sampling(
            extra_body=settings.extra_body, api="embeddings", dimensions=self.dimensions
        )

    def capacity(self, destination: Destination) -> Capacity:
        """What one request may hold."""
        limits = EmbeddingLimits() if destination.preset is None else destination.preset.embeds
        texts = self.batch_size or min(limits.texts, USUAL_TEXTS)
        return Capacity(texts, limits.tokens * LEAST_BYTES)


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
    selection = selected(df, settings.where)
    asked = df if selection is None else selection.rows
    rows = plan_rows(asked, input, id=settings.id, quote=settings.redact is None)
    fields = _fields(fields, settings)
    return _plan(
        asked, rows, fields, settings, own_loop=own_loop, only_new=only_new, selection=selection
    )


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
    asked = df if selection is None else selection.rows
    rows = plan_rows(asked, column, id=settings.id, quote=settings.redact is None)
    is_name = column in rows.columns
    if embedding.into is None and not is_name:
        raise PlanError("into= names the new column; without it embed takes the name of one column")
    into = embedding.into or f"{column}_embedding"
    fields = vector_field(NAME, column=into)
    return _plan(
        asked,
        rows,
        fields,
        settings,
        own_loop=True,
        only_new=False,
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
    fields = _fields(fields, settings)
    return _plan(pd.DataFrame(), records, fields, settings, own_loop=True, only_new=True)


def _fields(fields: object, settings: Settings) -> FieldSet:
    """The fields that a call asks for."""
    return resolve_fields(fields, into=settings.into if "into" in settings.given else None)


def _plan(
    df: pd.DataFrame,
    rows: RowPlan | Records,
    fields: FieldSet,
    settings: Settings,
    *,
    own_loop: bool,
    only_new: bool,
    embedding: Embedding | None = None,
    selection: Selection | None = None,
) -> Plan:
    import openai  # noqa: F401 - the import is slow: on the run's loop it would hold up requests

    prompt = Prompt(settings.instructions, fields)
    _check_options(settings, prompt, rows)
    # A nested run uses the kernel's loop, so that the person's own client may be bound to it.
    destination = find_destination(settings, own_loop=own_loop and settings.runner != "nest")
    if embedding is not None:
        destination = embedding.at(destination)
    # From here on with what the provider sets: the model is part of every row's key.
    settings = _check_batch(destination, rows)
    sampling = sampling_of(settings) if embedding is None else embedding.sampling(settings)
    asked, server = _asked(prompt, destination, sampling)
    job = Job(
        rows=rows,
        source=rows if isinstance(rows, Records) else None,
        keys=KeyMaker(asked),
        prompt=prompt,
        settings=settings,
        sampling=sampling,
        endpoint=destination.endpoint,
        dialect=destination.dialect,
        slots=destination.slots,
        capacity=None if embedding is None else embedding.capacity(destination),
        budget=_budget(destination),
        rules=TextRules(settings.redact, settings.max_input_tokens, settings.on_long == "truncate"),
        packed=_packed(settings, prompt.fields),
    )
    target = _target(df, rows, job, only_new=only_new, selection=selection)
    earlier = earlier_question(prompt, destination, sampling, served=asked.get("served"))
    return Plan(destination, asked, earlier, job, target, server)


def _target(
    df: pd.DataFrame,
    rows: RowPlan | Records,
    job: Job,
    *,
    only_new: bool,
    selection: Selection | None,
) -> Target:
    """What the run is about, and where its answers go."""
    is_frame = isinstance(rows, RowPlan)
    return Target(
        # the person may change the frame while the run goes on
        df=rows.as_planned(df) if isinstance(rows, RowPlan) else df,
        rows=rows,
        columns=_columns(df, rows, job, only_new=only_new, selection=selection),
        selection=selection,
        only_new=only_new,
        raise_incomplete=job.settings.on_incomplete == "raise",
        # a stream is never joined: its records are nobody else's
        options=_identity(job, job.settings) if is_frame else (object(),),
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
    prompt: Prompt, destination: Destination, sampling: Sampling
) -> tuple[Question, dict[str, Any] | None]:
    """The question put to every row; and the server on this machine that is asked, or None."""
    asked, where = question_of(prompt, destination, sampling), destination.settings.checkpoint
    if where is False:
        return asked, None
    server = server_of(destination)
    own = None if where is True else explicit_path(where)
    return told_apart(asked, server, tasks_before(own)), server


def _check_options(settings: Settings, prompt: Prompt, rows: RowPlan | Records) -> None:
    """Raise PlanError for options that do not fit each other, the fields or the rows."""
    if settings.confidence is not None and not any(map(is_choice, prompt.fields.specs)):
        raise PlanError(
            'confidence="logprob" is the probability of a label, and no field is a closed choice; '
            "leave it out, or ask for one of a list of labels"
        )
    # Without a length to cut to the option would do nothing, and nobody would notice.
    if settings.on_long == "truncate" and settings.max_input_tokens is None:
        raise PlanError(
            'on_long="truncate" needs a length to cut to: give max_input_tokens=<tokens of a text, '
            "reckoned as a quarter of its UTF-8 bytes>"
        )
    if settings.adopt and isinstance(rows, RowPlan):
        if settings.checkpoint is False or settings.id is None:
            raise PlanError(
                "adopt=True takes over a file by ids: give checkpoint=<path> and id=<column>"
            )
        # An id that two rows share does not say to which of them a plain line belongs.
        rows.check_unique_ids()


def _check_batch(destination: Destination, rows: RowPlan | Records) -> Settings:
    """The destination's settings; PlanError for what cannot be done in batches."""
    settings = destination.settings
    if settings.mode == "live":
        if settings.batch_fallback is not None:
            raise PlanError(
                'batch_fallback="live" is for the rows that a batch leaves unanswered: give '
                'mode="batch" with it, or leave it out'
            )
        return settings
    if isinstance(rows, Records):
        raise PlanError('mode="batch" needs all rows at once, and a stream gives them one by one')
    if settings.checkpoint is False:
        raise PlanError(
            'mode="batch" needs a checkpoint: its answers come hours later, perhaps to another '
            "kernel, which finds them by it. Leave out checkpoint=False"
        )
    if settings.hedge:
        raise PlanError('hedge=True asks the slowest rows again, and mode="batch" has none')
    known = None if destination.file else batch_limits(destination.endpoint.base_url)
    if known is None and settings.batch_fallback is None:
        raise PlanError(
            f'{destination.title} has no Batch API like OpenAI\'s: leave out mode="batch", or give '
            'batch_fallback="live" to ask all rows live there'
        )
    return settings


def _columns(
    df: pd.DataFrame,
    rows: RowPlan | Records,
    job: Job,
    *,
    only_new: bool,
    selection: Selection | None,
) -> ColumnPlan:
    """The columns to add; only new ones can clash with nothing."""
    settings = job.settings
    whole = df if selection is None else selection.whole
    return plan_columns(
        whole.iloc[:, :0] if only_new else whole,
        job.prompt.fields.specs,
        inputs=() if only_new else rows.reserved,
        prefix=settings.prefix,
        overwrite=settings.overwrite,
        details=settings.details,
        confidence=settings.confidence is not None,
        task=job.keys.digest.hex()[:12],
        selection=selection,
    )


def sampling_of(settings: Settings) -> Sampling:
    """How the model is to answer."""
    return Sampling(
        temperature=settings.temperature,
        seed=settings.seed,
        max_output_tokens=settings.max_output_tokens,
        extra_body=settings.extra_body,
        logprobs=settings.confidence == "logprob",
        api=settings.api,
        service_tier=settings.service_tier,
    )


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


def _identity(job: Job, settings: Settings) -> tuple[object, ...]:
    """The options that make two calls for the same task different runs.

    Speed is not among them: a call with another concurrency joins the run that is alive. One
    with another key or address does not: the account or server of the other may be at its end.
    """
    budget, endpoint = job.budget, job.endpoint
    return (
        (endpoint.base_url.rstrip("/"), *map(Key, endpoint.secrets)),
        _wanted_file(settings.checkpoint, job.keys.digest),
        (settings.adopt, settings.reuse, settings.store_input),
        (settings.on_error, job.rules, settings.mode, settings.batch_fallback),
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


# -- from the plan to a run ------------------------------------------------------------------


@contextlib.contextmanager
def open_run(
    planned: Plan, *, before_opening: Callable[[], None] = lambda: None
) -> Iterator[Session]:
    """A run of the plan, with its server started and its checkpoint open; not begun.

    This block owns the checkpoint until the run begins, which then closes it itself: whatever
    ends the block earlier leaves nothing locked. before_opening: called before files are opened.
    """
    settings = planned.job.settings
    # Before the checkpoint: weights may take minutes to load, and no file is locked meanwhile.
    destination = start_local(planned.destination, need=lambda: _tokens_needed(planned))
    endpoint = destination.endpoint
    before_opening()
    checkpoint = _open_checkpoint(planned, endpoint)
    session: Session | None = None
    try:
        # warned of as well, before anything is sent: progress=False shows no card
        warned = doubts(planned.job.prompt.fields.specs)
        warned += checkpoint.notes if checkpoint is not None else ()
        for note in warned:
            warn(note)
        notes = [*destination.notes, *_proxy_notes(endpoint), *warned]
        if checkpoint is not None and settings.adopt:
            notes.append(_adopt(checkpoint, planned))
        if checkpoint is not None:
            notes += filter(None, [answered_elsewhere(checkpoint, planned.server)])
            if settings.mode == "live" and (batches := checkpoint.open_batches()):
                notes.append(endings.left_in_batches(batches))
                warn(notes[-1])
            planned.job.budget.count_earlier(checkpoint.spent)
        # a local server sets the concurrency: its slots
        job = replace(
            planned.job,
            settings=destination.settings,
            endpoint=endpoint,
            checkpoint=checkpoint,
        )
        session = Session(Execution(job), planned.target, url=destination.title, notes=tuple(notes))
        Run(session)  # the session keeps it as its handle
        yield session
    finally:
        # Once the run has a loop it is the run that closes the file, when its last line is written.
        if checkpoint is not None and (session is None or session.loop is None):
            checkpoint.close()


def _open_checkpoint(planned: Plan, endpoint: Endpoint) -> Checkpoint | None:
    """The call's checkpoint, read for all spellings of its question; None without one."""
    settings, keys = planned.job.settings, planned.job.keys
    if settings.checkpoint is False:
        return None
    stored = StoredQuestions(planned.asked, keys, planned.earlier)
    checkpoint = open_checkpoint(
        settings.checkpoint,
        TaskInfo(keys.digest, _readable(planned.asked, endpoint), stored.same, planned.server),
        ids=settings.id is not None,
        adopt=settings.adopt,
        texts=settings.store_input,
    )
    assert checkpoint is not None
    try:
        stored.read(checkpoint)
        if warning := stored.warning(planned.job, checkpoint):
            checkpoint.notes.append(warning)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def _tokens_needed(planned: Plan) -> int:
    """Tokens of the longest prompt with its answer, generously, by the first rows."""
    rows, prompt = planned.job.rows, planned.job.prompt
    texts = rows.texts(0, min(rows.n, MEASURED))
    longest = max((len(text.encode()) for text in texts if isinstance(text, str)), default=0)
    head = "" if planned.job.capacity is not None else prompt.system("json_object")
    sent = len(head.encode()) + longest
    # Two bytes a token is more than any common text needs; a context too small fails the row.
    return sent // 2 + (planned.job.settings.max_output_tokens or 0)


def _readable(asked: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """What is asked, for a file that people read: without keys, wherever they were put."""
    # A header or URL in extra_body may hold a secret that is not the endpoint's key.
    if "sampling" in asked:
        asked = {**asked, "sampling": hide_secrets(asked["sampling"])}
    readable: dict[str, Any] = json.loads(hide_keys(json.dumps(asked), endpoint.secrets))
    return readable


def _proxy_notes(endpoint: Endpoint) -> tuple[str, ...]:
    """Which proxy the requests go through, if the environment names one."""
    # A client with a transport of its own decides for itself, and does not say which proxy it uses.
    ours = endpoint.client is None or has_default_transport(endpoint.client)
    proxy = proxy_of(endpoint.base_url) if ours else None
    if proxy is None:
        return ()
    return (f"Requests go through the proxy {hide_secrets(proxy)} of the environment.",)


def _adopt(checkpoint: Checkpoint, planned: Plan) -> str:
    """Take over a plain file by ids; returns the sentence about it."""
    rows, keys, rules = planned.target.rows, planned.job.keys, planned.job.rules
    texts = zip(rows.ids(0, rows.n) or [], map(rules.prepare, rows.texts(0, rows.n)), strict=True)
    # Rows that are not sent (blank, or too long) have no text to make a key from.
    key_of = {id_text(row_id): keys.key(text) for row_id, text in texts if isinstance(text, str)}
    fields = planned.job.prompt.fields
    report = adopt_plain(checkpoint, key_of, lambda values: parse_reply(json.dumps(values), fields))
    return f"{checkpoint.path.name}: {report.sentence}"
