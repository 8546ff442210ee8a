"""Answers to columns: all clashes found before a call, all columns typed and set at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError, warn
from llmframe.frame import typed_columns
from llmframe.frame.existing import (
    ATTRS_KEY,
    ExistingColumns,
    State,
    WrittenColumn,
    content_hash,
    in_frame,
    note,
    row_labels,
    written_columns,
)
from llmframe.task.confidence import is_choice
from llmframe.task.fields import FieldSpec, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from llmframe.frame.existing import Hashes
    from llmframe.results import RowResult
    from llmframe.task.value_type import ValueType

    Results = Sequence["RowResult | None"]
    Read = Callable[["RowResult | None"], Any]

STATUSES = ("ok", "failed", "skipped", "pending")
STATUS = "llm_status"


@dataclass(frozen=True, slots=True)
class Output:
    """One column to write.

    name: as text, the prefix before it. column: its name in the frame, padded where the
    columns have levels. is_field: an answer, not a status. read: its value of one result.
    is_confidence: the probability of another answer. of: the output that it goes with and
    becomes stale with, an answer or the status; with the prefix, as name.
    build: its typed cells from all values. type: what they are, for those who read attrs.
    """

    name: str
    column: Hashable
    is_field: bool
    read: Read
    build: typed_columns.Build
    type: ValueType
    is_confidence: bool = False
    of: str | None = None

    def placed(self, df: pd.DataFrame, prefix: str) -> Output:
        """Under its name in this frame."""
        name = prefix + self.name
        of = None if self.of is None else prefix + self.of
        return replace(self, name=name, column=in_frame(df, name), of=of)

    def series(self, index: pd.Index[Any], values: list[Any]) -> pd.Series[Any]:
        """The typed column of its values, by position."""
        cells = self.build(values)
        return pd.Series(cells, index=index, name=self.name, dtype=cells.dtype)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The columns that a call writes, in their order.

    task: the hash of the task that they answer. inputs: the columns that are asked about.
    stale: columns of earlier calls that would tell of answers that are replaced. prefix: of
    all names.
    """

    outputs: tuple[Output, ...]
    task: str
    inputs: tuple[Hashable, ...] = ()
    stale: tuple[Hashable, ...] = ()
    prefix: str = ""

    @property
    def columns(self) -> list[Hashable]:
        """The names of the written columns as the frame has them."""
        return [output.column for output in self.outputs]

    def has_confidence(self, df: pd.DataFrame) -> bool:
        """Whether the written frame holds any probability, or none was asked for."""
        asked = [output.column for output in self.outputs if output.is_confidence]
        return not asked or any(bool(df[column].notna().any()) for column in asked)


def plan_columns(
    df: pd.DataFrame,
    specs: Sequence[FieldSpec],
    *,
    inputs: tuple[Hashable, ...],
    prefix: str,
    overwrite: bool,
    details: bool,
    task: str,
    confidence: bool = False,
) -> ColumnPlan:
    """What a call will write into df, every clash of names found now.

    specs: the fields in their order. inputs: columns that no output may be named like.
    task: the task's hash. confidence: a column of probabilities behind each choice.
    Raises PlanError for a name that two outputs share, that an input has, or that a column
    has which no earlier call wrote (or that was changed since) unless ``overwrite``; a status
    is replaced too where the rows are not as many as it was written on. Warns once when the
    status columns held another task's status.
    """
    if not isinstance(prefix, str):
        raise PlanError(f"prefix must be text, this is a {type(prefix).__name__}: {prefix!r}")
    outputs = tuple(
        output.placed(df, prefix)
        for output in [
            *(output for spec in specs for output in _of_field(spec, confidence)),
            *_STATUS,
            *(_DETAILS if details else []),
        ]
    )
    past = ExistingColumns(df, inputs)
    _refuse_twice(outputs)
    _refuse_inputs(outputs, inputs)
    if not overwrite:
        _refuse_existing(outputs, past)
    stale = _stale(outputs, past, overwrite)
    _warn_of_other_task(outputs, stale, past, task)
    columns = tuple(in_frame(df, name) for name in stale)
    return ColumnPlan(outputs, task, inputs, columns, prefix)


