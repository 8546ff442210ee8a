"""Answers to columns: name clashes are found before any call, all columns are set in one step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError, warn
from llmframe.frame.example_rows import with_earlier
from llmframe.frame.existing import (
    ATTRS_KEY,
    ExistingColumns,
    State,
    WrittenColumn,
    attrs_entry,
    columns_named,
    content_hash,
    in_frame,
    row_labels,
    written_columns,
)
from llmframe.frame.quotes import find_quotes
from llmframe.frame.selection import snapshot
from llmframe.frame.typed_columns import booleans, builder, choices
from llmframe.task.confidence import is_choice
from llmframe.task.fields import FieldSpec, Kind
from llmframe.task.text import quoted, refuse_duplicates
from llmframe.task.value_type import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from llmframe.frame.existing import Hashes
    from llmframe.frame.quotes import Found, OwnTexts
    from llmframe.frame.selection import Selection
    from llmframe.frame.typed_columns import Build
    from llmframe.options.settings import Settings
    from llmframe.results import Failure, Results, RowResult
    from llmframe.task.choices import Labels
    from llmframe.task.value_type import Part, ValueType

STATUSES = ("ok", "failed", "skipped", "pending")
STATUS, ERROR = "llm_status", "llm_error"  # the details belong to the status
MOST_PROMPTS = 8  # that are noted of one column, the newest: attrs must stay small


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One column to write.

    name: as text, with the prefix once it is planned. column: its name in the frame, padded
    where the columns have levels. read: the name of the field whose values it shows, or its
    value of a finished result. pending: its value for a row without one. build: its typed cells
    from all values. type: what they hold, for attrs.
    is_field: an answer, not a status. is_confidence: the probability of another answer.
    of: the output that it belongs to and becomes stale with, an answer or the status.
    found: what of a quote it shows, 0 for the quote as the text has it and 1 for where; None for
    any other value.
    """

    name: str
    read: str | Callable[[RowResult], Any]
    build: Build
    type: ValueType
    column: Hashable = None
    pending: Any = None
    is_field: bool = False
    is_confidence: bool = False
    of: str | None = None
    found: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The answers that a call with ``extend=True`` leaves as they are.

    names: their columns. unanswered: the rows, by position among those to tag, in which one of
    them is missing, with the error if the row failed. fills: only missing answers are written.
    """

    names: tuple[str, ...] = ()
    unanswered: Mapping[int, Failure | None] = field(default_factory=dict)
    fills: bool = False


NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """The columns that a call writes, in their order; none if it has nothing to ask.

    task: the hash of the task that they answer. inputs: the columns that the prompt shows.
    stale: columns that an earlier call wrote along with an answer that is replaced now.
    own: the person's own texts, in which quotes must stand.
    prompts: field -> the hash of its prompt, noted in attrs.
    """

    outputs: tuple[Output, ...]
    task: str
    inputs: tuple[Hashable, ...] = ()
    stale: tuple[Hashable, ...] = ()
    prefix: str = ""
    own: OwnTexts | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    kept: Kept = NOTHING_KEPT

    @property
    def columns(self) -> list[Hashable]:
        """The names of the written columns as the frame has them."""
        return [output.column for output in self.outputs]

    def has_confidence(self, df: pd.DataFrame) -> bool:
        """Whether the written frame holds any probability, or none was wanted."""
        wanted = [output.column for output in self.outputs if output.is_confidence]
        return not wanted or any(bool(df[column].notna().any()) for column in wanted)


def plan_columns(
    df: pd.DataFrame,
    specs: Sequence[FieldSpec],
    settings: Settings,
    *,
    inputs: tuple[Hashable, ...],
    task: str,
    own: OwnTexts | None = None,
    selection: Selection | None = None,
    prompts: Mapping[str, str] | None = None,
    kept: Kept = NOTHING_KEPT,
) -> ColumnPlan:
    """The columns that a call will write into df, with every clash of names found now.

    specs: the fields in their order. inputs: columns whose names no output may have.
    task: the task's hash. own: the person's own texts, where quotes are asked for.
    selection: the rows that are tagged, None for all; cells of other rows cannot be lost.
    prompts: field -> the hash of its prompt. kept: answers of earlier calls that stay.
    Raises PlanError for a name that two outputs share, that an input has, or that a column
    has which no earlier call wrote (or that was changed since) unless ``overwrite``; a status
    is replaced too if the frame has another number of rows by now. Warns once when the
    status columns held another task's status.
    """
    prefix = settings.prefix
    if not isinstance(prefix, str):
        raise PlanError(f"prefix must be text, this is a {type(prefix).__name__}: {prefix!r}")
    bare: list[Output] = []
    for spec in specs:
        if spec.evidence_of is not None and own is not None:
            bare += _quote(spec, own)
            continue
        bare += [*_answers(spec, settings), *_companions(spec, settings)]
    bare += [*_STATUS, *(_DETAILS if settings.details else ())]
    outputs = tuple(_named(output, prefix, df) for output in bare)
    existing = ExistingColumns(df, inputs)
    _refuse_clashes(outputs, inputs)  # mistakes in the call first: no option can allow them
    if selection is not None:
        _refuse_other_kinds(outputs, selection)
    if not settings.overwrite:
        _refuse_taken(outputs, existing, selection, fills=kept.fills)
    stale = _stale(outputs, existing, settings.overwrite)
    if selection is None:
        _warn_of_other_task(outputs, stale, existing, {task, *_kept_tasks(existing, kept)})
    else:  # the other rows keep what they have, the status of the other task too
        outputs, stale = _with_emptied(outputs, stale, existing), []
    columns = tuple(in_frame(df, name) for name in stale)
    planned = ColumnPlan(outputs=outputs, task=task, inputs=inputs, stale=columns, prefix=prefix)
    return replace(planned, own=own, prompts=prompts or {}, kept=kept)


def _kept_tasks(existing: ExistingColumns, kept: Kept) -> set[str]:
    """The tasks whose answers stay: a status goes on describing them."""
    return {existing.written[name].task for name in kept.names}


def _refuse_clashes(outputs: Sequence[Output], inputs: tuple[Hashable, ...]) -> None:
    """Raise PlanError where two outputs have one name, or one has that of an input."""
    refuse_duplicates(
        [output.name for output in outputs],
        "two outputs would be named {names}; give the field another name",
    )
    clashing = [output.name for output in outputs if output.column in inputs]
    if clashing:
        raise PlanError(
            f"an output would be named like the input column {quoted(clashing)}, whose cells "
            "it would replace; give the field another name or the outputs a prefix="
        )


def _named(output: Output, prefix: str, df: pd.DataFrame) -> Output:
    """The output with the prefix, and with its name as the frame has it."""
    name = prefix + output.name
    of = None if output.of is None else prefix + output.of
    return replace(output, name=name, column=in_frame(df, name), of=of)


def add_columns(
    df: pd.DataFrame,
    plan: ColumnPlan,
    results: Results,
    *,
    info: Mapping[str, Any],
    selection: Selection | None = None,
) -> pd.DataFrame:
    """A new frame: df's other columns, then the written ones; index and order kept.

    The stale columns of earlier calls are left out.

    df: n rows, any index; never changed. results: n, in row order; None for a row that is
    pending. info: more for ``attrs["llmframe"]`` (model, checkpoint, counts).
    selection: the frame of which df is a part, where not all of its rows were tagged; then that
    frame is returned, and the other rows keep what the written columns hold.
    """
    if not plan.outputs:
        return snapshot(df if selection is None else selection.whole)
    new = _build_columns(df.index, plan, results)
    info = {**info, **_evidence_counts(plan, new, results)}
    if selection is not None:
        df = selection.whole
        new = _filled(selection, plan, new, df)
    replaced = {*plan.columns, *plan.stale}
    kept = [at for at, name in enumerate(df.columns) if name not in replaced]
    old = df if len(kept) == df.shape[1] else df.iloc[:, kept]
    new.columns.names = df.columns.names  # concat drops the names of levels that differ
    joined: Any = pd.concat([old, new], axis=1)
    out: pd.DataFrame = joined.__finalize__(df)  # attrs (a copy), flags, a subclass's own
    if not _has_names(out, old):  # joining makes NaN of None
        named = pd.Index([*old.columns, *new.columns], dtype=object, tupleize_cols=False)
        out.columns = named.rename(df.columns.name)
    names, before = set(old.columns), written_columns(df)
    staying = {name: one for name, one in before.items() if in_frame(old, name) in names}
    # where some rows were not asked they may keep answers of any earlier task
    tasks = {one.task for one in staying.values()} if selection is None else None
    info = with_earlier(info, df, tasks=tasks)
    written = _as_written(plan, new, row_labels(df, plan.inputs))
    if selection is not None or plan.kept.names:
        written = {
            name: _with_earlier(one, plan, before.get(name), staying)
            for name, one in written.items()
        }
    written = staying | written
    out.attrs[ATTRS_KEY] = attrs_entry(written, task=plan.task, info=info)
    return out


def _has_names(out: pd.DataFrame, old: pd.DataFrame) -> bool:
    """Whether the old columns have their names still, or are named by levels."""
    names = zip(old.columns, out.columns, strict=False)
    return old.columns.nlevels > 1 or all(
        before is after or (type(before) is type(after) and before == after)
        for before, after in names
    )


def new_columns(
    index: pd.Index[Any],
    plan: ColumnPlan,
    results: Results,
    *,
    info: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
) -> pd.DataFrame:
    """Only the written columns, typed, on this index; the rest as in add_columns."""
    new = _build_columns(index, plan, results)
    info = {**(info or {}), **_evidence_counts(plan, new, results)}
    if selection is not None:
        new = _filled(selection, plan, new, selection.whole.iloc[:, :0])
    written = _as_written(plan, new, row_labels(new))
    new.attrs[ATTRS_KEY] = attrs_entry(written, task=plan.task, info=info)
    return new


def _build_columns(index: pd.Index[Any], plan: ColumnPlan, results: Results) -> pd.DataFrame:
    if len(results) != len(index):
        raise ValueError(f"{len(results)} results for {len(index)} rows")
    names = [output.read for output in plan.outputs if isinstance(output.read, str)]
    rows, answers = results.columns(names)
    _keep_open(rows, plan.kept.unanswered)
    own = plan.own
    found: dict[str, list[Found | None]] = {}
    built = []
    for output in plan.outputs:
        read, pending = output.read, output.pending
        if isinstance(read, str) and own is not None and (part := output.found) is not None:
            if read not in found:
                found[read] = find_quotes(own, answers[read])
            values = [None if each is None else each[part] for each in found[read]]
        elif isinstance(read, str):
            values = answers[read]
        else:
            values = [pending if result is None else read(result) for result in rows]
        cells = output.build(values)
        built.append(pd.Series(cells, index=index, name=output.name, dtype=cells.dtype))
    new = pd.concat(built, axis=1)  # in one step: a frame that grows by columns is fragmented
    new.columns = pd.Index(plan.columns)
    return new


def _evidence_counts(
    plan: ColumnPlan, new: pd.DataFrame, results: Results
) -> dict[str, dict[str, dict[str, int]]]:
    """Of the answered rows: quotes found, not in the text, not given; by field with evidence."""
    quotes = {str(one.read): one for one in plan.outputs if one.found == 0}
    if not quotes:
        return {}
    rows, answers = results.columns([*quotes])
    ok = sum(row is not None and row.status == "ok" for row in rows)
    counts = {}
    for name, output in quotes.items():
        found = int(_column_at(new, plan, output).notna().sum())
        given = sum(quote is not None for quote in answers[name])
        counts[output.of or name] = {
            "found": found,
            "not_in_text": given - found,
            "not_given": ok - given,
        }
    return {"evidence": counts}


def _column_at(new: pd.DataFrame, plan: ColumnPlan, output: Output) -> pd.Series[Any]:
    return new.iloc[:, plan.outputs.index(output)]


def _filled(
    selection: Selection, plan: ColumnPlan, new: pd.DataFrame, old: pd.DataFrame
) -> pd.DataFrame:
    """The new columns for all rows of the frame: the others have what the old columns hold."""

    def first(name: str) -> pd.Series[Any] | None:
        return next(iter(columns_named(old, in_frame(old, name))), None)

    columns = []
    for at, output in enumerate(plan.outputs):
        # a probability stays with the answer that it belongs to
        name = output.name if isinstance(output.read, str) else output.of or output.name
        answer = first(name) if plan.kept.fills and output.is_field else None
        keep = None if answer is None else answer.notna().to_numpy()
        columns.append(selection.filled(new.iloc[:, at], first(output.name), keep=keep))
    return pd.concat(columns, axis=1).set_axis(new.columns, axis=1)


def _keep_open(rows: list[RowResult | None], unanswered: Mapping[int, Failure | None]) -> None:
    """Let no row be ok in which an answer of an earlier call is missing."""
    for position, error in unanswered.items():
        row = rows[position]
        if row is not None and row.status == "ok":
            # an ok row has all its answers; here an older one is still missing
            status: Any = "pending" if error is None else "failed"
            rows[position] = row._replace(status=status, error=error)


def _as_written(plan: ColumnPlan, new: pd.DataFrame, labels: Hashes) -> dict[str, WrittenColumn]:
    """The written columns as attrs record them. labels: hashes of the rows' labels."""
    return {
        output.name: WrittenColumn(
            # a status belongs to its row however the rows are numbered later: no labels
            content_hash(new.iloc[:, position], labels if output.is_field else None),
            task=plan.task,
            type=output.type,
            rows=len(new),
            of=output.of,
            prompts=_prompts(plan, output),
        )
        for position, output in enumerate(plan.outputs)
    }


