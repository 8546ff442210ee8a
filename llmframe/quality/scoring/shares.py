"""How much of each label there really is, from all the model's labels and a person's sample."""

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
from llmframe.quality.scoring.sample import Method, Sample, read_judged
from llmframe.quality.scoring.score import LINES, check_level, group_codes, label_index
from llmframe.quality.scoring.words import aligned_text, interval, is_fine, percent
from llmframe.quality.statistics.samples import label_shares

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.intp]
    Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Shares:
    """The true share of each label; displayed as pictures, printed as text.

    table: a row per label (with ``by=`` per group and label): ``said``, the share of the rows to
    which the model gave it; ``share``, how many have it, with its ends ``low`` and ``high``;
    ``reviewed``, the reviewed rows that have it. NaN where the reviewed rows are no sample.
    method: "random", "design" or "not a sample". reviewed: rows judged. rows: of the frame, with
    a label. level: of the intervals.
    """

    name: str
    table: pd.DataFrame
    method: Method
    reviewed: int
    rows: int
    level: float = 0.95
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"llmframe: {self._basis()}", *aligned_text(_rows(self.table))]
        lines += [plain(note, limit=SENTENCES) for note in self.notes]
        return "\n  ".join(lines)

    def _basis(self) -> str:
        name = plain(self.name, limit=80)
        return (
            f"shares of {name} in {plural(self.rows, 'labelled row')}, corrected by "
            f"{count(self.reviewed)} reviewed ({100 * self.level:g} % intervals)"
        )

    def _repr_html_(self) -> str:
        parts = [style.line(html(self._basis(), limit=SENTENCES))]
        parts += [style.line(style.note(html(note, limit=SENTENCES))) for note in self.notes]
        parts.append(style.line(style.soft("the mark above a bar is the model's own share")))
        shown = self.table.head(LINES)
        # bars end at the highest interval, so that small shares differ visibly
        whole = float(np.nanmax([*shown["high"].fillna(0), *shown["said"], 0.01]))
        for key, row in zip(shown.index, shown.to_dict("records"), strict=True):
            parts.append(_bar(_named(key), row, whole))
        if len(self.table) > len(shown):
            more = len(self.table) - len(shown)
            parts.append(style.line(style.soft(f"and {count(more)} more in .table")))
        return style.frame(parts)


def shares(df: pd.DataFrame, field: object, *, by: object, level: float) -> Shares:
    """See LLMAccessor.shares."""
    check_level(level)
    answers, sample = read_judged(df, field)
    if sample.is_verdict:
        raise PlanError(
            f"the answers in {answers.name!r} were judged right or wrong, and have no labels whose "
            f"shares could be given; df.llm.score({answers.name!r}) says how many are right"
        )
    everywhere = np.zeros(len(df), dtype=np.intp)
    codes, groups = (everywhere, None) if by is None else group_codes(answers, by)
    k, given = len(sample.labels), answers.given
    n = 1 if groups is None else len(groups)
    said = np.bincount(codes[given] * k + answers.said.codes[given], minlength=n * k)
    table = label_table(sample, said.reshape(n, k), codes[sample.at], level)
    labels = label_index(sample, "label")
    if groups is not None:
        labels = pd.MultiIndex.from_product([groups, labels])
    return Shares(
        name=answers.name,
        table=table.set_axis(labels),
        method=sample.method,
        reviewed=int(sample.labelled.sum()),
        rows=int(answers.given.sum()),
        level=level,
        notes=sample.notes,
    )


def label_table(
    sample: Sample, said: npt.NDArray[np.int64], groups: npt.NDArray[np.intp], level: float
) -> pd.DataFrame:
    """The shares in each of n groups, a row for each group and label.

    said: n x k, how many rows of a group have each label. groups: of each reviewed row.
    """
    n, k = said.shape
    rows, known = np.repeat(said.sum(axis=1), k).astype(float), sample.labelled
    given_to, total = said.ravel().astype(float), np.maximum(rows, 1.0)
    true = sample.counted(known, groups * k + sample.truth, n * k)
    columns: dict[str, Any] = {"said": given_to / total}
    if sample.is_sample:
        given = sample.counted(known, groups * k + sample.said, n * k)
        both = sample.counted(sample.right, groups * k + sample.truth, n * k)
        judged = np.repeat(sample.counted(known, groups, n), k, axis=1)
        # how often the model gave each label is counted, not estimated: hence totals
        inside = sample.estimates(given, both, level=level, totals=given_to)
        outside = sample.estimates(judged - given, true - both, level=level, totals=rows - given_to)
        found = label_shares(given_to / total, inside, outside)
        columns |= {"share": found.value, "low": found.low, "high": found.high}
    else:
        columns |= dict.fromkeys(("share", "low", "high"), math.nan)
    columns["reviewed"] = true.sum(axis=0).astype(np.int64)
    return pd.DataFrame(columns)


# -- how it is shown -------------------------------------------------------------------------


def _named(key: Any) -> str:
    return ": ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _rows(table: pd.DataFrame) -> list[list[str]]:
    rows = [["label", "the model's share", "true share", "interval", "width", "reviewed"]]
    for key, row in zip(table.index[:LINES], table.to_dict("records"), strict=False):
        low, high = row["low"], row["high"]
        fine = is_fine(low, high)
        width = "–" if math.isnan(low) else f"{100 * (high - low):.{int(fine)}f} points"
        rows.append(
            [
                plain(_named(key), limit=40),
                percent(row["said"], fine=fine),
                percent(row["share"], fine=fine),
                interval(low, high),
                width,
                f"{row['reviewed']:,}",
            ]
        )
    if len(table) > LINES:
        rows.append([f"and {len(table) - LINES} more in .table", *[""] * 5])
    return rows


def _bar(label: str, row: dict[Any, Any], whole: float) -> str:
    low, share, high = row["low"], row["share"], row["high"]
    fine = is_fine(low, high)
    said = percent(row["said"], fine=fine)
    words = f"<b>{percent(share, fine=fine)}</b> {interval(low, high)}"
    words += f" {style.soft(f'(model {said})')}"
    says = f"{label}: {percent(share, fine=fine)}, {interval(low, high)}; the model's share {said}"
    return charts.interval_bar(
        label, (low, share, high), words, mark=row["said"], whole=whole, says=says
    )
