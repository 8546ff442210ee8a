"""How often the answers in a column are right, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.notebook.drawing import charts, style
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, plural
from llmframe.quality.scoring.sample import Answers, Method, Sample, read_judged
from llmframe.quality.scoring.words import (
    aligned_text,
    interval,
    is_fine,
    number,
    percent,
    with_interval,
)
from llmframe.quality.statistics import agreement, confusion
from llmframe.quality.statistics.binomial import normal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from llmframe.frame.column_lookup import ColumnLookup
    from llmframe.quality.statistics.samples import Estimates

    Numbers = npt.NDArray[np.float64]

Interval = tuple[float, float]

BINS = 10  # of the confidence
MOST_GROUPS = 1_000  # of more groups hardly any has a reviewed row
LINES = 20  # labels or groups shown
_FROM = {
    "whole frame": "every labelled row has a truth",
    "random": "drawn at random",
    "design": "drawn by label and confidence",
    "not a sample": "not drawn by chance",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """How often a column is right; displayed as pictures, printed as text.

    accuracy: the share of the labelled rows that is right, with accuracy_interval. NaN where
    method is "not a sample"; notes say why. level: of every interval.
    method: "whole frame" (each labelled row has a truth; the intervals are then about other rows
    like these), "random" or "design" (a review's sample; about all rows of the frame).
    reviewed: rows with a known truth. effective: the size of a simple random sample that would
    say as much; infinite where every row was reviewed. coverage: the share of all rows that has
    a label.
    table: a row per label: support (rows that truly have it; estimated by a sample), precision,
    recall, f1, each with its ends as ``_low`` and ``_high``, and reviewed.
    confusion: rows of the frame by truth (its rows) and label given (its columns); estimated by
    a sample.
    kappa (with kappa_interval), ac1: agreement beyond chance; ac1 stays sensible where one label
    has nearly all rows. macro_f1, weighted_f1: the mean over labels, and by their support.
    reliability: by confidence, how many of the rows are right; None without a confidence.
    ece: how far confidence and accuracy are apart on average.
    groups: the accuracy of each group of ``by=``; None without.
    """

    name: str
    table: pd.DataFrame
    accuracy: float
    accuracy_interval: Interval
    kappa: float
    ac1: float
    macro_f1: float
    weighted_f1: float
    coverage: float
    confusion: pd.DataFrame
    reviewed: int
    effective: float
    method: Method
    level: float = 0.95
    rows: int = 0
    kappa_interval: Interval = (math.nan, math.nan)
    reliability: pd.DataFrame | None = None
    ece: float = math.nan
    groups: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [self._headline(), self._basis(), self._covered()]
        if self._has_labels():
            lines += [self._coefficients(), *aligned_text(_class_rows(self.table))]
        for frame, title in ((self.groups, "group"), (self.reliability, "confidence")):
            if frame is not None and len(frame):
                lines += aligned_text(_accuracy_rows(frame, title))
        lines += [plain(note, limit=SENTENCES) for note in self.notes]
        return "\n  ".join(lines)

    def _headline(self) -> str:
        name = plain(self.name, limit=80)
        if self.method == "not a sample":
            return f"llmframe: {name}: no accuracy can be said"
        low, high = self.accuracy_interval
        right = percent(self.accuracy, fine=is_fine(low, high))
        return f"llmframe: {name} is {right} right ({interval(low, high)}, {self._level()})"

    def _level(self) -> str:
        return f"{100 * self.level:g} % interval"

    def _basis(self) -> str:
        """Which rows the numbers rest on."""
        if self.method == "whole frame":
            return f"{plural(self.reviewed, 'row')}: {_FROM[self.method]}"
        rows = f"{plural(self.reviewed, 'reviewed row')} of {count(self.rows)}"
        # rows that are all reviewed have no error: no random sample says as much
        is_worth = self.method == "design" and math.isfinite(self.effective)
        worth = f", worth {self.effective:,.0f} drawn at random" if is_worth else ""
        return f"{rows}, {_FROM[self.method]}{worth}"

    def _covered(self) -> str:
        # never "100 %" for some, but not all
        share = self.coverage if self.coverage == 1 else min(self.coverage, 0.999)
        return f"coverage {percent(share, fine=0.99 < share < 1)} of all rows"

    def _coefficients(self) -> str:
        kappa = f"kappa {number(self.kappa)}"
        if not math.isnan(self.kappa_interval[0]):
            kappa += f" ({' to '.join(map(number, self.kappa_interval))})"
        f1 = f"F1 {number(self.macro_f1)} macro, {number(self.weighted_f1)} weighted"
        off = f", confidence off by {percent(self.ece)} (ECE)" if self.ece == self.ece else ""
        return f"{kappa}, AC1 {number(self.ac1)}, {f1}{off}"

    def _repr_html_(self) -> str:
        low, high = self.accuracy_interval
        right = percent(self.accuracy, fine=is_fine(low, high))
        title = f"{style.big(right)} {style.soft('of')} <b>{html(self.name, limit=80)}</b> "
        title += style.soft("is right")
        known = self.method != "not a sample"
        if not known:
            title = f"<b>{html(self.name, limit=80)}</b>: no accuracy can be said"
        chip = style.chip(interval(low, high), "good") if known else style.chip("no sample", "wait")
        parts = [style.head(f"{title} &nbsp; {chip}", style.soft(self._level() if known else ""))]
        parts.append(style.line(style.soft(f"{html(self._basis())}; {self._covered()}")))
        parts += [style.line(style.note(html(note, limit=SENTENCES))) for note in self.notes]
        if self._has_labels():
            parts += [style.line(html(self._coefficients())), *self._by_label()]
        return style.frame([*parts, *self._by_part()])

    def _has_labels(self) -> bool:
        """Whether there is a number for each label: not where answers were judged as a whole."""
        return not math.isnan(self.macro_f1)

    def _by_label(self) -> list[str]:
        parts = [_class_table(self.table)]
        labels = [str(label) for label in self.confusion.index]
        if len(labels) <= charts.LABELS:
            counts = self.confusion.to_numpy().tolist()
            parts.append(charts.confusions(labels, counts, rows="truth", columns="said"))
        return parts

    def _by_part(self) -> list[str]:
        """The accuracy by group and by confidence."""
        parts: list[str] = []
        for frame, title in ((self.groups, ""), (self.reliability, "confidence")):
            if frame is not None and len(frame):
                parts += _bars(frame, title)
        return parts


def score(
    df: pd.DataFrame, field: object, truth: object = None, *, by: object, level: float
) -> Score:
    """See LLMAccessor.score."""
    check_level(level)
    answers, sample = read_judged(df, field, truth)
    table, right = weighted_table(sample), right_share(sample, level)
    # where answers were judged right or wrong there are no labels to agree on
    agreed = np.full_like(table, math.nan) if sample.is_verdict else table
    metrics = confusion.metrics(agreed)
    known = sample.is_sample
    reliability, ece = _reliability(answers, sample, level) if known else (None, math.nan)
    return Score(
        name=answers.name,
        table=class_frame(sample, table, level),
        accuracy=float(right.value[0]),
        accuracy_interval=(float(right.low[0]), float(right.high[0])),
        kappa=agreement.kappa(agreed),
        kappa_interval=kappa_interval(sample, agreed, level),
        ac1=agreement.ac1(agreed),
        macro_f1=metrics.macro_f1,
        weighted_f1=metrics.weighted_f1,
        coverage=answers.coverage,
        confusion=_confusion_frame(sample, table),
        reviewed=int(sample.labelled.sum()),
        effective=float(right.effective[0]),
        method=sample.method,
        level=level,
        rows=int(answers.given.sum()),
        reliability=reliability,
        ece=ece,
        groups=None if by is None else _groups(answers, sample, by, level),
        notes=sample.notes,
    )


def check_level(level: object, *, option: str = "level") -> None:
    """PlanError for anything but a share between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        hint = ""
        if isinstance(level, int | float) and 1 < level < 100:
            hint = f"; write {level:g} % as {level / 100:g}"
        raise PlanError(f"{option}={level!r} is no share between 0 and 1, such as 0.95{hint}")


def weighted_table(sample: Sample) -> Numbers:
    """The known rows by truth and label, each with the rows that it stands for.

    NaN where they are no sample and so stand for none.
    """
    k, rows = len(sample.labels), sample.labelled
    if not sample.is_sample:
        return np.full((k, k), math.nan)
    return confusion.table_of(sample.truth[rows], sample.said[rows], k, sample.weights[rows])


def right_share(sample: Sample, level: float) -> Estimates:
    """The share of all labelled rows that is right."""
    one = np.zeros(len(sample.at), dtype=np.intp)
    return sample.estimates(
        sample.counted(sample.labelled, one, 1), sample.counted(sample.right, one, 1), level=level
    )


def class_frame(sample: Sample, table: Numbers, level: float) -> pd.DataFrame:
    """Support, precision, recall and F1 of each label, with their intervals."""
    k = len(sample.labels)
    said = sample.counted(sample.labelled, sample.said, k)
    true = sample.counted(sample.labelled, sample.truth, k)
    both = sample.counted(sample.right, sample.truth, k)
    columns: dict[str, Any] = {"support": table.sum(axis=1)}
    if sample.method == "whole frame":
        columns["support"] = columns["support"].astype(np.int64)
    # F1 = 2 J / (1 + J), where J is the share of the rows with the label in either column that
    # have it in both: so that F1 has an interval by the same rule as the others
    parts = {"precision": said, "recall": true, "f1": said + true - both}
    ends: dict[str, Any] = {}
    for name, inside in parts.items():
        found = sample.estimates(inside, both, level=level)
        for end, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
            ends[f"{name}{end}"] = 2 * value / (1 + value) if name == "f1" else value
    columns |= {name: ends.pop(name) for name in parts} | ends
    columns["reviewed"] = true.sum(axis=0).astype(np.int64)
    return pd.DataFrame(columns, index=label_index(sample, "label"))


def label_index(sample: Sample, name: str) -> pd.Index[Any]:
    """The labels as an index."""
    return pd.Index(list(sample.labels), name=name, tupleize_cols=False)


def _confusion_frame(sample: Sample, table: Numbers) -> pd.DataFrame:
    cells: Any = table
    if sample.method == "whole frame":
        cells = table.astype(np.int64)
    truth, said = label_index(sample, "truth"), label_index(sample, "said")
    return pd.DataFrame(cells, index=truth, columns=said)


def kappa_interval(sample: Sample, table: Numbers, level: float) -> Interval:
    """Kappa's interval, by what each stratum adds to its variance."""
    value = agreement.kappa(table)
    if math.isnan(value):
        return math.nan, math.nan
    labelled = sample.labelled
    each = np.zeros(len(sample.at))
    each[labelled] = agreement.kappa_influence(table)[sample.truth[labelled], sample.said[labelled]]
    drawn = sample.drawn
    # rows without a label now add 0: how many rows have one is an estimate, too
    mean = np.bincount(sample.stratum, each, minlength=len(drawn)) / drawn
    spread = np.bincount(sample.stratum, (each - mean[sample.stratum]) ** 2) / drawn
    left = 1 - drawn / sample.sizes if sample.finite else 1.0
    weights = sample.sizes / (
        sample.sizes @ (sample.counted(labelled, 0 * sample.said, 1)[:, 0] / drawn)
    )
    half = normal_quantile(level) * math.sqrt(float((weights**2 * left * spread / drawn).sum()))
    return max(value - half, -1.0), min(value + half, 1.0)


def _reliability(
    answers: Answers, sample: Sample, level: float
) -> tuple[pd.DataFrame | None, float]:
    """How many rows are right by confidence, and the mean gap (ECE); None without one."""
    numbers = confidence_of(answers.lookup, answers.name)
    if numbers is None:
        return None, math.nan
    own = numbers[sample.at]
    rows = sample.labelled & ~np.isnan(own)
    # the last bin holds 1.0 as well
    bins = np.minimum((np.nan_to_num(own) * BINS).astype(np.intp), BINS - 1)
    inside, right = (sample.counted(each, bins, BINS) for each in (rows, rows & sample.right))
    found = sample.estimates(inside, right, level=level)
    weights: Numbers = np.bincount(bins[rows], sample.weights[rows], minlength=BINS).astype(float)
    held = weights > 0
    if not held.any():
        return None, math.nan
    sums = np.bincount(bins[rows], (sample.weights * own)[rows], minlength=BINS)
    mean = sums[held] / weights[held]
    gap = np.abs(mean - found.value[held])
    edges = [f"{at / BINS:.1f} to {(at + 1) / BINS:.1f}" for at in np.flatnonzero(held)]
    columns = {
        "confidence": mean,
        "accuracy": found.value[held],
        "low": found.low[held],
        "high": found.high[held],
        "reviewed": np.bincount(bins[rows], minlength=BINS)[held],
    }
    ece = float((weights[held] * gap).sum() / weights.sum())
    return pd.DataFrame(columns, index=pd.Index(edges, name="bin")), ece


def confidence_of(
    lookup: ColumnLookup, name: str, *, companions: Sequence[str] = ("_confidence", "_agreement")
) -> Numbers | None:
    """How sure the model was of each row of a field, from 0 to 1; None without such a column.

    NaN where it is not known. companions: what such columns' names end in, the best first.
    """
    for companion in companions:
        column = lookup.find(f"{name}{companion}")
        if column is not None:
            numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            if not np.isnan(numbers).all():
                # rounding leaves some a hair above 1; more than that is no confidence
                return np.where((numbers >= 0) & (numbers <= 1 + 1e-9), numbers, np.nan)
    return None


def group_codes(answers: Answers, by: object) -> tuple[npt.NDArray[np.intp], pd.Index[Any]]:
    """For each row of the frame the position of its group; and the groups' values."""
    column = answers.lookup.resolve(by, option="by")
    cells = answers.lookup.series(column)
    try:
        codes, groups = pd.factorize(cells, sort=True, use_na_sentinel=False)
    except TypeError:  # values of several types have no order
        codes, groups = pd.factorize(cells.astype(str), use_na_sentinel=False)
    if len(groups) > MOST_GROUPS:
        raise PlanError(f"by={by!r} makes {len(groups):,} groups; at most {MOST_GROUPS:,} can be")
    return codes.astype(np.intp), pd.Index(groups, name=answers.lookup.text_name(column))


def _groups(answers: Answers, sample: Sample, by: object, level: float) -> pd.DataFrame:
    """The accuracy in each group, with its interval and coverage."""
    codes, groups = group_codes(answers, by)
    n, own = len(groups), codes[sample.at]
    inside, right = (sample.counted(each, own, n) for each in (sample.labelled, sample.right))
    found = sample.estimates(inside, right, level=level)
    rows = np.bincount(codes[~answers.examples], minlength=n)
    columns = {
        "accuracy": found.value,
        "low": found.low,
        "high": found.high,
        "reviewed": inside.sum(axis=0).astype(np.int64),
        "rows": rows,
        "coverage": np.bincount(codes[answers.given], minlength=n) / np.maximum(rows, 1),
    }
    return pd.DataFrame(columns, index=groups)


# -- how it is shown -------------------------------------------------------------------------


def _class_rows(table: pd.DataFrame) -> list[list[str]]:
    """The table's cells as text, the most frequent labels first where there are many."""
    shown = _most(table, "support")
    rows = [["label", "support", "precision", "recall", "F1"]]
    for label, row in zip(shown.index, shown.to_dict("records"), strict=True):
        cells = [
            with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
            for name in ("precision", "recall", "f1")
        ]
        rows.append([plain(str(label), limit=40), f"{row['support']:,.0f}", *cells])
    if len(table) > len(shown):
        rows.append([f"and {len(table) - len(shown)} more in .table", "", "", "", ""])
    return rows


def _most(table: pd.DataFrame, column: str) -> pd.DataFrame:
    if len(table) <= LINES:
        return table
    return table.sort_values(column, ascending=False, kind="stable").head(LINES)


def _class_table(table: pd.DataFrame) -> str:
    head, *rows = _class_rows(table)
    cells = [[html(row[0], limit=40), *row[1:]] for row in rows]
    return style.table(head, cells, shares=(3, 2, 3, 3, 3))


def _accuracy_rows(frame: pd.DataFrame, title: str) -> list[list[str]]:
    """Accuracies by group, or by confidence, as text."""
    # of many groups those with the most reviewed rows, whose numbers are the surest
    shown = _most(frame, "reviewed")
    rows = [[title, "right", "reviewed"]]
    for name, row in zip(shown.index, shown.to_dict("records"), strict=True):
        cell = with_interval(row["accuracy"], row["low"], row["high"])
        rows.append([plain(str(name), limit=40), cell, f"{row['reviewed']:,.0f}"])
    if len(frame) > len(shown):
        rows.append([f"and {len(frame) - len(shown)} more", "", ""])
    return rows


def _bars(frame: pd.DataFrame, title: str) -> list[str]:
    """Accuracies as bars with their intervals; the mark above is the confidence."""
    name = title or str(frame.index.name)
    mark = style.soft("the mark above a bar is the mean confidence") if title else ""
    head = f"<b>right by {html(name, limit=60)}</b> &nbsp; {mark}"
    parts = [f'<div style="margin-top:12px">{head}</div>']
    shown = _most(frame, "reviewed")
    for label, row in zip(shown.index, shown.to_dict("records"), strict=True):
        ends = row["low"], row["accuracy"], row["high"]
        words = with_interval(row["accuracy"], row["low"], row["high"])
        parts.append(
            charts.interval_bar(
                str(label),
                ends,
                f"{words} {style.soft(plural(int(row['reviewed']), 'row'))}",
                mark=row.get("confidence"),
                says=f"{label}: {words} right",
            )
        )
    return parts
