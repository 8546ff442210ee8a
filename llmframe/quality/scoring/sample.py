"""Which rows have a known truth, and how they were chosen: what every number here rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import cell_text
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.example_rows import example_rows
from llmframe.frame.existing import noted, written_columns
from llmframe.notebook.drawing.format import plural
from llmframe.quality.scoring.labels import Labelled, aligned, matched, read_labels
from llmframe.quality.statistics.samples import Estimates, stratified, widened
from llmframe.quality.stored_reviews import find_reviewed
from llmframe.quality.tagged import ERROR, STATUS, rows_ok, status_of
from llmframe.task.text import listing

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy.typing as npt

    from llmframe.quality.reviewed import Judgement, Reviewed

    Codes = npt.NDArray[np.intp]
    Numbers = npt.NDArray[np.float64]

Method = Literal["whole frame", "random", "design", "not a sample"]

TRUTH, FINAL = "_truth", "_final"  # behind the field's name, in the frame of a review
_STATUSES = (STATUS, ERROR)  # behind a prefix
_VERDICTS = ("right", "wrong")


@dataclass(frozen=True)
class Answers:
    """A column of answers. lookup: of its frame. column: as the frame names it.

    said: its labels; none where the row is not ok, or is one of the examples that the model was
    shown. examples: which rows those are.
    """

    lookup: ColumnLookup
    column: Hashable
    said: Labelled
    examples: npt.NDArray[np.bool_]

    @cached_property
    def given(self) -> npt.NDArray[np.bool_]:
        """The rows that have a label: the population of every number."""
        return self.said.codes >= 0

    @property
    def coverage(self) -> float:
        """The share of the rows that have a label, examples left out; NaN if all are examples."""
        asked = int((~self.examples).sum())
        return int(self.given.sum()) / asked if asked else math.nan

    @property
    def name(self) -> str:
        """The column's name as text."""
        return self.said.name


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows with a known truth.

    at: their positions in the frame. said, truth: positions of their labels, said -1 where the
    row has none now. stratum: of each its stratum, an index into sizes, the strata's rows.
    finite: they are some of the rows that are meant. unseen: the share of the rows in strata of
    which none is known. is_verdict: a person said only whether each answer is right.
    notes: sentences for the person.
    """

    method: Method
    labels: tuple[Hashable, ...]
    at: Codes
    said: Codes
    truth: Codes
    stratum: Codes
    sizes: Numbers
    finite: bool = True
    unseen: float = 0.0
    is_verdict: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_sample(self) -> bool:
        """Whether anything can be said about rows that were not looked at."""
        return self.method != "not a sample"

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which of the known rows have a label now."""
        return self.said >= 0

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which of the known rows have their true label."""
        return np.asarray(self.said == self.truth, dtype=bool)

    @property
    def drawn(self) -> Numbers:
        """How many rows are known in each stratum."""
        return np.bincount(self.stratum, minlength=len(self.sizes)).astype(float)

    @property
    def weights(self) -> Numbers:
        """How many rows of the frame each known row stands for."""
        weights: Numbers = (self.sizes / self.drawn)[self.stratum]
        return weights if self.finite else np.ones(len(self.at))

    def counted(self, rows: npt.NDArray[np.bool_], part: Codes, parts: int) -> Numbers:
        """The chosen known rows by stratum and part. part: the part that each row lies in."""
        cells = np.bincount(
            self.stratum[rows] * parts + part[rows], minlength=len(self.sizes) * parts
        )
        return cells.reshape(len(self.sizes), parts).astype(float)

    def estimates(
        self, inside: Numbers, right: Numbers, *, level: float, totals: Numbers | None = None
    ) -> Estimates:
        """How many of the rows in each part are right; NaN where nothing follows for them.

        inside, right: as ``counted``.
        """
        if not self.is_sample:
            return Estimates(*[np.full(inside.shape[1], math.nan)] * 4)
        found = stratified(
            self.sizes, self.drawn, inside, right, level=level, finite=self.finite, totals=totals
        )
        return widened(found, self.unseen)


def read_judged(df: pd.DataFrame, field: object, truth: object = None) -> tuple[Answers, Sample]:
    """A column of answers, and its rows whose truth is known: by a column, or by the review.

    truth: a column; None takes the review's. The column that ``review.frame()`` adds stands for
    the review, which knows how its rows were drawn. Raises PlanError where there is neither.
    """
    is_reviews = truth is None or (isinstance(truth, str) and truth == f"{field}{TRUTH}")
    found = find_reviewed(df, field) if is_reviews else None
    if found is not None and found.is_verdict:
        answers = _verdicts_of(df, field)
        return answers, from_review(answers, found)
    answers = read_answers(df, field)
    if found is not None:
        return answers, from_review(answers, found)
    if truth is not None:
        return answers, from_truth(answers, truth)
    raise PlanError(
        f"nothing says what is right for {answers.name!r}: give truth=, a column of the frame "
        f"that holds it, or judge a sample with df.llm.review({answers.name!r})"
    )


def read_answers(df: pd.DataFrame, field: object, *, option: str = "field") -> Answers:
    """The answers in a column. Raises PlanError where it cannot hold any."""
    lookup = ColumnLookup(df)
    column = lookup.resolve(field, option=option)
    name = lookup.text_name(column)
    if not len(df):
        raise PlanError("the frame has no rows")
    _refuse_others(df, lookup, column, option)
    return _answers(df, lookup, column, read_labels(name, lookup.series(column)))


def _verdicts_of(df: pd.DataFrame, field: object) -> Answers:
    """A column of which a person says whether each answer is right, whatever it holds."""
    lookup = ColumnLookup(df)
    column = lookup.resolve(field, option="field")
    there = lookup.series(column).notna().to_numpy(dtype=bool)
    said = Labelled(lookup.text_name(column), _VERDICTS, np.where(there, 0, -1))
    return _answers(df, lookup, column, said)


def _answers(df: pd.DataFrame, lookup: ColumnLookup, column: Hashable, said: Labelled) -> Answers:
    """The answers that numbers may be about: those of rows that are ok and no examples."""
    # an example has its answer from the prompt, so it says nothing about the model
    examples, ok = example_rows(df), rows_ok(df, status_of(said.name, written_columns(df)))
    counted = replace(said, codes=np.where(ok & ~examples, said.codes, -1))
    return Answers(lookup, column, counted, examples & ok & (said.codes >= 0))


def _refuse_others(df: pd.DataFrame, lookup: ColumnLookup, column: Hashable, option: str) -> None:
    """Raise PlanError for a status, and for what the model was shown."""
    name, written, inputs = lookup.text_name(column), written_columns(df), noted(df).get("inputs")
    # a column that was tagged before may be the input of another call, and still holds answers
    is_input = name not in written and isinstance(inputs, list) and name in inputs
    if not is_input and not name.endswith(_STATUSES):
        return
    asked = [known for known, one in written.items() if one.of is None and lookup.has(known)]
    answers = [known for known in asked if not known.endswith(_STATUSES)]
    known = f"; answers are in {', '.join(map(repr, answers))}" if answers else ""
    raise PlanError(f"{option}: {column!r} holds no answers of a model{known}")


def from_truth(answers: Answers, truth: object) -> Sample:
    """The rows whose truth stands in a column of the frame.

    They are the whole frame, or no sample: nothing says how the rows with a truth were chosen.
    Raises PlanError where no labelled row has one.
    """
    lookup = answers.lookup
    column = lookup.resolve(truth, option="truth")
    if column == answers.column:
        raise PlanError(f"truth: {column!r} is the field itself, which would always be right")
    known = read_labels(lookup.text_name(column), lookup.series(column))
    if known.name == f"{answers.name}{FINAL}":
        raise PlanError(
            f"truth: {column!r} has the model's own labels where nobody judged; leave truth= out, "
            "and the review's sample is used"
        )
    at, rows = np.flatnonzero(answers.given & (known.codes >= 0)), int(answers.given.sum())
    if not len(at):
        found = int((known.codes >= 0).sum())
        raise PlanError(
            f"no row has both a label in {answers.name!r} ({rows:,} have one) and a truth in "
            f"{known.name!r} ({found:,} have one)"
        )
    labels, codes = aligned(answers.said, known)
    whole = len(at) == rows
    return Sample(
        method="whole frame" if whole else "not a sample",
        labels=labels,
        at=at,
        said=answers.said.codes[at],
        truth=codes[at],
        stratum=np.zeros(len(at), dtype=np.intp),
        sizes=np.array([float(rows)]),
        finite=False,  # or the interval of a frame that is known as a whole would have no width
        notes=(
            *(
                _other_labels(answers, labels, codes[at], known.name)
                if whole
                else (_partial(answers, known.name, len(at), rows),)
            ),
            *_examples_note(int((answers.examples & (codes >= 0)).sum()), reviewed=False),
        ),
    )


def _partial(answers: Answers, truth: str, known: int, rows: int) -> str:
    return (
        f"not a sample: {known:,} of {plural(rows, 'row')} have a truth in {truth!r}, and nothing "
        "says that they were drawn by chance, so they say nothing about the others. To score "
        f"them alone: df[df[{truth!r}].notna()].llm.score({answers.name!r}, truth={truth!r})"
    )


def _other_labels(
    answers: Answers, labels: tuple[Hashable, ...], truth: Codes, name: str
) -> tuple[str, ...]:
    """That the truth has labels which the model never gives, so that their rows are wrong."""
    never = int((truth >= len(answers.said.labels)).sum())
    if not never:
        return ()
    others = labels[len(answers.said.labels) :]
    return (
        f"in {plural(never, 'row')} {name!r} has a label that {answers.name!r} never has, which "
        f"counts as wrong: {listing(tuple(map(cell_text, others)))}",
    )


def from_review(answers: Answers, reviewed: Reviewed) -> Sample:
    """The rows that a person judged in a review, for a number about all rows.

    Judgements of ``learn`` rows, repeats and second opinions never count. Where the rows are no
    sample, all of them are returned, and nothing follows from them. Raises PlanError where none
    is left.
    """
    is_sample = reviewed.method != "not a sample"
    opinions = [one for one in reviewed.judgements if one.first]
    first = [one for one in opinions if not answers.examples[one.position]]
    counted = [one for one in first if not is_sample or _counts(one, reviewed)]
    if not counted:
        raise PlanError(
            f"no row of {answers.name!r} that was drawn to measure has been judged yet; go on "
            f"with df.llm.review({answers.name!r})"
        )
    positions, labels = matched(answers.said.labels, [one.truth for one in counted])
    at = np.array([one.position for one in counted], dtype=np.intp)
    said = answers.said.codes[at]
    if reviewed.is_verdict:
        # what was said is "right" in each row: the person says whether it was
        labels, said = _VERDICTS, np.zeros(len(counted), dtype=np.intp)
        positions = [_VERDICTS.index(str(one.truth)) for one in counted]
    sample = Sample(
        method=reviewed.method,
        labels=labels,
        at=at,
        said=said,
        truth=np.array(positions, dtype=np.intp),
        stratum=np.array([one.stratum for one in counted], dtype=np.intp),
        sizes=_sizes(reviewed),
        is_verdict=reviewed.is_verdict,
        notes=(
            *_review_notes(answers, reviewed),
            *_examples_note(len(opinions) - len(first), reviewed=True),
        ),
    )
    return _without_unseen(sample) if is_sample else sample


def _examples_note(rows: int, *, reviewed: bool) -> list[str]:
    """That rows are left out because the model was shown their right answers."""
    if not rows:
        return []
    note = f"{plural(rows, 'row')} left out: the model was shown the right answers, as examples"
    # to take away the errors that a review has found makes what is left look better than it is
    return [
        f"{note}. If they were chosen because they were wrong, the number is too high; "
        "review(learn=...) keeps rows for examples"
        if reviewed
        else note
    ]


def _counts(one: Judgement, reviewed: Reviewed) -> bool:
    """Whether a first judgement may count in a score.

    The rows that ``order="both"`` takes whole are to learn from, so a later prompt, which may
    have learnt from them, is scored without them.
    """
    if one.role == "measure":
        return True
    return reviewed.stratum_of is not None and reviewed.strata[one.stratum].complete


def _sizes(reviewed: Reviewed) -> Numbers:
    """The rows in each stratum: now, if rows were only taken away, else when it was drawn."""
    drawn = np.array([stratum.size for stratum in reviewed.strata], dtype=float)
    if reviewed.stratum_of is None or reviewed.added:
        return drawn
    inside = reviewed.stratum_of[reviewed.stratum_of >= 0]
    return np.bincount(inside, minlength=len(drawn)).astype(float)


def _without_unseen(sample: Sample) -> Sample:
    """The sample without the strata of which nothing is known; their share is kept."""
    seen = sample.drawn > 0
    positions = np.cumsum(seen) - 1
    unseen = float(sample.sizes[~seen].sum() / sample.sizes.sum())
    # a stratum cannot hold fewer rows than were drawn from it
    sizes = np.maximum(sample.sizes[seen], sample.drawn[seen])
    return replace(sample, sizes=sizes, stratum=positions[sample.stratum], unseen=unseen)


_NO_SAMPLE = {
    "confidence": "the reviewed rows are those of which the model was least sure",
    "disagreement": "the reviewed rows are those about which two columns disagree",
    "changed": "the reviewed rows are those in which two columns differ",
    "suspects": "the reviewed rows are those that look wrong",
}


def _review_notes(answers: Answers, reviewed: Reviewed) -> list[str]:
    notes = []
    if reviewed.method == "not a sample":
        reason = _NO_SAMPLE.get(reviewed.order, "the reviewed rows were not drawn by chance")
        notes.append(
            f"not a sample: {reason}, so they say nothing about the others. "
            f"df.llm.review({answers.name!r}) draws a sample"
        )
    if reviewed.added:
        notes.append(
            f"{plural(reviewed.added, 'row')} added since the rows were drawn: the numbers are "
            "not about them"
        )
    if reviewed.undecided:
        notes.append(
            f"left out: {plural(reviewed.undecided, 'row')} that nobody could decide; such rows "
            "are often the hard ones"
        )
    return notes
