"""The calls: plan, join or open a run, show it, wait for it. What they need is imported lazily."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

from llmframe.errors import PlanError
from llmframe.options.coroutines import is_awaited
from llmframe.options.layers import settle
from llmframe.options.settings import Options
from llmframe.options.signature import with_options
from llmframe.runs import cell, here, thread
from llmframe.runs.run import Run
from llmframe.runs.session import registry
from llmframe.system.loops import require_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from llmframe.calls.plan import Plan
    from llmframe.notebook.stage import OpenView
    from llmframe.notebook.view import LiveRows
    from llmframe.options.settings import Settings
    from llmframe.report import RunReport
    from llmframe.runs.session import Session

OWN_RUNNER = ("runner",)  # options that a call with its own runner does not take
ATAG = "write `await df.llm.atag(...)`, which lets other tasks go on meanwhile"
# options that a call for one column does not take
OF_FRAMES = ("overwrite", "id", "adopt", "extend")


@with_options()
def tag(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Ask a model about every row and return a new frame with the answers as columns.

    >>> out = df.llm.tag("text", {"intent": ["refund", "delivery", "other"],
    ...                           "stars": int, "summary": str})

    input: what to ask about: the name of a column, a template such as
        ``"{subject}: {body}"``, or a list of columns, which is sent as JSON.
    fields: what to ask for: a dict of names and fields, a pydantic model class, or a
        single field. A field is a list of labels, a dict of labels and their
        descriptions, an Enum, or a type such as ``str``, ``int``, ``bool``, ``date``,
        ``float | None`` or ``list[Literal["a", "b"]]`` (several labels).

    {options}

    The cell waits and shows the progress. Run it again to go on where it stopped: saved
    answers are never paid for twice. The frame itself is not changed.

    Returns the old columns, then the fields, then ``llm_status`` (ok, failed, skipped
    or pending) and ``llm_error``; the rows and the index stay as they are. Equal rows
    are asked once, blank rows are skipped; a failed row says why and stops no other.

    Raises PlanError for a mistake in the call, before anything is sent; RunAborted when
    no row can succeed (wrong key, no credit, unknown model); CheckpointError when
    answers can no longer be saved. An interrupt stops it within two seconds; so does a
    time limit of your own (a signal's handler that raises).
    ``llmframe.last_run().partial()`` then returns the frame so far.

    More examples::

        # one field over two columns, with instructions
        df.llm.tag("{subject}: {body}", ["spam", "ham"], into="kind",
                   instructions="Spam is what nobody asked for.")

        # several labels a row, each with a column True or False
        df.llm.tag("text", {"topics": list[Literal["price", "taste"]]},
                   explode="indicator")

        # texts with their right answers, which every request shows
        df.llm.tag("text", {"tone": ["good", "bad"]},
                   examples=[("Never again.", "bad")])

        # labels with descriptions, and how sure the model is
        df.llm.tag("text", {"mood": {"good": "will come again", "bad": "will not"}},
                   confidence="logprob")

        # one more field later, asked for alone; then the failed rows again
        out = out.llm.tag("text", {"stars": int, "polite": bool}, extend=True)
        out = out.llm.tag("text", {"stars": int}, where="llm_status == 'failed'")

        # only some rows, and their answers put beside all others
        some = df[df["stars"] < 3]
        df.join(some["text"].llm.tag(["refund", "delivery", "other"], into="intent"))
    """
    from llmframe.calls.plan import plan

    refuse_await("tag", ATAG)
    return run_in_cell(settle(options), partial(plan, df, input, fields))