def _prompts(plan: ColumnPlan, output: Output) -> tuple[str, ...]:
    """The hash of the prompt that an output answers; none of a status or a probability."""
    answers = output.is_field and not output.is_confidence and isinstance(output.read, str)
    prompt = plan.prompts.get(str(output.read)) if answers else None
    return () if prompt is None else (prompt,)


def _with_earlier(
    written: WrittenColumn,
    plan: ColumnPlan,
    before: WrittenColumn | None,
    staying: Mapping[str, WrittenColumn],
) -> WrittenColumn:
    """A written column with what is noted of the earlier calls whose cells stay.

    before: the same column as it was. staying: the columns that are not written.
    """
    earlier = before or written
    if written.prompts:  # the other rows keep answers to their own prompt
        prompts = [one for one in earlier.prompts if one not in written.prompts]
        return replace(written, prompts=(*prompts, *written.prompts)[-MOST_PROMPTS:])
    if written.of is not None:
        return written
    answered = {one.task for one in staying.values() if one.prompts}
    described = earlier.tasks | {staying[name].task for name in plan.kept.names}
    return replace(written, also=tuple(sorted((described & answered) - {written.task})))


_TAKEN = {
    State.FOREIGN: "the frame already has {names}",
    State.TWICE: "{names} more than once in the frame, llmframe wrote one of them",
    State.CHANGED: "{names} changed since llmframe wrote it (a cell was edited, or rows were "
    "moved and numbered anew)",
    State.MOVED: "{names} written by llmframe, but not on these rows (they were filtered, joined "
    "or added to), so an edit of a cell since then cannot be ruled out",
}
_OVERWRITE = "Give overwrite=True to replace what is there"
_OVERWRITE_MOVED = (
    "Give overwrite=True, which is safe if nobody edited one, and answers that the checkpoint "
    "holds are not paid again"
)


