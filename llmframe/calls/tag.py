"""The calls: plan, hand over to a runner, show. What they need is loaded at the first call."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from llmframe.errors import PlanError
from llmframe.messages.endings import how_to_go_on, on_long_texts
from llmframe.options.layers import settle
from llmframe.options.settings import Options
from llmframe.options.signature import with_options
from llmframe.runs import cell, here, thread
from llmframe.runs.run import Run, registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from llmframe.calls.plan import Call
    from llmframe.notebook.stage import Shown, Stage
    from llmframe.notebook.view import Ending
    from llmframe.options.settings import Settings

OWN_RUNNER = ("runner",)  # what a call that has its own runner does not take
OF_FRAMES = ("overwrite", "id", "adopt")  # what one column does not take


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
            await here.run_here(call.run, shown.refresh)
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
    thread.refuse_own_thread()
    with cell.interruptible() as interrupts:
        settings = _settle(options, OWN_RUNNER)
        planned = _plan(df, input, fields, settings, opening=interrupts.opening)
        with _given_up_unless_begun(planned):
            call = _join(planned)
            interrupts.stop(call.run)
            shown = _open(call, blocking=False)
            if call.run.loop is None:
                thread.begin(call.run)
            shown.watch_in_background()
    return call.run


@with_options(without=OF_FRAMES)
def tag_series(series: pd.Series[Any], fields: object, **options: Unpack[Options]) -> pd.DataFrame:
    """Like ``tag`` for one column of text: returns only the new columns, on its index."""
    frame = series.to_frame("text" if series.name is None else series.name)
    settings = _settle(options, OF_FRAMES)
    return _block(frame, frame.columns[0], fields, settings, only_new=True)


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
    thread.refuse_own_thread()
    nested = settings.runner == "nest" and here.can_nest()
    if not nested:
        settings = replace(settings, runner="thread")
        cell.refuse_to_hold_up()
    with cell.interruptible() as interrupts:
        opening = interrupts.opening
        planned = _plan(df, input, fields, settings, only_new=only_new, opening=opening)
        with _given_up_unless_begun(planned):
            call = planned if nested else _join(planned)
            interrupts.stop(call.run)
            shown = _open(call, blocking=True)
            try:
                if nested:
                    here.run_nested(call.run, shown.refresh)
                else:
                    cell.wait_in_cell(call.run, shown.refresh, interrupts)
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
    from llmframe.calls.plan import plan

    return plan(df, input, fields, settings, **how)
