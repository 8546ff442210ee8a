"""The confidence above which a column's labels keep an accuracy, shown by a person's sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import SENTENCES, html, plain
from llmframe.notebook.drawing.format import count, plural
from llmframe.quality.scoring.sample import Sample, read_judged
from llmframe.quality.scoring.score import check_level, confidence_of
from llmframe.quality.scoring.words import aligned_text, number, percent
from llmframe.quality.statistics.binomial import tail
from llmframe.quality.statistics.certainty import (
    CutOff,
    cut_offs,
    fixed_sequence,
    rows_needed,
    rows_without_error,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

LINES = 12  # cut-offs shown
_HOPELESS = 0.05  # so unlikely are the errors seen, if the accuracy were kept
# of the choice among the reviewed rows of a stratum; fixed, so that each call finds the same
_SEED = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Threshold:
    """From which confidence on labels keep an accuracy; displayed as a table, printed as text.

    value: the lowest confidence above which a share ``accuracy`` of the labels is right, with
    the certainty ``sure``; None if the reviewed rows show it for none.
    rows: for each row of the frame whether its label is not that sure, for
    ``where=``: a stronger model or a person takes these. All rows where value is None.
    kept: the share of the labelled rows at or above value; 0.0 where it is None.
    table: a row per cut-off that was tried, from the surest down: kept, reviewed, wrong, p.
    needed: about how many more rows to review; 0 if value is found, None if the labels are not
    that right anywhere, so that no review would help.
    """

    name: str
    accuracy: float
    sure: float
    value: float | None
    rows: pd.Series[Any]
    kept: float
    table: pd.DataFrame
    needed: int | None
    reviewed: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [
            f"llmframe: {self._headline()}",
            self._next(),
            *aligned_text(_rows(self.table, self.value)),
        ]
        lines += [plain(note, limit=SENTENCES) for note in self.notes]
        return "\n  ".join(line for line in lines if line)

    def _headline(self) -> str:
        name = plain(self.name, limit=80)
        goal = f"{100 * self.accuracy:g} % right with {100 * self.sure:g} % certainty"
        if self.value is None:
            rows = plural(self.reviewed, "reviewed row")
            return f"{rows} show no confidence from which on {name} is {goal}"
        return (
            f"{name} is {goal} where its confidence is {number(self.value)} or more: "
            f"{percent(self.kept)} of the labelled rows"
        )

    def _next(self) -> str:
        """What to do now."""
        if self.value is not None:
            left = int(self.rows.sum())
            return (
                f".rows is the mask of the other {plural(left, 'row')}, for where=" if left else ""
            )
        if self.needed is None:
            return "the surest labels are not that right; a stronger model or prompt is needed"
        return f"about {plural(self.needed, 'more reviewed row')} may show one"

    def _repr_html_(self) -> str:
        parts = [style.line(f"<b>{html(self._headline(), limit=SENTENCES)}</b>")]
        parts += [style.line(html(self._next()))] if self._next() else []
        parts += [style.line(style.note(html(note, limit=SENTENCES))) for note in self.notes]
        head, *rows = _rows(self.table, self.value)
        return style.frame([*parts, style.table(head, rows, shares=(3, 3, 2, 2, 4))])


def threshold(df: pd.DataFrame, field: object, *, accuracy: float, sure: float) -> Threshold:
    """See LLMAccessor.threshold."""
    check_level(accuracy, option="accuracy")
    check_level(sure, option="sure")
    lookup = ColumnLookup(df)
    name = lookup.text_name(lookup.resolve(field, option="field"))
    confidence = confidence_of(lookup, name)
    if confidence is None:
        raise PlanError(
            f"{name!r} has no confidence; tag with confidence='logprob', or with votes=3 "
            "where the endpoint gives no probabilities"
        )
    answers, sample = read_judged(df, field)
    chosen = equal_chances(sample) if sample.is_sample else np.zeros(0, dtype=np.intp)
    known = np.flatnonzero(answers.given & ~np.isnan(confidence))
    cuts = cut_offs(confidence[known])
    # a label without a confidence is below every cut-off
    cuts = [(value, kept * len(known) / max(int(answers.given.sum()), 1)) for value, kept in cuts]
    own = np.nan_to_num(confidence[sample.at[chosen]], nan=-1.0)
    right = sample.right[chosen]
    found, tried = fixed_sequence(cuts, own, right, accuracy=accuracy, sure=sure)
    sure_enough = answers.given & (confidence >= (math.inf if found is None else found.value))
    # an example has its answer by the person: no other model need be asked
    doubtful = ~(sure_enough | answers.examples)
    return Threshold(
        name=answers.name,
        accuracy=accuracy,
        sure=sure,
        value=None if found is None else found.value,
        rows=pd.Series(doubtful, index=df.index, name=f"{name} is not sure"),
        kept=0.0 if found is None else found.kept,
        table=_table(tried),
        needed=0 if found else _needed(tried, sample, chosen, accuracy=accuracy, sure=sure),
        reviewed=len(sample.at),
        notes=sample.notes,
    )


def equal_chances(sample: Sample) -> npt.NDArray[np.intp]:
    """Positions of reviewed rows, thinned so that every row of the frame was as likely to come.

    Strata were drawn from at different rates; the lowest is the one that all can have.
    """
    rates = sample.drawn / sample.sizes
    lowest = float(rates.min())
    lots = np.random.default_rng(_SEED).random(len(sample.at))
    kept = lots * rates[sample.stratum] <= lowest
    return np.flatnonzero(kept & sample.labelled)


def _needed(
    tried: list[CutOff],
    sample: Sample,
    chosen: npt.NDArray[np.intp],
    *,
    accuracy: float,
    sure: float,
) -> int | None:
    """About how many more rows to review until some cut-off is likely to pass."""
    if not len(chosen):
        return rows_without_error(accuracy, sure)
    wrong, wanted = 1 - accuracy, []
    for cut in tried:
        worse = 1 - tail(cut.wrong - 1, cut.reviewed, wrong) < _HOPELESS
        if cut.reviewed and not worse:
            # so few rows say little: none is taken for certain, and none for lost
            expected = min(max(cut.wrong / cut.reviewed, 0.3 * wrong), 0.7 * wrong)
            wanted.append(rows_needed(accuracy, sure, expected=expected) / cut.kept)
    if not wanted:
        return None
    # of the rows that are reviewed only those count that are left after thinning
    return max(1, math.ceil(min(wanted) * len(sample.at) / len(chosen)) - len(sample.at))


def _table(tried: list[CutOff]) -> pd.DataFrame:
    columns = {
        "kept": [cut.kept for cut in tried],
        "reviewed": [cut.reviewed for cut in tried],
        "wrong": [cut.wrong for cut in tried],
        "p": [math.nan if cut.p is None else cut.p for cut in tried],
    }
    return pd.DataFrame(columns, index=pd.Index([cut.value for cut in tried], name="confidence"))


# -- how it is shown -------------------------------------------------------------------------


def _rows(table: pd.DataFrame, found: float | None) -> list[list[str]]:
    """Some of the cut-offs as text: evenly spread, the one that was found and the next."""
    step = math.ceil(len(table) / LINES) or 1
    shown = {*range(step - 1, len(table), step)}
    if found is not None:
        place = [*table.index].index(found)
        # the next one as well: it shows why the sequence ended there
        shown |= {place, min(place + 1, len(table) - 1)}
    rows = [["confidence from", "of the rows", "reviewed", "wrong", "p that it is less right"]]
    some = table.iloc[sorted(shown)]
    for value, row in zip(some.index, some.to_dict("records"), strict=True):
        rows.append(
            [
                f"{value:.3f}{' (found)' if value == found else ''}",
                percent(row["kept"]),
                count(int(row["reviewed"])),
                count(int(row["wrong"])),
                "not tested" if math.isnan(row["p"]) else f"{row['p']:.3f}",
            ]
        )
    return rows