def _refuse_other_kinds(outputs: Sequence[Output], selection: Selection) -> None:
    """Raise PlanError where the cells that other rows keep cannot stand beside new answers."""
    for output in outputs:
        cells = output.build([])
        none = pd.Series(cells, name=output.name, dtype=cells.dtype)
        nowhere = replace(selection, at=selection.at[:0])
        held = columns_named(selection.whole, output.column)
        nowhere.filled(none, held[0] if held else None)


def _refuse_taken(
    outputs: Sequence[Output],
    existing: ExistingColumns,
    selection: Selection | None,
    *,
    fills: bool,
) -> None:
    """Raise PlanError if a name belongs to a column that must not be replaced unasked.

    fills: only missing cells are written, so that no edit can be lost.
    """
    found: dict[State, list[str]] = {}
    for output in outputs:
        state = existing.state(output.name)  # once: it hashes a column
        # a status describes the latest call; a missing answer is no answer that could be lost
        if fills and state in (State.CHANGED, State.MOVED):
            continue
        if (output.is_field or state is not State.MOVED) and not (
            _loses_nothing(output, state, existing, selection)
        ):
            found.setdefault(state, []).append(output.name)
    taken = [state for state in _TAKEN if state in found]
    if taken:
        texts = [_TAKEN[state].format(names=quoted(found[state])) for state in taken]
        if taken == [State.FOREIGN]:
            raise PlanError(
                f"{texts[0]}; overwrite=True replaces what is there, prefix='new_' keeps both"
            )
        raise PlanError(
            f"the outputs' names are taken: {'; '.join(texts)}. "
            + (_OVERWRITE_MOVED if taken == [State.MOVED] else _OVERWRITE)
            + ", or prefix='new_' (say) to keep both"
        )


