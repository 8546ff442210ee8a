"""Two columns of answers beside each other: where they differ, and which is right more often."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.existing import in_frame
from llmframe.notebook.drawing import charts, style
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, plural
from llmframe.quality.scoring.labels import Labelled, aligned, matched, read_labels
from llmframe.quality.scoring.sample import TRUTH, Answers, Sample, from_review, read_answers
from llmframe.quality.scoring.words import aligned_text, number, percent, points
from llmframe.quality.statistics import agreement
from llmframe.quality.statistics.binomial import changed_rows, mcnemar
from llmframe.quality.statistics.confusion import table_of
from llmframe.quality.stored_reviews import find_reviewed
from llmframe.quality.tagged import input_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import numpy.typing as npt

    from llmframe.quality.review import Review

    Codes = npt.NDArray[np.intp]
    Mask = npt.NDArray[np.bool_]

Interval = tuple[float, float]

LINES = 10  # kinds of change named
_SMALL = 0.001
_EQUAL = 1e-9  # weights that differ by less are equal
_NAN = (math.nan, math.nan)
_NO_P = (
    "no p: the reviewed rows were drawn at different rates, and its test counts each row once; "
    "the interval takes the rates into account. .review() draws rows at one rate"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How much more often b is right than a, as a share of all rows.

    known: rows that differ and whose truth is known. only_a, only_b: those of them that one
    column alone has right. p: McNemar's, NaN where rows were drawn at different rates.
    """

    known: int
    only_a: int
    only_b: int
    difference: float = math.nan
    interval: Interval = _NAN
    p: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """Two columns beside each other; displayed as a table, printed as text.

    rows: rows that have a label in both. changed: those in which the labels differ, with the
    text, both labels and the truth if there is one: the column that was given, or ``<b>_truth``
    by the review. agreement: the share that does not differ.
    kappa, ac1, alpha (Krippendorff's): agreement beyond chance.
    churn: rows by a's label (its rows) and b's (its columns).
    difference: how much more often b is right than a, as a share of the rows, with its
    interval; p: how likely so uneven a count is if both are right equally often (McNemar,
    exact). All NaN where no truth is known, or only that of rows that were not drawn by chance;
    p alone where rows were drawn at different rates, as by ``review(order="design")``.
    """

    a: str
    b: str
    rows: int
    changed: pd.DataFrame
    agreement: float
    kappa: float
    alpha: float
    ac1: float
    churn: pd.DataFrame
    difference: float = math.nan
    interval: Interval = _NAN
    p: float = math.nan
    outcome: Outcome | None = None
    reviewer: Callable[..., Review] | None = attribute(default=None, repr=False)
    notes: tuple[str, ...] = attribute(default=())

    def review(self, n: int = 50, **options: Any) -> Review:
        """Have a person judge n of the rows that differ, drawn at random.

        Compare again afterwards: the difference then has an interval, which is about a third as
        wide as by as many rows of the whole frame. options: as of ``df.llm.review``. Raises
        PlanError where no row differs.
        """
        if self.reviewer is None or not len(self.changed):
            raise PlanError(
                f"no row differs in {self.a!r} and {self.b!r}, so there is none to judge"
            )
        return self.reviewer(n=n, order="changed", **options)

    def __repr__(self) -> str:
        lines = [f"llmframe: {self._headline()}", self._verdict(), self._coefficients()]
        lines += aligned_text(self._moves()) if len(self.changed) else []
        lines += [plain(note, limit=SENTENCES) for note in self.notes]
        return "\n  ".join(line for line in lines if line)

    def _headline(self) -> str:
        a, b = (plain(name, limit=60) for name in (self.a, self.b))
        changed, rows = len(self.changed), plural(self.rows, "row")
        share = f" ({percent(changed / self.rows)})" if self.rows else ""
        return f"{count(changed)} of {rows} differ in {a} and {b}{share}"

    def _verdict(self) -> str:
        """Which is better, by how much, and how sure that is."""
        if math.isnan(self.difference):
            return ""
        low, high = self.interval
        a, b = (plain(name, limit=60) for name in (self.a, self.b))
        more = "less" if self.difference < 0 else "more"
        words = f"{b} is right {100 * abs(self.difference):.1f} points {more} often than {a}"
        words += f" ({points(low)} to {points(high)})"
        if not math.isnan(self.p):
            words += f", p = {self.p:.3f}" if self.p >= _SMALL else f", p < {_SMALL}"
        if (found := self.outcome) is None or not found.known:
            return words
        return (
            f"{words}; of {plural(found.known, 'row')} that differ and have a truth {a} alone is "
            f"right in {count(found.only_a)}, {b} alone in {count(found.only_b)}"
        )

    def _coefficients(self) -> str:
        return (
            f"agreement {percent(self.agreement)}, kappa {number(self.kappa)}, "
            f"AC1 {number(self.ac1)}, alpha {number(self.alpha)}"
        )

    def _moves(self) -> list[list[str]]:
        """The most frequent changes as text."""
        cells = self.churn.to_numpy()
        labels = [plain(str(label), limit=40) for label in self.churn.index]
        moves = [
            (int(cells[at, to]), labels[at], labels[to])
            for at, to in zip(*np.nonzero(cells), strict=True)
            if at != to
        ]
        moves.sort(key=lambda move: -move[0])
        rows = [[f"{before} -> {after}", count(rows)] for rows, before, after in moves[:LINES]]
        more = len(moves) - LINES
        return rows + ([[f"and {more} other changes in .churn", ""]] if more > 0 else [])

    def _repr_html_(self) -> str:
        parts = [style.line(f"<b>{html(self._headline(), limit=SENTENCES)}</b>")]
        verdict = self._verdict()
        parts += [style.line(html(verdict, limit=SENTENCES))] if verdict else []
        parts.append(style.line(style.soft(self._coefficients())))
        parts += [style.line(style.note(html(note, limit=SENTENCES))) for note in self.notes]
        labels = [str(label) for label in self.churn.index]
        if len(labels) <= charts.LABELS:
            counts = self.churn.to_numpy().tolist()
            parts.append(charts.confusions(labels, counts, rows=self.a, columns=self.b))
        elif len(self.changed):
            cells = [[html(cell, limit=90) for cell in row] for row in self._moves()]
            parts.append(style.table(["change", "rows"], cells, shares=(4, 1)))
        return style.frame(parts)


