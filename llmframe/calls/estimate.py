"""``estimate``: what a call would send, take and cost, without sending anything."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from llmframe.errors import CheckpointError, PlanError
from llmframe.options.layers import settle
from llmframe.options.settings import Options
from llmframe.options.signature import with_options
from llmframe.results import Usage
from llmframe.runs.thread import refuse_own_thread

# The rest is imported by the functions: `import llmframe` loads this module, and must be quick.
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from llmframe.calls.plan import Plan
    from llmframe.engine.forecast import Answered, Range, Tokens, Work
    from llmframe.engine.governor import Learnt
    from llmframe.engine.rows.parts import Job
    from llmframe.journal import Checkpoint
    from llmframe.journal.measured import Taken
    from llmframe.notebook.estimate_view import Estimate
    from llmframe.options.settings import Settings
    from llmframe.results import RowResult

    Stored: TypeAlias = "Checkpoint | _Previewed"

MOST = 20_000  # rows looked at before a run with a limit begins: that takes some 0.1 s


@with_options()
def estimate(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> Estimate:
    """Say what the same call of ``tag`` would send, take and cost; nothing is sent.

    >>> df.llm.estimate("text", {"intent": ["refund", "delivery", "other"]})

    input, fields: as for ``tag``.

    {options}

    Returns an Estimate, which shows itself: rows, requests, tokens, cost, minutes, each with a
    range, and ``.sample``, the exact messages and schema of one row. Answers that the
    checkpoint has are not counted again.

    After a ``preview`` or an earlier run of the same task it is made from what their answers
    took: tokens, the share of the prompt in the provider's cache, and the time. Before that,
    tokens are UTF-8 bytes / 4, times the ratio that this process has learnt about the model,
    and the ranges are wide; ``based_on`` says which.

    Raises PlanError for the same mistakes as ``tag``.
    """
    from llmframe.calls.plan import plan

    refuse_own_thread()
    settings = settle(options)
    found = estimate_plan(plan(df, input, fields, settings))
    return replace(found, extend_saves=_extend_saves(found, df, input, fields, settings))


def _extend_saves(
    found: Estimate,
    df: pd.DataFrame,
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
) -> float | None:
    """What ``extend=True`` costs less than asking for all fields; None where it saves nothing."""
    from llmframe.calls.plan import plan
    from llmframe.frame.existing import written_columns

    # without earlier answers there is nothing that extend=True could keep
    if found.cost is None or not written_columns(df):
        return None
    # the same call the other way; it replaces columns that a call with extend=True would keep
    other = replace(settings, extend=not settings.extend, overwrite=True)
    try:
        with warnings.catch_warnings():  # nobody makes that call
            warnings.simplefilter("ignore")
            cost = estimate_plan(plan(df, input, fields, other)).cost or 0.0
    except PlanError:  # extend=True cannot be used here, so it saves nothing
        return None
    saved = cost - found.cost if settings.extend else found.cost - cost
    return saved if saved > 0 else None


def estimate_plan(planned: Plan) -> Estimate:
    """The estimate of a planned call. Its checkpoint is only read, and may be in use."""
    from llmframe.calls.opening import open_stored
    from llmframe.messages.doubts import doubts

    job, notes = planned.job, [*doubts(planned.job.prompt.fields.specs)]
    checkpoint = open_stored(planned, job.endpoint, read_only=True)
    try:
        expected, spent = _expected(job, checkpoint or _Previewed()), Usage()
        if checkpoint is not None:
            notes += checkpoint.notes
        if checkpoint is not None and job.budget.is_set:
            spent = sum(map(job.budget.stored, checkpoint.spent().parts), spent)
        path = None if checkpoint is None else str(checkpoint.path)
        return _estimate(expected, path, notes=(*expected.stops(spent), *notes))
    finally:
        if checkpoint is not None:
            checkpoint.close()


def expected_stops(job: Job) -> list[str]:
    """The limits that will probably stop a run before its end, each as a sentence.

    job: of a run that is about to begin, its checkpoint open and counted in its budget.
    """
    # a stream's rows are not known yet; a request for embeddings holds many texts, not one
    is_of_frame = job.source is None and job.capacity is None
    # a function of the person's may take any time, and no run shall wait for it to begin
    if not job.budget.is_set or not is_of_frame or job.rules.redact is not None:
        return []
    try:
        expected = _expected(job, job.checkpoint or _Previewed(), most=MOST)
        return expected.stops(job.budget.spent)
    except CheckpointError:  # the run meets it, too, and says what is safe
        return []


class _Previewed:
    """The answers that a call without a checkpoint takes: those of previews in this process."""

    def holds(self, key: bytes) -> bool:
        """Whether there is an answer to a key."""
        from llmframe.engine.rows.answers import previewed

        return key in previewed

    def get(self, key: bytes) -> RowResult | None:
        """The answer to a key."""
        from llmframe.engine.rows.answers import previewed

        result, values = previewed.get(key, (None, None))
        return None if result is None else result._replace(values=values)

    def newest_answers(self) -> dict[bytes, Taken]:
        """What they took, by key; other questions' answers are among them."""
        from llmframe.engine.rows.answers import previewed
        from llmframe.journal.measured import Taken

        used = ((key, result) for key, (result, _) in previewed.items())
        return {
            key: Taken(result.usage, result.attempts, None)
            for key, result in used
            if result.usage.if_stated and result.usage.tokens_in
        }


