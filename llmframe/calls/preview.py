"""``preview``: ask about a few rows first, and see their answers beside their texts."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Unpack

from llmframe.calls.tag import refuse_await, run_in_cell
from llmframe.errors import LLMFrameError
from llmframe.options.layers import settle, whole_number
from llmframe.options.settings import Options
from llmframe.options.signature import with_options

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from llmframe.calls.plan import Plan
    from llmframe.frame.column_lookup import ColumnLookup
    from llmframe.frame.sample import Sample
    from llmframe.notebook.estimate_view import Estimate
    from llmframe.notebook.live_preview import LivePreview
    from llmframe.notebook.preview_view import PreviewedRows
    from llmframe.options.settings import Settings
    from llmframe.report import RunReport
    from llmframe.runs.session import Session

ERROR = "llm_error"
MOST_REDACTED = 2_000  # rows that are redacted for an estimate: a function may take any time
OTHER = "other"  # the usual label for all that fits no other


@with_options(without=("seed",))
def preview(  # type: ignore[misc] # its seed= draws the sample
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    fields: object,
    n: int = 10,
    *,
    by: Hashable | None = None,
    seed: int = 0,
    live: bool = False,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Ask a model about a random sample of the rows, and see the answers beside the texts.

    >>> df.llm.preview("text", {"intent": ["refund", "delivery", "other"]}, by="language")

    input, fields: as in ``tag``.
    n: rows to ask about. They have distinct texts and none is blank.
    by: a column whose groups take turns, so that each has as many rows as any other.
    seed: another number draws other rows; the same draws the same again. (The model's own seed
        is set by ``lf.configure(seed=...)``.)
    live: True shows in a notebook how the answers are written, all of them side by side. What is
        kept and returned is the same; an endpoint that cannot stream answers as ever.

    {options}

    The answers go to the checkpoint that ``tag`` reads: neither ``tag`` nor another preview with
    the same question pays for them again. With ``checkpoint=False`` they are remembered until the
    process ends. With ``mode="batch"`` the sample is asked live, and the batch leaves it out.

    Returns a frame of the sampled rows, in the frame's order and with its index: the ``by=`` and
    ``id=`` columns, the input's columns, the answers, ``llm_status`` and ``llm_error`` (where an
    answer bears the name of the ``by=`` column, that one is ``<by>_before``). Displayed
    it shows each text with its answers or the reason of its failure, the labels with their
    numbers, how many rows of the frame have the same text, and what the whole frame will take.

    Raises as ``tag`` does.
    """
    refuse_await("preview")
    whole = {"n": whole_number("n", n, least=1), "seed": whole_number("seed", seed, least=0)}
    wanted = _Preview(df, input, fields, settle(options), by=by, live=bool(live), **whole)
    # hours of waiting for a few rows are no preview; the answers are the same
    settings = replace(wanted.settings, mode="live", batch_fallback=None)
    # the frame shows how its rows ended, and a card would say it twice
    out = run_in_cell(settings, wanted.plan, on_open=wanted.watch, in_short=wanted.in_short)
    return wanted.framed(out)