def _loses_nothing(
    output: Output, state: State, existing: ExistingColumns, selection: Selection | None
) -> bool:
    """Whether all cells that the call replaces are missing, or a status that we wrote."""
    if state is State.MOVED or (selection is not None and state in (State.CHANGED, State.FOREIGN)):
        ours = state is not State.FOREIGN and not output.is_field
        return ours or existing.is_empty(output.name, None if selection is None else selection.at)
    return False


def _stale(outputs: Sequence[Output], existing: ExistingColumns, overwrite: bool) -> list[str]:
    """Columns that belong to one that is rewritten, are not rewritten and were not edited."""
    names = {output.name for output in outputs}
    # a field that is written as several columns now, or was before, replaces its other form
    fields = names | {output.of for output in outputs}
    # overwrite=True also drops the edited companions, because they describe the old answer
    kept = {State.ABSENT} if overwrite else {State.ABSENT, State.CHANGED, State.TWICE}
    return [
        name
        for name, written in existing.written.items()
        if (name in fields or (written.of is not None and written.of in fields))
        and name not in names
        and existing.column(name) not in existing.inputs
        and existing.state(name) not in kept
    ]


def _with_emptied(
    outputs: Sequence[Output], stale: Sequence[str], existing: ExistingColumns
) -> tuple[Output, ...]:
    """The outputs, each followed by the stale columns that belong to it, which become empty."""
    emptied: dict[int, list[Output]] = {}
    for one in (_emptied(existing, name) for name in stale):
        owners = (one.of, one.name)
        near = [
            at
            for at, each in enumerate(outputs)
            if each.name == one.of or (each.of is not None and each.of in owners)
        ]
        # beside the columns of the same field, so that both of its forms stand together
        emptied.setdefault(near[-1], []).append(one)
    return tuple(
        each for at, output in enumerate(outputs) for each in (output, *emptied.get(at, ()))
    )


