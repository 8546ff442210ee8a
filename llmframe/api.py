"""The calls: plan, hand over to a runner, show. What they need is loaded at the first call."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from llmframe import runner
from llmframe.config import Options, settle
from llmframe.engine.advice import how_to_go_on, on_long_texts
from llmframe.errors import PlanError
from llmframe.plainly import told_plainly
from llmframe.run import Run, registry
from llmframe.signature import with_options

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from llmframe.config import Settings
    from llmframe.notebook.check_view import Check
    from llmframe.notebook.stage import Shown, Stage
    from llmframe.notebook.summary import Summary
    from llmframe.notebook.view import Ending
    from llmframe.planning import Call

OWN_RUNNER = ("runner",)  # what a call that has its own runner does not take
OF_FRAMES = ("overwrite", "id", "adopt")  # what one column does not take
OF_CHECK = (
    "provider", "base_url", "api_key", "client", "allow_http", "model",
    "instructions", "temperature", "seed", "max_output_tokens", "extra_body", "prices", "timeout",
)  # fmt: skip


@with_options()
def tag(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Fill new columns of a frame by asking a model about every row; blocks, shows progress.

    df: n rows, any index; it is not changed.
    input: a column's name, a template such as ``"{subject}: {body}"``, or a list of columns.
    fields: what to ask for: a dict of name -> field, a pydantic model class, or one field
        (it fills the column ``into``). A field is a list of labels, an Enum, a dict
        label -> description, or a type such as ``str``, ``int``, ``bool``, ``date``,
        ``list[Literal["a", "b"]]``, ``float | None``.

    Returns a new frame of n rows, index and order kept: the old columns, the fields, then
    ``llm_status`` (ok, failed, skipped, pending) and ``llm_error``. Rows that ask the same
    are asked once; blank rows are skipped; a failed row says why and costs no other row.
    Run it again to go on where it stopped: answers in the checkpoint are never paid again.

    Raises PlanError for a mistake in the call, before anything is sent; RunAborted when no
    row can succeed (wrong key, no credit, unknown model); CheckpointError when answers can
    no longer be kept. KeyboardInterrupt stops it within two seconds; then
    ``llmframe.last_run().partial()`` holds the frame.
    """
    return _block(df, input, fields, settle(options))