def compare(
    df: pd.DataFrame,
    a: object,
    b: object,
    *,
    truth: object,
    reviewer: Callable[..., Review] | None = None,
) -> Comparison:
    """See LLMAccessor.compare. reviewer: draws rows for a person to judge."""
    first, second = read_answers(df, a, option="a"), read_answers(df, b, option="b")
    if first.column == second.column:
        raise PlanError(f"{a!r} and {b!r} are one column; give two")
    labels, codes = aligned(first.said, second.said)
    pair = _Pair(labels, first.said.codes, codes)
    rows, changed = int(pair.both.sum()), int(pair.differ.sum())
    table = table_of(pair.first[pair.both], pair.second[pair.both], len(labels))
    # the column that review.frame() adds stands for the review, which knows how rows were drawn
    is_reviews = truth is None or truth in [f"{one.name}{TRUTH}" for one in (first, second)]
    sample = _judged(df, (first, second)) if is_reviews and changed else None
    truth = truth if sample is None else None
    outcome, notes = _outcome((first, second), pair, truth, sample)
    index, columns = (
        pd.Index(list(labels), name=one.name, tupleize_cols=False) for one in (first, second)
    )
    return Comparison(
        a=first.name,
        b=second.name,
        rows=rows,
        changed=_changed(df, (first, second), truth, pair.differ, sample),
        agreement=1 - changed / rows if rows else math.nan,
        kappa=agreement.kappa(table) if rows else math.nan,
        alpha=agreement.alpha_of_pairs(table) if rows else math.nan,
        ac1=agreement.ac1(table) if rows else math.nan,
        churn=pd.DataFrame(table.astype(np.int64), index=index, columns=columns),
        difference=outcome.difference,
        interval=outcome.interval,
        p=outcome.p,
        outcome=outcome,
        # by the columns themselves: their names need not be text
        reviewer=reviewer and partial(reviewer, second.column, against=first.column),
        notes=(*_unlabelled(first, second), *notes),
    )


class _Pair:
    """Two columns by the same labels. both: rows with a label in each; differ: not the same."""

    def __init__(self, labels: tuple[Hashable, ...], first: Codes, second: Codes) -> None:
        self.labels, self.first, self.second = labels, first, second
        self.both = (first >= 0) & (second >= 0)
        self.differ = self.both & (first != second)