def _emptied(existing: ExistingColumns, name: str) -> Output:
    """A column that loses its cells in the rows to tag."""
    written, cells = existing.written[name], existing.cells(name)
    dtype: Any = None if cells is None else cells.dtype
    return Output(
        name=name,
        column=existing.column(name),
        read=lambda _: None,
        build=lambda values: pd.array([None] * len(values), dtype=dtype),
        type=written.type or Kind.TEXT.value,
        is_field=True,
        of=written.of,
    )


def _warn_of_other_task(
    outputs: Sequence[Output], stale: Sequence[str], existing: ExistingColumns, tasks: set[str]
) -> None:
    """Warn of a status that will no longer describe its task. tasks: those that it may have."""
    # only the status columns: two tasks use the same names for them
    statuses = [output.name for output in outputs if not output.is_field]
    others = [name for name in statuses if existing.is_of_another_task(name, tasks)]
    gone = [name for name in stale if existing.is_of_another_task(name, tasks)]
    if others:
        warn(
            f"{quoted(others)} held the status of another task and will describe this call"
            + (f", {quoted(gone)} will go" if gone else "")
            + "; to keep both give one of the calls a prefix= of its own",
        )


def answer_columns(spec: FieldSpec, settings: Settings) -> list[str]:
    """The names of the columns that hold a field's answers."""
    return [settings.prefix + output.name for output in _answers(spec, settings)]


def _answers(spec: FieldSpec, settings: Settings) -> list[Output]:
    """The columns of one field: one, unless its parts or its labels have columns of their own."""
    whole, explode = _answer(spec), settings.explode is not None
    if not (settings.flatten and spec.parts):
        return _indicators(whole, (), spec.items, spec) if explode and spec.items else [whole]
    outputs = []
    for part in spec.parts:
        output = _part(whole, part)
        exploded = explode and part.items
        outputs += _indicators(output, part.path, part.items, spec) if exploded else [output]
    return outputs