@with_options(without=OWN_RUNNER)
async def atag(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Like ``tag``, as a coroutine on the caller's own event loop.

    A cancel stops it: what is in flight has a second to come back into the checkpoint.
    """
    call = _plan(df, input, fields, _settle(options, OWN_RUNNER), own_loop=False)
    with _given_up_unless_begun(call):
        shown = _open(call, blocking=False)
        try:
            await runner.run_here(call.run, shown.refresh)
        finally:
            shown.close()
    return call.run.outcome()


@with_options(without=OWN_RUNNER)
def start(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> Run:
    """Like ``tag``, in the background: returns a Run at once, other cells can be run.

    While a run of the same plan over an equal frame is alive, that Run is returned.
    """
    runner.refuse_own_thread()
    with runner.interruptible() as interrupts:
        settings = _settle(options, OWN_RUNNER)
        planned = _plan(df, input, fields, settings, opening=interrupts.opening)
        with _given_up_unless_begun(planned):
            call = _join(planned)
            interrupts.stop(call.run)
            shown = _open(call, blocking=False)
            if call.run.loop is None:
                runner.begin(call.run)
            shown.watch_in_background()
    return call.run


@with_options(without=OF_FRAMES)
def tag_series(series: pd.Series[Any], fields: object, **options: Unpack[Options]) -> pd.DataFrame:
    """Like ``tag`` for one column of text: returns only the new columns, on its index."""
    frame = series.to_frame("text" if series.name is None else series.name)
    settings = _settle(options, OF_FRAMES)
    return _block(frame, frame.columns[0], fields, settings, only_new=True)


@with_options(only=OF_CHECK)
def check(**options: Unpack[Options]) -> Check:
    """Ask the endpoint one small thing and show what it is and can do, line by line.

    It costs one request of about 200 tokens in and at most 256 out; another is sent only
    where a way of asking is refused (which is not charged). What is wrong comes with its cure;
    what could not be seen has neither yes nor no. It looks like this::

        llmframe: https://api.example.com/v1, small-model
          reachable           yes  it answers
          key accepted        yes  from the environment variable OPENAI_API_KEY
          model               yes  small-model
          response format     yes  json_schema, and the answer keeps to it
          logprobs                 yes
          rate-limit headers       600 requests, 90,000 tokens a minute
          latency                  0.74 s
          price                    1,000 rows like this one cost 0.137, in the currency of the
                                   prices (127 tokens in, 5 out each)

    Of the options, which are explained at ``tag``, it uses these, given here or by ``configure``:

    provider, base_url, api_key, client, allow_http, model: whom to ask.
    instructions, temperature, seed, max_output_tokens, extra_body: how to ask; the record is
        its own, and without max_output_tokens the answer may have 256 tokens.
    prices: what the price is reckoned by.
    timeout: seconds, for all of it; 10 where it is not given. A local model's start is not
        counted.

    All others may be given, too, and change nothing. Returns what it shows: ``.ok`` (nothing
    was found wrong), ``.lines``. Raises PlanError where nothing is configured.
    """
    from llmframe.checking import look
    from llmframe.notebook.check_view import Check

    settings = settle(options)
    timeout = settings.timeout if "timeout" in settings.given else None
    check = Check(*look(settings, timeout=timeout))
    check.show()
    return check


def errors(df: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """See LLMAccessor.errors."""
    from llmframe.notebook.reading import failed_rows

    return failed_rows(df, prefix)


def summary(df: pd.DataFrame, prefix: str = "") -> Summary:
    """See LLMAccessor.summary."""
    from llmframe.notebook.summary import summarise

    return summarise(df, prefix)


@told_plainly
def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What made a file that ``df.llm.to_parquet`` or ``df.llm.to_excel`` wrote.

    Returns ``llmframe`` (the version that wrote it), ``created`` (UTC), ``rows`` and
    ``columns``: what llmframe wrote, by name, with ``task``, ``type`` and ``categories``. Of
    the frame's latest call, as far as the frame knew: ``task``, ``model``, ``endpoint`` (its
    host), ``checkpoint`` (the file's name), ``counts`` of rows by status, ``tokens_in``,
    ``tokens_out``, ``cost``. No data is read. Raises PlanError for any other file.
    """
    from llmframe.frame.export import metadata

    return metadata.read_metadata(path)


@told_plainly
def read_parquet(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The frame that ``df.llm.to_parquet`` wrote, as it was.

    Like ``pandas.read_parquet``, and brings back what that does not: lists and dicts as such,
    closed choices of numbers, and the labels of choices in a file without rows. Any other
    parquet file is read as pandas reads it. Raises PlanError for what is no parquet file.
    """
    from llmframe.frame.export import reading

    return reading.read_parquet(path)


@told_plainly
def read_checkpoint(path: str | os.PathLike[str], task: str | None = None) -> pd.DataFrame:
    """The answers in a checkpoint, without the frame that was tagged: a dead run's work.

    path: a file, or a folder of them such as ``.llmframe``. task: the hash that begins with
    this; by default the task that was written to last. Nothing is made, locked or changed, and
    a run may be writing the file meanwhile.

    Returns one row per ``id`` (per key where the run had no ``id=``): ``id``, the fields, typed
    as ``tag`` types them, ``status`` (ok or failed), ``error`` (its kind), ``model``,
    ``tokens_in``, ``tokens_out``, ``cost`` and ``time`` (UTC). Rows that share an answer show it
    each, with what it cost. A field of one of these names keeps it; ours then begins with
    ``llm_``. Damaged lines are skipped, with one warning.

    Raises PlanError where there is no checkpoint or no such task, and lists those there are;
    CheckpointError where it cannot be read.
    """
    from llmframe.frame.checkpoints import read_checkpoint as read

    return read(path, task)


@told_plainly
def compact(checkpoint: str | os.PathLike[str]) -> int:
    """Rewrite a checkpoint file without the lines that count no more; the bytes saved.

    What stays: the tasks, the newest answer (else failure) of every row, all ids. Killed or
    failing at any moment, it leaves the old file or the new one, whole. Raises PlanError for what
    is no such file, CheckpointError while any process writes it.
    """
    from llmframe.engine.journal import compact as compact_file

    return compact_file(checkpoint)


def _settle(options: Mapping[str, Any], without: tuple[str, ...]) -> Settings:
    """The options of a call that does not take all of them; configured ones do no harm."""
    for name in without:
        if name in options:
            raise PlanError(f"{name}= has no meaning for this call; leave it out")
    return settle(options, without=without)


def _block(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
    *,
    only_new: bool = False,
) -> pd.DataFrame:
    """Wait in the cell for a run, or for one of the same plan that is alive already."""
    runner.refuse_own_thread()
    nested = settings.runner == "nest" and runner.can_nest()
    if not nested:
        settings = replace(settings, runner="thread")
        runner.refuse_to_hold_up()
    with runner.interruptible() as interrupts:
        opening = interrupts.opening
        planned = _plan(df, input, fields, settings, only_new=only_new, opening=opening)
        with _given_up_unless_begun(planned):
            call = planned if nested else _join(planned)
            interrupts.stop(call.run)
            shown = _open(call, blocking=True)
            try:
                if nested:
                    runner.run_nested(call.run, shown.refresh)
                else:
                    runner.wait_in_cell(call.run, shown.refresh, interrupts)
            finally:
                shown.close("interrupted" if interrupts.count else "")
    return call.run.outcome()


@contextlib.contextmanager
def _given_up_unless_begun(planned: Call) -> Iterator[None]:
    """Let go of the checkpoint that planning has locked where something hinders the run."""
    try:
        yield
    except BaseException:
        if planned.run.loop is None:
            _give_up(planned)
        raise


def _give_up(call: Call) -> None:
    """Close the checkpoint of a run that nobody will begin."""
    checkpoint = call.run.execution.job.checkpoint
    if checkpoint is not None:
        checkpoint.close()


def _join(call: Call) -> Call:
    """The call with the run of the same plan that is alive, if one is; its own is given up."""
    alive = registry.find(call.run)
    if alive is None:
        return call
    _give_up(call)
    return replace(call, run=alive)


def _stage(call: Call) -> Stage:
    """Where the call's run is shown; one for all calls that share the run."""
    run = call.run
    stage: Stage | None = run.stage
    if stage is None:
        from llmframe.notebook.stage import Stage
        from llmframe.notebook.watch import Watcher

        peek = Watcher(run.execution.job.rows, run.label)
        run.execution.observe(peek)
        stage = run.stage = Stage(
            run,
            progress=call.settings.progress,
            peek=peek,
            ending=lambda headline: _ending(call, headline),
        )
    return stage


def _open(call: Call, *, blocking: bool) -> Shown:
    """Show the call's run in this cell."""
    return _stage(call).open(blocking=blocking, progress=call.settings.progress)


def _ending(call: Call, headline: str) -> Ending:
    """The run as it is now, for the card. headline: the run's status if empty."""
    from llmframe.notebook.view import Ending

    run = call.run
    failure, report = run.failure_message, run.report
    return Ending(
        snapshot=run.snapshot(failure),
        report=replace(report, checkpoint=_from_here(report.checkpoint)),
        model=run.execution.job.model,
        headline=headline or run.status,
        next_step=how_to_go_on(report, cured=run.status == "aborted"),
        notes=(*call.notes, *on_long_texts(report)),
    )


def _from_here(path: str | None) -> str | None:
    """A path as it is seen from the working directory, where it lies in there."""
    if path is None:
        return None
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (OSError, ValueError):  # the directory is gone, or the path lies elsewhere
        return path


def _plan(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    fields: object,
    settings: Settings,
    **how: Any,
) -> Call:
    """See planning.plan, which is imported when it is needed."""
    from llmframe.planning import plan

    return plan(df, input, fields, settings, **how)