@dataclass(slots=True)
class _Rows:
    """The rows that were looked at, by what happens to them.

    left: requests that are left and UTF-8 bytes of their texts, for plain and for wide texts.
    sizes: bytes of the texts whose answers were measured, and whether they are wide, by key.
    text: the first to send, else any.
    """

    seen: int = 0
    distinct: int = 0
    done: int = 0
    skipped: int = 0
    unsent: int = 0
    unanswered: int = 0
    left: dict[bool, tuple[float, float]] = field(
        default_factory=lambda: {False: (0.0, 0.0), True: (0.0, 0.0)}
    )
    sizes: dict[bytes, tuple[int, bool]] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What a job will take.

    sample: the request for one row; {} if there is none. learnt: what this process's requests
    have shown of the model. cost: None if no price is known. seconds: None for a batch.
    """

    job: Job
    rows: _Rows
    work: Work
    sample: dict[str, Any]
    learnt: Learnt | None
    answered: list[Answered]
    tokens: Tokens
    cost: Range | None
    seconds: Range | None

    def stops(self, spent: Usage) -> list[str]:
        """The limits that will stop the call. spent: by earlier calls of the task."""
        from llmframe.messages.estimates import Limit, expected_stop

        budget, requests, tokens = self.job.budget, self.work.requests, self.tokens.together
        found = []
        if requests and budget.max_cost is not None and self.cost is not None:
            limit = Limit("max_cost", budget.max_cost, spent.cost or 0.0, budget.currency)
            found.append(expected_stop(limit, self.cost, requests))
        if requests and budget.max_tokens is not None:
            limit = Limit("max_tokens", budget.max_tokens, spent.tokens)
            found.append(expected_stop(limit, tokens, requests))
        return [sentence for sentence in found if sentence]


def _expected(job: Job, stored: Stored, *, most: int | None = None) -> _Expected:
    """What a job will take. most: rows to look at, spread over all; None for every one."""
    from llmframe.engine import forecast

    newest = stored.newest_answers()
    rows = _count(job, stored, newest, most)
    # without a file the memory of previews holds answers to other questions, too
    if job.settings.checkpoint is False:
        newest = {key: taken for key, taken in newest.items() if key in rows.sizes}
    learnt, sample = _learnt_and_sample(job, rows.text)
    plain, wide = (_work(rows, sample, kind, total=job.rows.n) for kind in (False, True))
    work = plain.plus(wide)
    sizes = ((rows.sizes.get(key, (None, False)), taken) for key, taken in newest.items())
    answered = [forecast.Answered(size, *taken, is_wide) for (size, is_wide), taken in sizes]
    size, cap = forecast.answer_size(job.prompt.fields.specs), job.settings.max_output_tokens
    tokens = forecast.forecast_tokens(plain, wide, answered, learnt=learnt, size=size, cap=cap)
    seconds = None
    if job.settings.mode == "live":
        latency, pace = forecast.latency_of(answered, learnt), forecast.pace_of(job, learnt)
        seconds = forecast.forecast_seconds(work, tokens, latency=latency, pace=pace)
    return _Expected(
        job=job,
        rows=rows,
        work=work,
        sample=sample,
        learnt=learnt,
        answered=answered,
        tokens=tokens,
        cost=_cost(job, tokens, answered, work.requests),
        seconds=seconds,
    )


def _count(job: Job, stored: Stored, measured: Collection[bytes], most: int | None) -> _Rows:
    """Count the rows. measured: keys of answers for whose texts the sizes are wanted."""
    from llmframe.engine.forecast import is_wide

    rows, left = _Rows(), dict[bytes, float]()
    for text in job.texts(most):
        rows.seen += 1
        if not isinstance(text, str):
            rows.skipped += text.status == "skipped"
            rows.unsent += text.status == "failed"
            rows.done += text.status == "ok"  # an example of the person's
            continue
        key = job.keys.key(text)
        if key not in left:
            size, under = len(text.encode()), _stored_under(job, stored, key, text)
            left[key] = _requests_left(job, stored, under, text)
            if under is not None and under in measured:
                rows.sizes[under] = size, is_wide(text, size)
            if left[key]:
                rows.text = rows.text if rows.unanswered else text
                rows.unanswered += 1
                wide = is_wide(text, size)
                requests, text_bytes = rows.left[wide]
                rows.left[wide] = requests + left[key], text_bytes + left[key] * size
            rows.text = rows.text or text
        rows.done += not left[key]
    rows.distinct = len(left)
    return rows


def _requests_left(job: Job, stored: Stored, under: bytes | None, text: str) -> float:
    """Requests that a text needs, whose answer is stored under a key; with votes on average."""
    # reuse=False pays again, whatever is stored
    if not job.settings.reuse:
        under = None
    if job.votes is None:
        return float(under is None)
    return job.votes.left(text, None if under is None else stored.get(under), stored.get)


def _stored_under(job: Job, stored: Stored, key: bytes, text: str) -> bytes | None:
    """The key under which the answer to a text is stored; None if there is no valid one."""
    fields = job.prompt.fields
    for each in (key, *(keys.key(text) for keys in job.keys.earlier)):
        if not stored.holds(each):
            continue
        # a validator of the person's may have changed since: its stored answers are checked again
        if not fields.has_hidden_rules:
            return each
        answer = stored.get(each)
        if answer is not None and fields.holds(answer.values or {}):
            return each
    return None


def _learnt_and_sample(job: Job, text: str) -> tuple[Learnt | None, dict[str, Any]]:
    """What is known of the model, and the request for a text as it would be sent now."""
    from llmframe.engine.execution import asker_for
    from llmframe.engine.governor import governor_for
    from llmframe.engine.row import Row

    learnt, dialect, url = None, job.dialect, job.endpoint.base_url.rstrip("/")
    if url:  # a local model that is not started yet has none
        governor = governor_for(url, job.endpoint.api_key, job.model, dialect=dialect)
        learnt, dialect = governor.learnt(), governor.dialects.dialect
    return learnt, asker_for(job).body(Row(0, b"", text), dialect) if text else {}


def _work(rows: _Rows, sample: dict[str, Any], wide: bool, *, total: int) -> Work:
    """The requests that are left for texts of a kind. total: rows, of which some were seen."""
    from llmframe.engine.forecast import Work

    # scale up from the sample to the whole frame
    share = total / max(1, rows.seen)
    whole = sum(len(str(message["content"]).encode()) for message in _messages(sample))
    # Chat Completions has it under response_format, the Responses API under text.format
    schema = sample.get("response_format") or sample.get("text", {}).get("format") or ""
    return Work(
        requests=round(share * rows.left[wide][0]),
        text_bytes=round(share * rows.left[wide][1]),
        prompt=max(0, whole - len(rows.text.encode())),
        schema=len(str(schema)),
    )


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a request to either of the APIs."""
    messages: list[dict[str, Any]] = body.get("messages") or body.get("input") or []
    return messages


