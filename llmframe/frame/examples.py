"""``examples=``: texts with their right answers, each checked like a reply before it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from llmframe.errors import OutputError, PlanError
from llmframe.frame.cells import CellError, column_cells, is_missing, json_value
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.records import Records, read_input
from llmframe.frame.rows import plan_rows
from llmframe.results import RowResult
from llmframe.task.fields import Kind
from llmframe.task.parse import checked_answer
from llmframe.task.prompt import Example
from llmframe.task.text import excerpt, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.options.settings import Settings
    from llmframe.task.fields import FieldSet, FieldSpec

MOST = 100  # examples: every request carries all of them
OF_A_LABEL = 4  # examples of one label, where they are balanced


class Rules(Protocol):
    """What is done to every text before it leaves."""

    def prepare(self, text: str | RowResult | None) -> str | RowResult:
        """The text to send, or the result of a row that is not sent."""

    def redacted(self, text: str | RowResult | None) -> str | RowResult:
        """The text as the person's function leaves it, or the same."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One example as it is given.

    name: for messages. text: as it is rendered, or the result of a row that has none.
    """

    name: str
    text: str | RowResult | None
    values: object


def read_examples(
    settings: Settings, asked: object, fields: FieldSet, rules: Rules
) -> tuple[Example, ...]:
    """The examples that every request shows, in their order; () without any.

    asked: the call's input, by which records and frames become texts. rules: what is done to every
    text before it leaves. Raises PlanError that names the row and what is wrong with it.
    """
    given = settings.examples
    if given is None:
        if settings.pick != "fixed":
            raise PlanError(f'pick="{settings.pick}" chooses among examples, and examples= is None')
        return ()
    quote = settings.redact is None
    if isinstance(given, pd.DataFrame):
        rows = _rows_of_frame(given, asked, fields, quote=quote)
    else:
        rows = _rows_of_pairs([*given], asked, quote=quote)
    found = _distinct([(row.name, _checked(row, fields, rules)) for row in rows])
    if not found:
        raise PlanError("examples= holds no example; leave it out")
    picked = found if settings.pick == "fixed" else _balanced(found, fields)
    if len(picked) > MOST:
        raise PlanError(
            f"examples= holds {len(picked):,} examples, and every request would carry all of them; "
            f'give at most {MOST}, such as examples.head(20), or pick="balanced"'
        )
    return tuple(picked)


def _rows_of_frame(
    frame: pd.DataFrame, asked: object, fields: FieldSet, *, quote: bool
) -> list[_Row]:
    if asked is None:
        raise PlanError(
            "examples= is a frame, and without input= it is not known what of it is the text; give "
            "a list of (record, values)"
        )
    try:
        texts = plan_rows(frame, asked, quote=quote).texts(0, len(frame))
    except PlanError as error:
        raise PlanError(f"examples: {error}") from error
    lookup = ColumnLookup(frame)
    columns = [
        column_cells(lookup.series(lookup.resolve(name, option="examples")))
        for name in fields.names
    ]
    labels = frame.index.tolist()
    return [
        _Row(f"row {label!r}", text, dict(zip(fields.names, cells, strict=True)))
        for label, text, *cells in zip(labels, texts, *columns, strict=True)
    ]


def _rows_of_pairs(pairs: Sequence[object], asked: object, *, quote: bool) -> list[_Row]:
    keys, render = read_input(asked)
    records = Records(keys, render, id=None, buffer=len(pairs), quote=quote)
    values = []
    for number, pair in enumerate(pairs, 1):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise PlanError(
                f"examples: example {number} is {excerpt(pair)}; it takes (text, values)"
            )
        if not isinstance(pair[0], str | Mapping):
            raise PlanError(
                f"examples: example {number} has {excerpt(pair[0])} for its text; it takes the "
                "text as it would be sent, or a dict of the input's columns"
            )
        records.add(pair[0])
        values.append(pair[1])
    texts = records.texts(0, len(pairs))
    rows = zip(texts, values, strict=True)
    return [_Row(f"example {number}", *row) for number, row in enumerate(rows, 1)]


def _checked(row: _Row, fields: FieldSet, rules: Rules) -> Example:
    text = rules.prepare(row.text)
    if not isinstance(text, str):
        why = "its text is blank" if text.error is None else text.error.message
        raise PlanError(f"examples: {row.name}: {why}")
    try:
        given = _by_field(row.values, fields)
        sent = {spec.name: _as_sent(given.get(spec.name), spec, rules) for spec in fields.specs}
        values, answer = checked_answer(sent, fields)
    except (OutputError, CellError, ValueError, RecursionError) as error:
        raise PlanError(f"examples: {row.name}: {error}") from error
    return Example(text, answer=answer, values=values)


def _by_field(values: object, fields: FieldSet) -> dict[str, Any]:
    """Field name -> value. Raises OutputError for names that are no fields, or lack some."""
    names = fields.names
    if isinstance(values, BaseModel):
        values = values.model_dump(mode="json", by_alias=True)
    # a single field may itself be an object: its dict is then the value, not fields by name
    is_whole = isinstance(values, Mapping) and (len(names) > 1 or names[0] in values)
    if not is_whole and len(names) > 1:
        raise OutputError(f"its values are {excerpt(values)}; give a dict: {quoted(names)}")
    given = dict(values) if is_whole else {names[0]: values}  # type: ignore[call-overload]
    if unknown := [name for name in given if name not in names]:
        raise OutputError(f"there is no field {quoted(unknown)}; the fields are {quoted(names)}")
    lacking = [spec.name for spec in fields.specs if spec.name not in given and not _may_lack(spec)]
    if lacking:
        raise OutputError(f"it has no value for {quoted(lacking)}")
    return given


def _may_lack(spec: FieldSpec) -> bool:
    return spec.nullable or spec.may_lack or spec.abstain is not None


def _as_sent(value: Any, spec: FieldSpec, rules: Rules) -> Any:
    """A value as the JSON that the model should write, redacted where it is free text."""
    if is_missing(value):
        if spec.abstain is None or spec.nullable:
            return None
        return spec.abstain if spec.items is None else [spec.abstain]
    plain = to_jsonable_python(value, fallback=json_value)
    # labels are the person's own words, and a redacted one would be no label
    is_free = spec.kind is Kind.TEXT or (spec.kind is Kind.OBJECT and spec.items is None)
    return _redacted(plain, rules) if is_free else plain


def _redacted(value: Any, rules: Rules) -> Any:
    if isinstance(value, dict):
        return {name: _redacted(part, rules) for name, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part, rules) for part in value]
    if not isinstance(value, str):
        return value
    redacted = rules.redacted(value)
    if isinstance(redacted, str):
        return redacted
    if redacted.error is not None:
        raise OutputError(redacted.error.message)
    return ""


def _distinct(named: Sequence[tuple[str, Example]]) -> list[Example]:
    """The examples without repeats; PlanError for one text with two answers."""
    found: dict[str, tuple[str, Example]] = {}
    for name, example in named:
        first, same = found.setdefault(example.text, (name, example))
        if same.answer != example.answer:
            raise PlanError(
                f"examples: {first} and {name} have the same text and different values; keep one"
            )
    return [example for _, example in found.values()]


def _balanced(examples: Sequence[Example], fields: FieldSet) -> list[Example]:
    """As many of each label of the first closed choice, in turns, so that no label comes last."""
    choice = next((s.name for s in fields.specs if s.kind in (Kind.CHOICE, Kind.BOOLEAN)), None)
    if choice is None:
        raise PlanError(
            'pick="balanced" takes as many examples of each label, and no field is a closed choice'
        )
    groups: dict[Any, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.values[choice], []).append(example)
    # as many as the rarest label has; with over MOST labels one of each, up to MOST
    most = min(OF_A_LABEL, *map(len, groups.values()), MOST // len(groups) or 1)
    return [*_in_turns([group[:most] for group in groups.values()])][:MOST]


def _in_turns(groups: Sequence[Sequence[Example]]) -> Iterator[Example]:
    for turn in zip(*groups, strict=True):
        yield from turn