def add_columns(
    df: pd.DataFrame, plan: ColumnPlan, results: Results, *, info: Mapping[str, Any]
) -> pd.DataFrame:
    """A new frame: df's other columns, then the written ones; index and order kept.

    What earlier calls told of the answers that are replaced goes.

    df: n rows, any index; never changed. results: n, in row order; None for a row that is
    pending. info: what ``attrs["llmframe"]`` tells besides (model, checkpoint, counts).
    """
    replaced = {*plan.columns, *plan.stale}
    kept = [at for at, name in enumerate(df.columns) if name not in replaced]
    old = df if len(kept) == df.shape[1] else df.iloc[:, kept]
    new = _typed_columns(old.index, plan, results)
    new.columns.names = df.columns.names
    joined: Any = pd.concat([old, new], axis=1)
    out: pd.DataFrame = joined.__finalize__(df)  # attrs (a copy), flags, a subclass's own
    written = {**_still_there(old), **_written(plan, new, row_labels(df, plan.inputs))}
    out.attrs[ATTRS_KEY] = note(written, task=plan.task, info=info)
    return out


def new_columns(
    index: pd.Index[Any],
    plan: ColumnPlan,
    results: Results,
    *,
    info: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Only the written columns, typed, on this index; results and info as in add_columns."""
    new = _typed_columns(index, plan, results)
    new.attrs[ATTRS_KEY] = note(
        _written(plan, new, row_labels(new)), task=plan.task, info=info or {}
    )
    return new


def _typed_columns(index: pd.Index[Any], plan: ColumnPlan, results: Results) -> pd.DataFrame:
    if len(results) != len(index):
        raise ValueError(f"{len(results)} results for {len(index)} rows")
    columns: list[tuple[Output, list[Any]]] = [(output, []) for output in plan.outputs]
    for result in results:  # once: the engine makes each when it is read
        for output, values in columns:
            values.append(output.read(result))
    new = pd.concat([output.series(index, values) for output, values in columns], axis=1)
    new.columns = pd.Index(plan.columns)
    return new


def _written(plan: ColumnPlan, new: pd.DataFrame, labels: Hashes) -> dict[str, WrittenColumn]:
    """labels: of the rows; a status is noted without, it goes with its row however numbered."""
    return {
        output.name: WrittenColumn(
            content_hash(new.iloc[:, position], labels if output.is_field else None),
            plan.task,
            output.type,
            len(new),
            output.of,
        )
        for position, output in enumerate(plan.outputs)
    }


def _still_there(old: pd.DataFrame) -> dict[str, WrittenColumn]:
    """The columns of earlier calls that stay in the frame."""
    existing = set(old.columns)
    told = written_columns(old)
    return {name: one for name, one in told.items() if in_frame(old, name) in existing}


def _refuse_twice(outputs: Sequence[Output]) -> None:
    counts = Counter(output.name for output in outputs)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise PlanError(f"two outputs would be named {_names(twice)}; give the field another name")


def _refuse_inputs(outputs: Sequence[Output], inputs: tuple[Hashable, ...]) -> None:
    clashing = [output.name for output in outputs if output.column in inputs]
    if clashing:
        raise PlanError(
            f"an output would be named like the input column {_names(clashing)}, whose cells "
            "it would replace; give the field another name or the outputs a prefix="
        )


def _refuse_existing(outputs: Sequence[Output], past: ExistingColumns) -> None:
    found: dict[State, list[str]] = {state: [] for state in State}
    for output in outputs:
        state = past.state(output.name)
        if output.is_field or state is not State.MOVED:  # a status describes the latest call
            found[state].append(output.name)
    told = [_TAKEN[state].format(names=_names(found[state])) for state in _TAKEN if found[state]]
    if not told:
        return
    only_moved = len(told) == 1 and bool(found[State.MOVED])
    raise PlanError(
        f"the outputs' names are taken: {'; '.join(told)}. "
        + (_OVERWRITE_MOVED if only_moved else _OVERWRITE)
        + ", or prefix='new_' (say) to keep both"
    )


_TAKEN = {
    State.FOREIGN: "{names} in the frame not written by llmframe, as far as is noted (a merge or "
    "a concat loses the note)",
    State.TWICE: "{names} more than once in the frame, llmframe wrote one of them",
    State.CHANGED: "{names} changed since llmframe wrote it (a cell was edited, or rows were "
    "moved and numbered anew)",
    State.MOVED: "{names} written by llmframe, but not on these rows (they were filtered, joined "
    "or added to), so nothing tells whether somebody edited a cell since",
}
_OVERWRITE = "Give overwrite=True to replace what is there"
_OVERWRITE_MOVED = (
    "Give overwrite=True, which is safe if nobody did and pays again for no answer that the "
    "checkpoint holds"
)


def _stale(outputs: Sequence[Output], past: ExistingColumns, overwrite: bool) -> list[str]:
    """What goes with a column that is rewritten, is not rewritten itself and was not edited."""
    names = {output.name for output in outputs}
    kept = {State.ABSENT} if overwrite else {State.ABSENT, State.CHANGED, State.TWICE}
    return [
        name
        for name, told in past.written.items()
        if told.of in names
        and name not in names
        and past.column(name) not in past.inputs
        and past.state(name) not in kept
    ]


def _warn_of_other_task(
    outputs: Sequence[Output], stale: Sequence[str], past: ExistingColumns, task: str
) -> None:
    others, gone = (
        [name for name in names if past.is_of_another_task(name, task)]
        for names in ([output.name for output in outputs if not output.is_field], stale)
    )
    if others:
        warn(
            f"{_names(others)} held the status of another task and will describe this call"
            + (f", {_names(gone)} will go" if gone else "")
            + "; to keep both give one of the calls a prefix= of its own",
        )


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _field(spec: FieldSpec) -> Output:
    def read(result: RowResult | None) -> Any:
        return result.values.get(spec.name) if result is not None and result.values else None

    kind = spec.kind.value if spec.value_type is None else spec.value_type
    build = typed_columns.builder(spec)
    return Output(spec.name, spec.name, is_field=True, read=read, build=build, type=kind)


def _of_field(spec: FieldSpec, confidence: bool) -> list[Output]:
    """A field's columns."""
    field = _field(spec)
    return [field, _confidence(spec)] if confidence and is_choice(spec) else [field]


def _confidence(spec: FieldSpec) -> Output:
    def read(result: RowResult | None) -> Any:
        return None if result is None else (result.confidence or {}).get(spec.name)

    name, kind = f"{spec.name}_confidence", Kind.FLOAT
    build = typed_columns.builder(FieldSpec(name, kind=kind))
    return Output(
        name,
        name,
        is_field=True,
        read=read,
        build=build,
        type=kind.value,
        is_confidence=True,
        of=spec.name,
    )


def _detail(name: str, get: Callable[[RowResult], Any], kind: Kind) -> Output:
    return replace(_service(name, get, kind), of=STATUS)


def _service(name: str, get: Callable[[RowResult], Any], kind: Kind) -> Output:
    def read(result: RowResult | None) -> Any:
        return None if result is None else get(result)

    build = typed_columns.builder(FieldSpec(name, kind=kind))
    return Output(name, name, is_field=False, read=read, build=build, type=kind.value)


_STATUS = [
    Output(
        STATUS,
        STATUS,
        is_field=False,
        read=lambda result: "pending" if result is None else result.status,
        build=typed_columns.choices(STATUSES),
        type=Kind.CHOICE.value,
    ),
    _service("llm_error", lambda result: result.error and str(result.error), Kind.TEXT),
]
_DETAILS = [
    _detail("llm_attempts", lambda result: result.attempts, Kind.INTEGER),
    _detail("llm_tokens_in", lambda result: result.usage.tokens_in, Kind.INTEGER),
    _detail("llm_tokens_out", lambda result: result.usage.tokens_out, Kind.INTEGER),
    _detail("llm_cost", lambda result: result.usage.cost, Kind.FLOAT),
    _detail("llm_seconds", lambda result: result.seconds, Kind.FLOAT),
    _detail("llm_raw", lambda result: result.raw, Kind.TEXT),
]