def _outcome(
    columns: tuple[Answers, Answers], pair: _Pair, truth: object, sample: Sample | None
) -> tuple[Outcome, list[str]]:
    """Which column is right more often, as far as a truth says so, and what to say about it."""
    changed, rows = int(pair.differ.sum()), int(pair.both.sum())
    true = np.full(len(pair.first), -1, dtype=np.intp)
    if truth is not None:
        true = _truth_codes(columns[0], pair, truth)
    elif changed:
        return _by_review(sample, pair)
    seen = pair.differ & (true >= 0)
    only_a = int((seen & (true == pair.first)).sum())
    only_b = int((seen & (true == pair.second)).sum())
    found = Outcome(int(seen.sum()), only_a, only_b)
    # rows that do not differ add nothing to the difference, so their truth need not be known
    if found.known == changed and rows:
        # of the whole frame, not of the rows that differ: the interval is about rows like these
        difference, ends = changed_rows(only_a, only_b, rows, share=1.0)
        return replace(found, difference=difference, interval=ends, p=mcnemar(only_a, only_b)), []
    return found, [
        f"not a sample: {count(found.known)} of {plural(changed, 'row')} that differ have a truth, "
        "and nothing says that they were drawn by chance; .review() draws some"
    ]


def _truth_codes(first: Answers, pair: _Pair, truth: object) -> Codes:
    lookup = first.lookup
    column = lookup.resolve(truth, option="truth")
    known = read_labels(lookup.text_name(column), lookup.series(column))
    return aligned(Labelled(first.name, pair.labels, pair.first), known)[1]


def _judged(df: pd.DataFrame, columns: tuple[Answers, Answers]) -> Sample | None:
    """The rows that a person judged: of those that differ, else of a sample of all rows."""
    a, b = columns
    asked: list[tuple[Answers, dict[str, Any]]] = [
        (a, {"order": "changed", "against": b.name}),
        (b, {"order": "changed", "against": a.name}),
        (b, {}),  # before a: it is the column that .review() judges
        (a, {}),
    ]
    for one, wanted in asked:
        found = find_reviewed(df, one.column, **wanted)
        if found is not None and found.measured and not found.is_verdict:
            sample = from_review(one, found)
            if wanted or sample.is_sample:
                return sample
    return None


def _by_review(sample: Sample | None, pair: _Pair) -> tuple[Outcome, list[str]]:
    """The same by the rows that a person judged."""
    inside = None if sample is None else pair.differ[sample.at]
    if sample is None or inside is None or not inside.any():
        return Outcome(0, 0, 0), []
    at = sample.at[inside]
    positions, _ = matched(pair.labels, sample.labels)
    # the sample has its own list of labels, in which the other column's may be missing
    true = np.array(positions)[sample.truth[inside]]
    is_a, is_b = true == pair.first[at], true == pair.second[at]
    weight = (sample.sizes / np.maximum(sample.drawn, 1.0))[sample.stratum[inside]]
    weight = weight / weight.sum()
    # rows drawn at different rates say as much as fewer drawn at one rate (Kish 1965)
    n = 1 / float((weight**2).sum())
    share = float(pair.differ.sum() / pair.both.sum())
    difference, ends = changed_rows(n * weight[is_a].sum(), n * weight[is_b].sum(), n, share=share)
    only_a, only_b = int(is_a.sum()), int(is_b.sum())
    # McNemar's test counts rows, so each must have had the same chance of being drawn
    p = mcnemar(only_a, only_b) if np.ptp(weight) < _EQUAL else math.nan
    found = Outcome(len(at), only_a, only_b, difference=difference, interval=ends, p=p)
    notes = list(sample.notes) if sample.is_sample else []
    return found, [*notes, _NO_P] if math.isnan(p) else notes


def _unlabelled(first: Answers, second: Answers) -> list[str]:
    """That some rows have a label in one column alone."""
    alone = int((first.given != second.given).sum())
    if not alone:
        return []
    return [f"not counted: {plural(alone, 'row')} with a label in only one of the two columns"]


def _changed(
    df: pd.DataFrame,
    pair: tuple[Answers, Answers],
    truth: object,
    differ: Mask,
    sample: Sample | None,
) -> pd.DataFrame:
    """The rows that differ: what the model was shown, both labels, and the truth."""
    lookup = pair[0].lookup
    own = [one.column for one in pair] + ([] if truth is None else [truth])
    last = [lookup.position(lookup.resolve(one, option="truth")) for one in own]
    shown = [at for at in input_columns(df, without=pair[0].name) if at not in last]
    rows = np.flatnonzero(differ)
    changed = df.iloc[rows, [*shown, *last]].copy()
    if sample is not None:
        judged = np.full(len(df), None, dtype=object)
        judged[sample.at] = [sample.labels[code] for code in sample.truth]
        name = in_frame(df, f"{pair[1].name}{TRUTH}")
        changed[name] = pd.Categorical(judged[rows], categories=[*sample.labels])
    return changed