def _part(whole: Output, part: Part) -> Output:
    """The column of one value inside the nested objects of a field."""
    build = builder(FieldSpec(whole.name, kind=part.kind, labels=part.labels))
    return replace(
        whole,
        name=".".join((whole.name, *part.path)),
        build=_after(partial(_inside, path=part.path), build),
        type=part.kind.value if part.value_type is None else part.value_type,
        of=whole.name,
    )


def _indicators(
    listed: Output, path: tuple[str, ...], labels: Labels | None, spec: FieldSpec
) -> list[Output]:
    """A column for each label of a list: whether it holds the label, missing where there is none.

    path: to the list, inside the nested objects of the field.
    """
    return [
        replace(
            listed,
            name=f"{listed.name}_{label}",
            build=_after(partial(_holds, path=path, label=label), booleans),
            type=Kind.BOOLEAN.value,
            of=spec.name,
        )
        for label in labels or ()
    ]


def _after(take: Callable[[Any], Any], build: Build) -> Build:
    return lambda values: build([*map(take, values)])


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    """What these names lead to, None where one of them leads nowhere."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _holds(value: Any, path: tuple[str, ...], label: str | int) -> bool | None:
    held = _inside(value, path)
    # without a list the row has no answer: missing, not False
    return label in held if isinstance(held, list) else None


def _answer(spec: FieldSpec) -> Output:
    kind = spec.kind.value if spec.value_type is None else spec.value_type
    build = builder(spec)
    name = spec.column or spec.name
    return Output(name=name, read=spec.name, build=build, type=kind, is_field=True)


def _quote(spec: FieldSpec, own: OwnTexts) -> list[Output]:
    """The columns of a field's evidence: the quote, and where it stands."""
    at: ValueType = ["integer"] if len(own.input_names) == 1 else JSON
    named = [
        (spec.name, Kind.TEXT, Kind.TEXT.value),
        (f"{spec.name}_at", Kind.OBJECT, at),
    ]
    return [
        Output(
            name=name,
            read=spec.name,
            build=builder(FieldSpec(name, kind=kind)),
            type=type_,
            is_field=True,
            of=spec.evidence_of,
            found=found,
        )
        for found, (name, kind, type_) in enumerate(named)
    ]


def _companions(spec: FieldSpec, settings: Settings) -> list[Output]:
    """The columns that stand after a field's own."""
    if not is_choice(spec):
        return []
    columns = []
    if settings.confidence:
        columns.append(replace(_sureness(spec, "confidence"), is_confidence=True))
    if settings.votes != 1:
        columns.append(_sureness(spec, "agreement"))
    return columns


def _sureness(spec: FieldSpec, suffix: str) -> Output:
    """How sure an answer is, from 0 to 1, in a column of its own."""

    def read(result: RowResult) -> Any:
        return (result.confidence or {}).get(spec.name)

    output = _service(f"{spec.name}_{suffix}", Kind.FLOAT, read, of=spec.name)
    return replace(output, is_field=True)


def _service(
    name: str, kind: Kind, read: Callable[[RowResult], Any], *, of: str | None = None
) -> Output:
    build = builder(FieldSpec(name, kind=kind))
    return Output(name=name, read=read, build=build, type=kind.value, of=of)


_STATUS = (
    Output(
        name=STATUS,
        read=lambda result: result.status,
        pending="pending",
        build=choices(STATUSES),
        type=Kind.CHOICE.value,
    ),
    _service(ERROR, Kind.TEXT, lambda result: result.error and str(result.error)),
)
_DETAILS = (
    _service("llm_attempts", Kind.INTEGER, lambda result: result.attempts, of=STATUS),
    _service("llm_tokens_in", Kind.INTEGER, lambda result: result.usage.tokens_in, of=STATUS),
    _service("llm_tokens_cached", Kind.INTEGER, lambda row: row.usage.tokens_cached, of=STATUS),
    _service("llm_tokens_out", Kind.INTEGER, lambda result: result.usage.tokens_out, of=STATUS),
    _service("llm_cost", Kind.FLOAT, lambda result: result.usage.cost, of=STATUS),
    _service("llm_seconds", Kind.FLOAT, lambda result: result.seconds, of=STATUS),
    _service("llm_raw", Kind.TEXT, lambda result: result.raw, of=STATUS),
)
