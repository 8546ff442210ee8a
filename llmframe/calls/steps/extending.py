"""``extend=True``: which fields a frame has answers to already, and what is left to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from llmframe.errors import PlanError
from llmframe.frame.columns import ERROR, STATUS, Kept, answer_columns
from llmframe.frame.existing import ExistingColumns
from llmframe.frame.selection import Selection, snapshot
from llmframe.results import Failure
from llmframe.task.confidence import is_choice
from llmframe.task.text import quoted
from llmframe.task.trust.evidence import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from llmframe.errors import ErrorKind
    from llmframe.options.settings import Settings
    from llmframe.task.fields import FieldSpec

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Left:
    """What a call has left to ask.

    fields: their names; none where every row has its answers. selection: the rows, None for all.
    kept: the answers that stay. note: a sentence about it for the card.
    """

    fields: tuple[str, ...]
    selection: Selection | None
    kept: Kept
    note: str


def left_to_ask(
    df: pd.DataFrame,
    specs: Sequence[FieldSpec],
    prompts: Mapping[str, str],
    settings: Settings,
    *,
    selection: Selection | None,
) -> Left:
    """The fields and rows of a call that the frame has no answers to.

    New fields are asked for in all rows of the call, and only these fields. Where no field is
    new, rows without an answer are asked for the fields that they lack.

    specs: the call's fields. prompts: field -> the hash of its prompt. selection: the rows of
    ``where=``. Raises PlanError for a column of a field's name whose prompt is not known.
    """
    existing, prefix = ExistingColumns(df, ()), settings.prefix
    columns = {spec: answer_columns(spec, settings) for spec in specs}
    kept = [spec for spec in specs if _has_prompt(existing, columns[spec], prompts[spec.name])]
    asked = [spec for spec in specs if spec not in kept]
    new = [name for spec in asked for name in columns[spec]]
    if not settings.overwrite:
        _refuse_unknown(existing, new)
    open_rows = _open_rows(existing, {spec: columns[spec] for spec in kept}, prefix, len(df))
    rows = np.arange(len(df)) if selection is None else selection.at
    lacking = np.zeros(len(df), dtype=bool)
    for mask in open_rows.values():
        lacking |= mask
    beside = _about_beside(existing, kept, prompts, settings)
    # of the rows of where= alone
    at = rows[lacking[rows]]
    if asked:
        names = tuple(name for spec in kept for name in columns[spec])
        open_at = np.flatnonzero(lacking[rows])
        unanswered = {int(one): _failure(existing, prefix, rows[one]) for one in open_at}
        note = _about_new(existing, names, new, len(open_at)) + beside
        # one call asks one question, so rows without an old answer wait for the next call
        fields = tuple(spec.name for spec in asked)
        return Left(fields, selection, Kept(names=names, unanswered=unanswered), note)
    # a field that all these rows have is not asked, and not paid, again
    missing = tuple(spec.name for spec, mask in open_rows.items() if mask[at].any())
    rest = Selection(snapshot(df) if selection is None else selection.whole, at)
    return Left(missing, rest, Kept(fills=True), _about_rest(len(at)) + beside)


def _equal(cells: pd.Series[Any], value: str) -> Mask:
    return (cells == value).fillna(False).to_numpy(bool)


def _has_prompt(existing: ExistingColumns, names: Sequence[str], prompt: str) -> bool:
    """Whether the frame has all columns of a field, with answers to this prompt."""
    return all(
        name in existing.written
        and prompt in existing.written[name].prompts
        and existing.cells(name) is not None
        for name in names
    )


def _refuse_unknown(existing: ExistingColumns, names: Sequence[str]) -> None:
    """Raise PlanError for columns of which nobody knows to what prompt they are answers."""
    unknown = [
        name
        for name in names
        if existing.cells(name) is not None
        and not (name in existing.written and existing.written[name].prompts)
    ]
    if unknown:
        raise PlanError(
            f"the frame has {quoted(unknown)}, and extend=True cannot see to which prompt that is "
            'an answer: df.attrs["llmframe"], which notes it, is lost (a CSV file and some of '
            "pandas' operations drop it), or the column is your own. To keep it, leave it out of "
            "fields; lf.load(checkpoint, df) puts saved answers and the note on a frame without "
            "it, at no cost. overwrite=True asks for it again (answers that the checkpoint holds "
            "are not paid again)"
        )


def _open_rows(
    existing: ExistingColumns, columns: Mapping[FieldSpec, Sequence[str]], prefix: str, rows: int
) -> dict[FieldSpec, Mask]:
    """For each field the rows without an answer. columns: field -> those with its answers."""
    status = existing.cells(prefix + STATUS)
    # without a status a null looks like a missing answer, and counts as an answer
    is_ok = np.ones(rows, dtype=bool) if status is None else _equal(status, "ok")
    is_blank = np.zeros(rows, dtype=bool) if status is None else _equal(status, "skipped")
    found = {}
    for spec, names in columns.items():
        cells = [cell for cell in map(existing.cells, names) if cell is not None]
        # a field in several columns lacks its answer only where all of them are missing
        missing = np.logical_and.reduce([cell.isna().to_numpy(bool) for cell in cells])
        # the parts of a model may all be null; "unsure" is an answer whose cell is missing
        may_be_null = spec.nullable or spec.abstain is not None or len(names) > 1
        found[spec] = missing & ~is_blank & (~is_ok if may_be_null else True)
    return found


def _failure(existing: ExistingColumns, prefix: str, row: int) -> Failure | None:
    """Why a row of the frame failed, as its error says; None where it did not fail."""
    status, error = existing.cells(prefix + STATUS), existing.cells(prefix + ERROR)
    if status is None or error is None or status.iloc[row] != "failed":
        return None
    kind, _, message = str(error.iloc[row]).partition(": ")
    return Failure(cast("ErrorKind", kind), message)


def _about_new(
    existing: ExistingColumns, kept: Sequence[str], asked: Sequence[str], lacking: int
) -> str:
    """The sentences for a call that asks for new fields."""
    again = [name for name in asked if existing.cells(name) is not None]
    said = [f"kept as they are: {quoted(kept)}"] if kept else []
    said += [f"asked again, because the prompt has changed: {quoted(again)}"] if again else []
    if lacking:
        said.append(
            f"rows that still have no answer there: {lacking:,}; the same call with the returned "
            "frame asks them"
        )
    return f"extend=True: {'; '.join(said)}." if said else ""


def _about_beside(
    existing: ExistingColumns,
    kept: Sequence[FieldSpec],
    prompts: Mapping[str, str],
    settings: Settings,
) -> str:
    """That a kept field gets no column beside it, which this call wants; "" where none is missing.

    Without the sentence a person who adds evidence= waits for a column that does not come.
    """
    wanted = []
    for spec in kept:
        if is_choice(spec):
            wanted += [f"{spec.name}_confidence"] * (settings.confidence is not None)
            wanted += [f"{spec.name}_agreement"] * (settings.votes != 1)
        wanted += [spec.name + SUFFIX] * (spec.name + SUFFIX in prompts)
    names = [settings.prefix + name for name in wanted]
    missing = [name for name in names if existing.cells(name) is None]
    if not missing:
        return ""
    return (
        f" What is kept gets no columns beside it ({quoted(missing)}): a call without extend=True "
        "asks for them."
    )


def _about_rest(rows: int) -> str:
    if not rows:
        return "extend=True: every row has its answers, and nothing is asked."
    return f"extend=True: no field is new; the rows without an answer are asked: {rows:,}."
