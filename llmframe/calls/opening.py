"""From a plan to a run: the local server is started, the checkpoint opened and read."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmframe.calls.destination import start_local
from llmframe.calls.identity import (
    StoredQuestions,
    answered_elsewhere,
    prompts_of,
)
from llmframe.engine.execution import Execution
from llmframe.engine.wire.client import has_default_transport
from llmframe.errors import warn
from llmframe.journal import TaskInfo, adopt_plain, id_text, open_checkpoint
from llmframe.messages import endings
from llmframe.messages.doubts import doubts
from llmframe.providers.address import proxy_of
from llmframe.runs.run import Run
from llmframe.runs.session import Session
from llmframe.secret import hide_keys, hide_secrets
from llmframe.task.parse import parse_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmframe.calls.plan import Plan
    from llmframe.journal import Checkpoint
    from llmframe.providers.endpoint import Endpoint

MEASURED = 2000  # rows whose texts are measured for the context that a local model needs


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
    checkpoint = open_stored(planned, endpoint)
    session: Session | None = None
    try:
        # warned of as well, before anything is sent: progress=False shows no card
        warned = doubts(planned.job.prompt.fields.specs)
        warned += checkpoint.notes if checkpoint is not None else ()
        for note in warned:
            warn(note)
        notes = [*filter(None, [planned.note]), *destination.notes, *_proxy_notes(endpoint)]
        notes += warned
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


def open_stored(planned: Plan, endpoint: Endpoint, *, read_only: bool = False) -> Checkpoint | None:
    """The call's checkpoint, read for all spellings of its question; None without one.

    read_only: nothing is made or locked.
    """
    settings, keys = planned.job.settings, planned.job.keys
    if settings.checkpoint is False:
        return None
    stored = StoredQuestions(planned.asked, keys, planned.earlier)
    checkpoint = open_checkpoint(
        settings.checkpoint,
        TaskInfo(
            keys.digest,
            _readable(planned.asked, endpoint),
            stored.same,
            planned.server,
            planned.target.rows.form,
            _prompts(planned),
        ),
        ids=settings.id is not None,
        adopt=settings.adopt,
        texts=settings.store_input,
        read_only=read_only,
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
    sent = longest + (0 if planned.job.capacity is not None else prompt.size("json_object"))
    # Two bytes a token is more than any common text needs; a context too small fails the row.
    return sent // 2 + (planned.job.settings.max_output_tokens or 0)


def _prompts(planned: Plan) -> dict[str, str] | None:
    """The prompt of each field, where the question does not tell it: it joins its examples."""
    prompt, form = planned.job.prompt, planned.target.rows.form
    return prompts_of(prompt, form) if prompt.examples and form else None


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
