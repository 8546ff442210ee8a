"""Answers to columns: all clashes found before a call, all columns typed and set at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError, warn
from llmframe.frame import typed
from llmframe.frame.written import ATTRS_KEY, Written, content_hash, note, read_written
from llmframe.task.confidence import is_choice
from llmframe.task.fields import FieldSpec, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from llmframe.engine.results import RowResult
    from llmframe.task.shape import Shape

    Results = Sequence["RowResult | None"]
    Read = Callable[["RowResult | None"], Any]

STATUSES = ("ok", "failed", "skipped", "pending")


@dataclass(frozen=True, slots=True)
class Output:
    """One column to write.

    name: as text, the prefix before it. column: its name in the frame, padded where the
    columns have levels. is_field: an answer, not a status. read: its value of one result.
    is_confidence: the probability of another answer.
    build: its typed cells from all values. type: what they are, for those who read attrs.
    """

    name: str
    column: Hashable
    is_field: bool
    read: Read
    build: typed.Build
    type: Shape
    is_confidence: bool = False

    def series(self, index: pd.Index[Any], values: list[Any]) -> pd.Series[Any]:
        """The typed column of its values, by position."""
        cells = self.build(values)
        return pd.Series(cells, index=index, name=self.name, dtype=cells.dtype)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The columns that a call writes, in their order.

    task: the hash of the task that they answer.
    """

    outputs: tuple[Output, ...]
    task: str

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
    Raises PlanError for a name that two outputs share, that an
    input has, or that a column has which no earlier call wrote (or that was changed since)
    unless ``overwrite``. Warns once when the status columns held another task's status.
    """
    if not isinstance(prefix, str):
        raise PlanError(f"prefix must be text, this is a {type(prefix).__name__}: {prefix!r}")
    outputs = tuple(
        replace(output, name=prefix + output.name, column=_in_frame(df, prefix + output.name))
        for output in [
            *(output for spec in specs for output in _of_field(spec, confidence)),
            *_STATUS,
            *(_DETAILS if details else []),
        ]
    )
    written = read_written(df)
    _refuse_twice(outputs)
    _refuse_inputs(outputs, inputs)
    if not overwrite:
        _refuse_existing(df, outputs, written)
    _warn_of_other_task(df, outputs, written, task)
    return ColumnPlan(outputs, task)


def add_columns(
    df: pd.DataFrame, plan: ColumnPlan, results: Results, *, info: Mapping[str, Any]
) -> pd.DataFrame:
    """A new frame: df's other columns, then the written ones; index and order kept.

    df: n rows, any index; never changed. results: n, in row order; None for a row that is
    pending. info: what ``attrs["llmframe"]`` tells besides (model, checkpoint, counts).
    """
    replaced = set(plan.columns)
    kept = [at for at, name in enumerate(df.columns) if name not in replaced]
    old = df if len(kept) == df.shape[1] else df.iloc[:, kept]
    new = _typed_columns(old.index, plan, results)
    new.columns.names = df.columns.names
    joined: Any = pd.concat([old, new], axis=1)
    out: pd.DataFrame = joined.__finalize__(df)  # attrs (a copy), flags, a subclass's own
    written = {**_still_there(old), **_written(plan, new)}
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
    new.attrs[ATTRS_KEY] = note(_written(plan, new), task=plan.task, info=info or {})
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


def _written(plan: ColumnPlan, new: pd.DataFrame) -> dict[str, Written]:
    return {
        output.name: Written(content_hash(new.iloc[:, position]), plan.task, output.type)
        for position, output in enumerate(plan.outputs)
    }


def _still_there(old: pd.DataFrame) -> dict[str, Written]:
    """The columns of earlier calls that stay in the frame."""
    existing = set(old.columns)
    told = read_written(old)
    return {name: one for name, one in told.items() if _in_frame(old, name) in existing}


def _in_frame(df: pd.DataFrame, name: str) -> Hashable:
    levels = df.columns.nlevels
    return name if levels == 1 else (name, *[""] * (levels - 1))


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


def _refuse_existing(
    df: pd.DataFrame, outputs: Sequence[Output], written: Mapping[str, Written]
) -> None:
    existing = set(df.columns)
    foreign, changed = [], []
    for output in outputs:
        if output.column not in existing:
            continue
        if output.name not in written:
            foreign.append(output.name)
        elif output.is_field and not _unchanged(df, output.column, written[output.name]):
            changed.append(output.name)
    if foreign or changed:
        found = [f"{_names(foreign)} in the frame not written by llmframe"] * bool(foreign)
        found += [f"{_names(changed)} changed since llmframe wrote it"] * bool(changed)
        raise PlanError(
            f"the outputs' names are taken: {'; '.join(found)}. Give overwrite=True to replace "
            "what is there, or prefix='new_' (say) to keep both"
        )


def _unchanged(df: pd.DataFrame, column: Hashable, written: Written) -> bool:
    same = [at for at, name in enumerate(df.columns) if name == column]
    return len(same) == 1 and content_hash(df.iloc[:, same[0]]) == written.hash


def _warn_of_other_task(
    df: pd.DataFrame, outputs: Sequence[Output], written: Mapping[str, Written], task: str
) -> None:
    existing = set(df.columns)
    others = [
        output.name
        for output in outputs
        if not output.is_field
        and output.column in existing
        and written.get(output.name, Written("", task)).task != task
    ]
    if others:
        warn(
            f"{_names(others)} held the status of another task and will describe this call; "
            "to keep both give one of the calls a prefix= of its own",
        )


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _field(spec: FieldSpec) -> Output:
    def read(result: RowResult | None) -> Any:
        return result.values.get(spec.name) if result is not None and result.values else None

    kind = spec.kind.value if spec.shape is None else spec.shape
    build = typed.builder(spec)
    return Output(spec.name, spec.name, is_field=True, read=read, build=build, type=kind)


def _of_field(spec: FieldSpec, confidence: bool) -> list[Output]:
    """A field's columns."""
    field = _field(spec)
    return [field, _confidence(spec)] if confidence and is_choice(spec) else [field]


def _confidence(spec: FieldSpec) -> Output:
    def read(result: RowResult | None) -> Any:
        return None if result is None else (result.confidence or {}).get(spec.name)

    name, kind = f"{spec.name}_confidence", Kind.FLOAT
    build = typed.builder(FieldSpec(name, kind))
    return Output(
        name, name, is_field=True, read=read, build=build, type=kind.value, is_confidence=True
    )


def _service(name: str, get: Callable[[RowResult], Any], kind: Kind) -> Output:
    def read(result: RowResult | None) -> Any:
        return None if result is None else get(result)

    build = typed.builder(FieldSpec(name, kind))
    return Output(name, name, is_field=False, read=read, build=build, type=kind.value)


_STATUS = [
    Output(
        "llm_status",
        "llm_status",
        is_field=False,
        read=lambda result: "pending" if result is None else result.status,
        build=typed.choices(STATUSES),
        type=Kind.CHOICE.value,
    ),
    _service("llm_error", lambda result: result.error, Kind.TEXT),
]
_DETAILS = [
    _service("llm_attempts", lambda result: result.attempts, Kind.INTEGER),
    _service("llm_tokens_in", lambda result: result.usage.tokens_in, Kind.INTEGER),
    _service("llm_tokens_out", lambda result: result.usage.tokens_out, Kind.INTEGER),
    _service("llm_cost", lambda result: result.usage.cost, Kind.FLOAT),
    _service("llm_seconds", lambda result: result.seconds, Kind.FLOAT),
    _service("llm_raw", lambda result: result.raw, Kind.TEXT),
]