def _cost(job: Job, tokens: Tokens, answered: Sequence[Answered], requests: int) -> Range | None:
    """What the tokens cost: as the endpoint says, else by the prices; None if neither is known."""
    from llmframe.engine.forecast import forecast_cost, mean_of
    from llmframe.providers.prices import stated_currency

    prices, currency = job.budget.prices, job.budget.currency
    charged = [
        one.usage.cost
        for one in answered
        if one.usage.cost is not None and one.usage.currency == currency
    ]
    # what an endpoint says that it charged (OpenRouter) is truer than a price list
    if charged and (prices is None or stated_currency(job.endpoint.base_url)):
        return mean_of(charged).times(requests)
    if prices is None:
        return None
    return forecast_cost(tokens, prices.in_batch if job.settings.mode == "batch" else prices)


def _batch_saves(expected: _Expected) -> float | None:
    """What the requests cost less in batches than live; None where there are none, or no prices."""
    from llmframe.engine.forecast import forecast_cost
    from llmframe.providers.batch_limits import batch_limits

    prices, url = expected.job.budget.prices, expected.job.endpoint.base_url
    # a batch cannot be voted on
    if prices is None or batch_limits(url) is None or expected.job.settings.votes != 1:
        return None
    live, batch = (forecast_cost(expected.tokens, each) for each in (prices, prices.in_batch))
    return live.likely - batch.likely


