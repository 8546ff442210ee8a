"""What a tagged frame holds: its fields, its statuses, the rows that failed."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.example_rows import example_rows
from llmframe.frame.existing import noted, written_columns
from llmframe.notebook.failed_rows import FailedRows
from llmframe.task.definition import Kind
from llmframe.task.trust.evidence import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from llmframe.frame.existing import WrittenColumn

STATUS, ERROR = "llm_status", "llm_error"
_OURS = (
    *(STATUS, ERROR, "llm_attempts", "llm_tokens_in", "llm_tokens_cached", "llm_tokens_out"),
    *("llm_cost", "llm_seconds", "llm_raw"),
)

_NOTED = {
    "model": str,
    "tokens_in": int,
    "tokens_cached": int,
    "tokens_out": int,
    "cost": float | int,
    "currency": str,
    "table": dict,
    "evidence": dict,
}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A frame that a call has tagged, read from its columns and attrs.

    status, error: the call's columns. fields: the answers by name, in the frame's order; empty
    if the attrs are lost. indicators: of fields with a boolean column for each label, those
    columns by label. quotes: by the name of evidence='s column, the one that says where they stand.
    examples: whether a row was shown to the model with its right answer, so that no score may
    count it. inputs: positions of the columns that the model was shown; if the attrs do not name
    them, of all that no call has written; none after redact=, whose texts shall not be shown.
    note: of the call, from the attrs: model, tokens_in, tokens_cached, tokens_out, cost,
    currency, table (the same of all answers), evidence (quotes by field). Empty if they are lost,
    or are those of a frame of another length.
    """

    status: pd.Series[Any]
    _: KW_ONLY
    error: pd.Series[Any]
    fields: dict[str, pd.Series[Any]]
    indicators: dict[str, dict[str, str]]
    quotes: dict[str, str]
    examples: npt.NDArray[np.bool_]
    inputs: tuple[int, ...]
    note: dict[str, Any]


def read_tagged(df: pd.DataFrame, prefix: str = "") -> Tagged:
    """The frame as a call with this prefix left it. PlanError if none did."""
    lookup = ColumnLookup(df)
    own = [prefix + name for name in _OURS]
    if not (lookup.has(own[0]) and lookup.has(own[1])):
        raise PlanError(_untagged(lookup, df, prefix))
    written = written_columns(df)
    there = [name for name in {**written, **dict.fromkeys(own)} if lookup.has(name)]
    columns = {name: lookup.resolve(name, option="column") for name in there}
    tasks = written[own[0]].tasks if own[0] in written else set()
    # a frame may hold columns of several calls: the fields are those that this status describes
    answers = [name for name, one in written.items() if one.task in tasks and name not in own]
    fields = {name: written[name] for name in answers if name in columns}
    ours = set(columns.values())
    others = [at for at, column in enumerate(df.columns) if column not in ours]
    return Tagged(
        status=lookup.series(columns[own[0]]),
        error=lookup.series(columns[own[1]]),
        fields={name: lookup.series(columns[name]) for name in fields},
        indicators=_indicators(fields),
        quotes=_quotes(fields),
        examples=example_rows(df),
        inputs=() if _is_redacted(df) else tuple(_asked(df) or others),
        note=_note(df),
    )


def _indicators(answers: Mapping[str, WrittenColumn]) -> dict[str, dict[str, str]]:
    """Field -> label -> column, of the fields that explode="indicator" has taken apart."""
    found: dict[str, dict[str, str]] = {}
    for name, one in answers.items():
        field = one.of
        if field is None or field in answers or one.type != Kind.BOOLEAN:
            continue
        if name.startswith(f"{field}_"):
            found.setdefault(field, {})[name.removeprefix(f"{field}_")] = name
    return found


def _quotes(answers: Mapping[str, WrittenColumn]) -> dict[str, str]:
    """The quotes' column -> the column of their positions."""
    pairs = ((name, f"{name}_at") for name, one in answers.items() if name == f"{one.of}{SUFFIX}")
    return {quotes: at for quotes, at in pairs if at in answers}


