"""Choosing the parts of a call and wiring them: every mistake of the caller is found here.

The one place that knows what each option does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmframe.calls.destination import find_destination, start_local
from llmframe.engine.asking.asking import Sampling
from llmframe.engine.asking.keys import KeyMaker
from llmframe.engine.asking.outgoing import TextRules
from llmframe.engine.execution import Execution
from llmframe.engine.job import Job
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.patience import Patience
from llmframe.engine.wire.client import has_default_transport
from llmframe.errors import PlanError, warn
from llmframe.frame.columns import plan_columns
from llmframe.frame.rows import plan_rows, snapshot
from llmframe.journal import TaskInfo, adopt_plain, id_text, open_checkpoint, own_path
from llmframe.providers.address import proxy_of
from llmframe.providers.destination import Destination
from llmframe.runs.run import Run, Target
from llmframe.secret import hide_keys, hide_secrets
from llmframe.task.confidence import is_choice
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from llmframe.task.prompt import PROMPT_VERSION, Prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from llmframe.frame.rows import RowPlan
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.providers.endpoint import Endpoint

LOOKED_AT = 2000  # rows whose texts tell how long a context a local model needs


@dataclass(frozen=True, slots=True)
class Call:
    """One call, planned: nothing is sent yet.

    notes: what the person should know about the provider and the checkpoint.
    """

    run: Run
    settings: Settings
    notes: tuple[str, ...]


def plan(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
    *,
    own_loop: bool = True,
    only_new: bool = False,
    opening: Callable[[], None] = lambda: None,
) -> Call:
    """A call, wired and ready to send.

    own_loop: it will run on llmframe's loop, else on the caller's. opening: told before
    anything is opened or locked.
    """
    import openai  # noqa: F401 - here, not on the run's loop, which it would hold up

    prompt = Prompt(settings.instructions, resolve_fields(fields, into=settings.into))
    _check_confidence(prompt, settings)
    rows = plan_rows(df, input, id=settings.id)
    rules = _rules(settings)
    own_path(settings.checkpoint)  # a path that cannot be fails before a server is started
    place = find_destination(settings, own_loop=own_loop and settings.runner != "nest")
    settings = place.settings
    asked = _asked(prompt, settings, place)
    keys = KeyMaker(asked)
    columns = plan_columns(
        df.iloc[:, :0] if only_new else df,
        prompt.fields.specs,
        inputs=() if only_new else rows.reserved,
        prefix=settings.prefix,
        overwrite=settings.overwrite,
        details=settings.details,
        confidence=settings.confidence is not None,
        task=keys.digest.hex()[:12],
    )
    budget = _budget(settings, place)
    place = start_local(place, need=lambda: _need(prompt, rows, settings))
    settings, endpoint = place.settings, place.ready
    held = snapshot(df)
    opening()
    checkpoint = open_checkpoint(
        settings.checkpoint,
        TaskInfo(keys.digest, _readable(asked, endpoint)),
        ids=settings.id is not None,
        adopt=settings.adopt,
        texts=settings.store_input,
    )
    try:
        notes = _adopt(checkpoint, rows, keys, prompt, settings, rules)
    except BaseException:
        if checkpoint is not None:
            checkpoint.close()
        raise
    job = Job(
        rows=rows,
        keys=keys,
        prompt=prompt,
        model=str(settings.model),
        sampling=_sampling(settings),
        patience=Patience(settings.timeout, settings.deadline, settings.max_attempts),
        endpoint=endpoint,
        endpoint_identity=place.identity,
        dialect=place.dialect,
        at_once=place.at_once,
        concurrency=settings.concurrency,
        rpm=settings.rpm,
        tpm=settings.tpm,
        budget=budget,
        checkpoint=checkpoint,
        reuse=settings.reuse,
        rules=rules,
        store_input=settings.store_input,
        raise_on_failure=settings.on_error == "raise",
        hedge=settings.hedge,
        keep_raw=settings.details,
    )
    target = Target(
        df=held,
        inputs=rows.columns,
        columns=columns,
        only_new=only_new,
        raise_incomplete=settings.on_incomplete == "raise",
    )
    notes = (*place.notes, *_proxy_notes(endpoint), *notes)
    return Call(Run(Execution(job), target, url=place.title), settings, notes)


def _check_confidence(prompt: Prompt, settings: Settings) -> None:
    if settings.confidence is not None and not any(map(is_choice, prompt.fields.specs)):
        raise PlanError(
            'confidence="logprob" is the probability of a label, and no field is a closed choice; '
            "leave it out, or ask for one of a list of labels"
        )


def _rules(settings: Settings) -> TextRules:
    """What is done to every text; PlanError for a cut without a length."""
    if settings.on_long == "truncate" and settings.max_input_tokens is None:
        raise PlanError(
            'on_long="truncate" needs a length to cut to: give max_input_tokens=<tokens of a text, '
            "reckoned as a quarter of its UTF-8 bytes>"
        )
    return TextRules(settings.redact, settings.max_input_tokens, settings.on_long == "truncate")


def _sampling(settings: Settings) -> Sampling:
    return Sampling(
        temperature=settings.temperature,
        seed=settings.seed,
        max_output_tokens=settings.max_output_tokens,
        extra_body=settings.extra_body,
        logprobs=settings.confidence == "logprob",
    )


def _asked(prompt: Prompt, settings: Settings, place: Destination) -> dict[str, Any]:
    """What is asked of every row: it makes the keys, and stands readable in the checkpoint."""
    asked: dict[str, Any] = {
        "version": PROMPT_VERSION,
        "model": settings.model,
        "endpoint": place.identity,
        "instructions": prompt.instructions,
        "fields": prompt.fields.canonical,
    }
    sampling = _sampling(settings).asked()
    return asked | {"sampling": sampling} if sampling else asked


def _readable(asked: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The same for a file that people read: without keys, wherever the person has put them."""
    if "sampling" in asked:
        asked = {**asked, "sampling": hide_secrets(asked["sampling"])}
    told = hide_keys(json.dumps(asked), endpoint.secrets)
    readable: dict[str, Any] = json.loads(told)
    return readable