def _estimate(expected: _Expected, path: str | None, *, notes: tuple[str, ...]) -> Estimate:
    from llmframe.messages.estimates import based_on
    from llmframe.notebook.estimate_view import Estimate

    job, rows, (ins, cached, outs, _) = expected.job, expected.rows, expected.tokens
    cost, seconds, messages = expected.cost, expected.seconds, _messages(expected.sample)
    is_timed = seconds is not None and not math.isnan(seconds.likely)
    return Estimate(
        rows=job.rows.n,
        distinct=rows.distinct,
        done=rows.done,
        skipped=rows.skipped,
        unsent=rows.unsent,
        unanswered=rows.unanswered,
        requests=expected.work.requests,
        tokens_in=round(ins.likely),
        # both are forecast by themselves, and more than all cannot be cached
        tokens_cached=round(min(cached.likely, ins.likely)),
        tokens_out=round(outs.likely),
        cost=None if cost is None else cost.likely,
        minutes=seconds.likely / 60 if seconds is not None and is_timed else None,
        tokens_in_range=(ins.low, ins.high),
        tokens_out_range=(outs.low, outs.high),
        cost_range=None if cost is None else (cost.low, cost.high),
        minutes_range=None if seconds is None else (seconds.low / 60, seconds.high / 60),
        currency=job.budget.currency,
        model=job.model,
        mode=job.settings.mode,
        based_on=based_on(
            expected.tokens,
            answers=len(expected.answered),
            ratio=None if expected.learnt is None else expected.learnt.ratio,
            is_timed=is_timed or seconds is None,
        ),
        measured=len(expected.answered),
        checkpoint=path,
        sample={"messages": messages, "schema": job.prompt.fields.schema} if messages else None,
        batch_saves=_batch_saves(expected),
        extend_saves=None,
        is_free=not job.budget.price_missing and job.budget.prices is None,
        notes=notes,
    )