@with_options(without=OWN_RUNNER)
async def atag(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Like ``tag``, as a coroutine on the caller's own event loop.

    >>> out = await df.llm.atag("text", {"tone": ["good", "bad"]})

    A cancel stops it: requests in flight have one second to come back into the checkpoint.

    {options}
    """
    from llmframe.calls.opening import open_run
    from llmframe.calls.plan import plan

    require_asyncio("atag")
    settings = settle(options, without=OWN_RUNNER)
    with open_run(plan(df, input, fields, settings, own_loop=False)) as session:
        _note_expected_stop(session)
        shown = _show(session, settings, blocking=False)
        headline = "interrupted"  # as long as the call may not return
        try:
            await here.run_here(session, shown.refresh)
            headline = ""
        finally:
            shown.close(headline)
    return session.outcome()


@with_options(without=OWN_RUNNER)
def start(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    **options: Unpack[Options],
) -> Run:
    """Like ``tag``, in the background: returns a Run immediately, and other cells can be run.

    >>> run = df.llm.start("text", {"tone": ["good", "bad"]})
    >>> out = run.result()  # waits; run.partial() does not

    While a run with the same plan over an equal frame is going on, that Run is returned; with
    another key or address it is a run of its own.

    {options}
    """
    from llmframe.calls.plan import plan

    thread.refuse_own_thread()
    settings = settle(options, without=OWN_RUNNER)
    with cell.interruptible() as interrupts:
        planned = plan(df, input, fields, settings)
        with _joined_or_opened(planned, interrupts) as session:
            shown = _show(session, settings, blocking=False)
            if session.loop is None:  # else it is a run that was joined, and goes on already
                thread.begin(session)
            shown.refresh_in_background()
    return cast("Run", session.handle)


@with_options(without=OF_FRAMES)
def tag_series(series: pd.Series[Any], fields: object, **options: Unpack[Options]) -> pd.DataFrame:
    """Like ``tag`` for one column of text; returns only the new columns, on its index.

    >>> tones = df["text"].llm.tag({"tone": ["good", "bad"]})
    >>> df.join(tones)  # the other columns, too, also after a filter

    {options}
    """
    from llmframe.calls.plan import plan

    # The plan finds its input by the column's name, so a series without one gets one here.
    frame = series.to_frame("text" if series.name is None else series.name)
    refuse_await("tag", ATAG)
    settings = settle(options, without=OF_FRAMES)
    return run_in_cell(settings, partial(plan, frame, frame.columns[0], fields, only_new=True))


def run_in_cell(
    settings: Settings,
    make_plan: Callable[[Settings], Plan],
    *,
    on_open: Callable[[Session], LiveRows | None] = lambda _: None,
    in_short: Callable[[RunReport], str] | None = None,
) -> pd.DataFrame:
    """Run in the cell, or wait there for the run of the same plan that is alive already.

    on_open: called with the run before it begins, or with the one that is alive; returns the rows
    of a live preview. in_short: makes the sentence that stands in place of the card where every
    row was answered.
    """
    thread.refuse_own_thread()
    nested = settings.runner == "nest" and here.can_nest()
    if not nested:
        # can_nest has warned of a loop that cannot be re-entered: the thread works everywhere.
        settings = replace(settings, runner="thread")
        cell.refuse_to_hold_up()
    with cell.interruptible() as interrupts:
        planned = make_plan(settings)
        # a nested run cannot wait for another: both would need this thread
        with _joined_or_opened(planned, interrupts, join=not nested) as session:
            shown = _show(session, settings, blocking=True, live=on_open(session))
            session.warn_if_paused()
            try:
                if nested:
                    here.run_nested(session, shown.refresh)
                else:
                    cell.wait_in_cell(session, shown.refresh, interrupts)
            except BaseException:
                session.leave()  # whatever ends the call, no run may go on spending unseen
                raise
            finally:
                headline = "interrupted" if interrupts.count else ""
                shown.close(headline, sentence=_sentence(session, in_short))
                if shown.draws_card:
                    interrupts.leave_to_card()
    return session.outcome()


def _sentence(session: Session, in_short: Callable[[RunReport], str] | None) -> str:
    """The sentence in place of the card; "" where the card has more to say."""
    report = session.execution.report()
    is_whole = session.status == "finished" and not report.failed
    return in_short(report) if in_short is not None and is_whole else ""


def refuse_await(call: str, instead: str = "") -> None:
    """PlanError for ``await df.llm.tag(...)``, which would fail once everything is paid.

    call: its name. instead: what can be awaited in its place.
    """
    if is_awaited():
        raise PlanError(
            f"{call} waits by itself and returns the frame, so that nothing is left to await: "
            f"leave `await` out{', or ' if instead else ''}{instead}"
        )


@contextlib.contextmanager
def _joined_or_opened(
    planned: Plan, interrupts: cell.Interrupts, *, join: bool = True
) -> Iterator[Session]:
    """The run of the same plan that is alive, else a new one; interrupts stop it from now on."""
    from llmframe.calls.opening import open_run

    # Join before anything is opened: a call that joins must start no server and lock no file.
    alive = registry.find(planned.target) if join else None
    opened = open_run(planned, before_opening=interrupts.wait_for_run)
    with contextlib.nullcontext(alive) if alive is not None else opened as session:
        interrupts.stop(session)
        if alive is None:
            _note_expected_stop(session)
        yield session


def _note_expected_stop(session: Session) -> None:
    """Say before the first request that a limit will probably stop the run."""
    from llmframe.calls.estimate import expected_stops

    job = session.execution.job
    session.execution.expected_stop = sentence = " ".join(expected_stops(job))
    # every view shows it; a Python warning could be an error there, and would stop the run itself
    if sentence and job.settings.progress is False:
        logging.getLogger("llmframe").warning("%s", sentence)


def _show(
    session: Session, settings: Settings, *, blocking: bool, live: LiveRows | None = None
) -> OpenView:
    """Show the run in this cell; all calls that share a run share its stage."""
    if session.stage is None:  # else a joined run, which another cell shows, too
        from llmframe.calls.ending import make_ending
        from llmframe.notebook.hosts import assigned_here
        from llmframe.notebook.latest_rows import LatestRows
        from llmframe.notebook.stage import Stage
        from llmframe.task.definition import Kind

        specs = session.execution.job.prompt.fields.specs
        counted = (Kind.CHOICE, Kind.BOOLEAN, Kind.OBJECT)
        labelled = [spec.name for spec in specs if spec.kind in counted]
        vectors = [spec.name for spec in specs if spec.kind is Kind.VECTOR]
        label_of = session.target.df.index.__getitem__
        latest = LatestRows(session.target.rows, label_of, labelled, vectors=vectors, live=live)
        session.execution.observe(latest)
        assigned = assigned_here()
        session.stage = Stage(
            session,
            progress=settings.progress,
            latest=latest,
            ending=lambda headline: make_ending(session, headline, assigned),
        )
    return session.stage.open(blocking=blocking, progress=settings.progress)