def _note(df: pd.DataFrame) -> dict[str, Any]:
    note = noted(df)
    counts = note.get("counts")
    # pandas copies attrs to slices, for which the call's tokens and cost would be too high
    if not isinstance(counts, dict) or counts.get("rows") != len(df):
        return {}
    return {name: note[name] for name, kind in _NOTED.items() if isinstance(note.get(name), kind)}


def _untagged(lookup: ColumnLookup, df: pd.DataFrame, prefix: str) -> str:
    names = [lookup.text_name(column) for column in df.columns]
    others = [name.removesuffix(STATUS) for name in names if name.endswith(STATUS)]
    # A forgotten prefix is the likelier mistake, where another call's columns are in the frame.
    if not others:
        return f"the frame has no {prefix + STATUS!r}; tag it first: out = df.llm.tag(...)"
    known = " or ".join(f"summary(prefix={other!r})" for other in others)
    return (
        f"the frame has no {prefix + STATUS!r}; it was tagged under another prefix: write "
        f"df.llm.{known}; errors() takes it, too"
    )


def failed_rows(df: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """The rows of a tagged frame that failed, on its index: their input and llm_error.

    With ``details=True`` the model's reply too, as ``llm_raw``, unless what it may quote was
    redacted.

    df: n rows, any index. If the attrs do not name the input's columns, all columns that no call
    has written are returned; none of them after a call with redact=, since what it takes out
    shall not be shown. PlanError if df was never tagged.
    """
    tagged = read_tagged(df, prefix)
    rows = (tagged.status == "failed").to_numpy(dtype=bool).nonzero()[0]
    shown = [df.iloc[rows, list(tagged.inputs)], tagged.error.iloc[rows]]
    raw = ColumnLookup(df).find(f"{prefix}llm_raw")
    # what was redacted for the model must not come back in a table of errors
    if not _is_redacted(df) and raw is not None:
        shown.append(raw.iloc[rows])
    return FailedRows(pd.concat(shown, axis=1))


def status_of(field: str, written: Mapping[str, WrittenColumn]) -> str | None:
    """The name of the status that the call of a field has written; None if it is not known."""
    task = written[field].task if field in written else None
    found = [
        name
        for name, one in written.items()
        if one.task == task
        and name.endswith(STATUS)
        and field.startswith(name.removesuffix(STATUS))
    ]
    # the same prompt may be there under several prefixes, and every name begins with ""
    return max(found, key=len, default=None)


def rows_ok(df: pd.DataFrame, status: str | None) -> npt.NDArray[np.bool_]:
    """The rows that are ok by this status; all of them where there is none."""
    column = None if status is None else ColumnLookup(df).find(status)
    if column is None:
        return np.ones(len(df), dtype=bool)
    return (column == "ok").to_numpy(dtype=bool)


def _is_redacted(df: pd.DataFrame) -> bool:
    return noted(df).get("redacted") is True


def input_columns(df: pd.DataFrame, *, without: str) -> list[int]:
    """The positions of the columns that the model was shown.

    If the attrs do not name them, all columns but our own. without: a field; neither it nor what
    belongs to it is one.
    """
    if named := _asked(df):
        return named
    text_name, ours = ColumnLookup(df).text_name, {*written_columns(df), *_OURS}
    names = [text_name(column) for column in df.columns]
    return [
        at
        for at, name in enumerate(names)
        if name not in ours and name != without and not name.startswith(f"{without}_")
    ]


def _asked(df: pd.DataFrame) -> list[int]:
    """The positions of the input's columns, as far as the attrs name them."""
    names = noted(df).get("inputs")
    if not isinstance(names, list):  # attrs are lost by many operations of pandas
        return []
    text_name = ColumnLookup(df).text_name
    return [at for at, column in enumerate(df.columns) if text_name(column) in names]