def _need(prompt: Prompt, rows: RowPlan, settings: Settings) -> int:
    """Tokens of the longest prompt with its answer, generously, by the first rows."""
    texts = rows.texts(0, min(rows.n, LOOKED_AT))
    longest = max((len(text.encode()) for text in texts if text), default=0)
    asked = len(prompt.system("json_object").encode()) + longest
    return asked // 2 + (settings.max_output_tokens or 0)


def _proxy_notes(endpoint: Endpoint) -> tuple[str, ...]:
    """Through whose hands the requests go, where the environment says so."""
    ours = endpoint.client is None or has_default_transport(endpoint.client)
    proxy = proxy_of(endpoint.base_url) if ours else None
    if proxy is None:
        return ()
    return (f"requests go through the proxy {hide_secrets(proxy)} of the environment",)


def _budget(settings: Settings, place: Destination) -> Budget:
    """What the run may spend; PlanError for a budget of money where no price is known."""
    prices = place.prices
    if settings.max_cost is not None and prices is None:
        raise PlanError(
            f"max_cost={settings.max_cost:g} needs the prices of {settings.model!r}, which are not "
            "known: give prices=(per million tokens in, per million out), or install genai-prices"
        )
    return Budget(max_cost=settings.max_cost, max_tokens=settings.max_tokens, prices=prices)


def _adopt(
    checkpoint: Checkpoint | None,
    rows: RowPlan,
    keys: KeyMaker,
    prompt: Prompt,
    settings: Settings,
    rules: TextRules,
) -> tuple[str, ...]:
    """Take over a plain file if asked to; returns the checkpoint's notes for the person."""
    if checkpoint is not None and checkpoint.notes:
        warn(" ".join(checkpoint.notes))
    if not settings.adopt:
        return () if checkpoint is None else tuple(checkpoint.notes)
    if checkpoint is None or settings.id is None:
        raise PlanError(
            "adopt=True takes over a file by ids: give checkpoint=<path> and id=<column>"
        )
    rows.check_unique_ids()
    texts = zip(rows.ids(0, rows.n) or [], map(rules.prepare, rows.texts(0, rows.n)), strict=True)
    key_of = {id_text(row_id): keys.key(text) for row_id, text in texts if isinstance(text, str)}
    report = adopt_plain(
        checkpoint, key_of, lambda values: parse_reply(json.dumps(values), prompt.fields)
    )
    return (*checkpoint.notes, f"{checkpoint.path.name}: {report.sentence}")