@dataclass(slots=True)
class _Preview:
    """One preview: what it is asked to show, and the rows drawn for it once it is planned."""

    df: pd.DataFrame
    input: object
    fields: object
    settings: Settings
    _: KW_ONLY
    n: int
    by: Hashable | None
    seed: int
    live: bool
    planned: Plan = field(init=False)
    asked: pd.DataFrame = field(init=False)
    read: tuple[Hashable, ...] = field(init=False)
    lookup: ColumnLookup = field(init=False)
    sample: Sample = field(init=False)

    def plan(self, settings: Settings) -> Plan:
        """Plan the call for rows drawn from the frame. Raises PlanError as ``tag`` does."""
        from llmframe.calls.plan import plan, rows_of
        from llmframe.frame.column_lookup import ColumnLookup
        from llmframe.frame.sample import draw
        from llmframe.frame.selection import selected

        # the whole frame first: a mistake that tag would find is found here, too
        selection = selected(self.df, settings.where)
        self.asked, rows = rows_of(self.df, self.input, settings, selection)
        self.lookup = lookup = ColumnLookup(self.asked)
        groups = None
        if self.by is not None:
            groups = lookup.series(lookup.resolve(self.by, option="by"))
        self.sample = draw(rows, self.n, seed=self.seed, groups=groups)
        # only what is read: a preview replaces no column, so no name can clash with others
        self.read = rows.columns if rows.id is None else (rows.id, *rows.columns)
        few = self._narrow().iloc[self.sample.at]
        planned = plan(few, self.input, self.fields, replace(settings, where=None))
        # only a live preview streams: an answer of a run counts when it is whole
        job = replace(planned.job, streams=self.live, remembers=True)
        self.planned = replace(planned, job=job)
        return self.planned

    def watch(self, session: Session) -> LivePreview | None:
        """The rows of a live preview, as they are written."""
        from llmframe.notebook.latest_rows import label_text
        from llmframe.notebook.live_preview import LivePreview

        if not self.live:
            return None
        index, execution = self.planned.target.df.index, session.execution
        live = LivePreview(
            self.planned.job.prompt.fields.specs,
            labels=[label_text(index.__getitem__, at) for at in range(len(index))],
            texts=self._texts(),
            results=execution.results,
        )
        execution.observe(live)
        return live

    def in_short(self, report: RunReport) -> str:
        """What the preview took, in a sentence."""
        from llmframe.notebook.drawing.format import plural
        from llmframe.notebook.drawing.spending import step_words

        return step_words(f"{plural(report.rows, 'row')} previewed", report)

    def framed(self, out: pd.DataFrame) -> PreviewedRows:
        """The returned frame, with what its view shows beside it."""
        from llmframe.frame.columns import STATUS
        from llmframe.notebook.preview_view import Facts, previewed

        plan, sample = self.planned.target.columns, self.sample
        if self.by is not None:
            self._show_groups(out, self.lookup.resolve(self.by, option="by"))
        columns = {output.name: output.column for output in plan.outputs}
        facts = Facts(
            texts=self._texts(),
            given=self.planned.target.df,
            alike=sample.alike,
            rows=sample.rows,
            distinct=sample.distinct,
            answers=[
                each.column
                for each in plan.outputs
                # where a quote begins and ends is for programs: the view highlights it
                if (each.is_field or each.is_confidence) and not each.name.endswith("_evidence_at")
            ],
            status=columns[plan.prefix + STATUS],
            error=columns[plan.prefix + ERROR],
            others=frozenset({OTHER, (self.settings.other or OTHER).casefold()}),
            unlabelled="unsure" if self.settings.abstain else "none",
            estimate=self._estimate(),
        )
        return previewed(out, facts)

    def _show_groups(self, out: pd.DataFrame, by: Hashable) -> None:
        """Put the column of the groups first, where it is not among the input's columns.

        An answer may bear its name: a new prompt tried on each label of an earlier call.
        """
        name = f"{by}_before" if _has(out, by) and by not in self.read else by
        if not _has(out, name):
            out.insert(0, name, self.lookup.series(by).iloc[self.sample.at].array)

    def _texts(self) -> list[str]:
        """The rows' texts as they were sent: what ``redact=`` takes out is not shown."""
        rows, rules = self.planned.target.rows, self.planned.job.rules
        texts = [rules.redacted(text) for text in rows.texts(0, rows.n)]
        return [text if isinstance(text, str) else "" for text in texts]

    def _estimate(self) -> Estimate | None:
        """What the whole frame will take, now that some answers are known; None if that is unknown.

        The answers are paid for: nothing that goes wrong here may keep them from the person.
        """
        from llmframe.calls.estimate import estimate_plan
        from llmframe.calls.plan import plan

        rules, rows = self.planned.job.rules, len(self.asked)
        # the answers are here; nobody shall wait for an estimate beside them
        if rules.redact is not None and rows > MOST_REDACTED:
            return None
        settings = replace(self.settings, where=None)
        try:
            return estimate_plan(plan(self._narrow(), self.input, self.fields, settings))
        except LLMFrameError:
            return None

    def _narrow(self) -> pd.DataFrame:
        """The rows of the call with the columns that it reads; without those of earlier calls."""
        columns = dict.fromkeys(map(self.lookup.position, self.read))
        narrow = self.asked.iloc[:, list(columns)]
        # attrs describe columns that are left out, and extend=True would go by them
        narrow.attrs = {}
        return narrow


def _has(df: pd.DataFrame, column: Hashable) -> bool:
    return column in list(df.columns)
