"""A frame's rows as texts to send. Every mistake of the caller is found here, before any cost.

Planning renders nothing; texts are made by position, a slice at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import (
    CellError,
    cell_text,
    column_cells,
    is_blank,
    is_missing,
    json_text,
    json_value,
)
from llmframe.frame.column_lookup import ColumnLookup, check_frame
from llmframe.frame.selection import snapshot
from llmframe.frame.template import parse_template
from llmframe.results import Failure, RowResult
from llmframe.task.text import refuse_duplicates, shows_nothing
from llmframe.text import clean_text, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Render = Callable[[tuple[Any, ...]], str]

SLICE = 512  # rows rendered together when texts are read one by one


class RowPlan:
    """The rows of a frame, by position.

    n: rows. columns: the input's columns, in the order named. id: the id column or None.
    input_names: the columns' names as text.
    form: the input as JSON, for files and hashes: which columns and how they become a text.
    is_stable: whether a row's text is the same whenever it is rendered.
    Texts are rendered when they are read, from the frame as it was when the plan was made.
    """

    def __init__(
        self,
        df: pd.DataFrame,
        *,
        columns: tuple[Hashable, ...],
        render: Render,
        form: dict[str, Any],
        lookup: ColumnLookup,
        id: Hashable | None,  # noqa: A002 - the contract's name
        quote: bool,
    ) -> None:
        self.n = len(df)
        self.columns = columns
        self.form = form
        self.id = id
        self.is_stable = all(map(lookup.is_stable, columns))
        self.input_names = tuple(map(lookup.text_name, columns))
        self._render = render
        self._quote = quote
        # deep, which copies no Python object: somebody may hold the array behind a column
        self._sources = [lookup.series(column).copy() for column in columns]
        self._positions = [lookup.position(column) for column in columns]
        self._id_source = None if id is None else lookup.series(id).copy()
        self._slice: tuple[int, list[str | RowResult | None]] = (-1, [])

    @property
    def reserved(self) -> tuple[Hashable, ...]:
        """Columns whose names no output may have: the input's and the id's."""
        return self.columns if self.id is None else (*self.columns, self.id)

    def as_planned(self, df: pd.DataFrame) -> pd.DataFrame:
        """The planned frame, whatever is done later to it or to the arrays behind its inputs."""
        kept = snapshot(df)
        for position, source in zip(self._positions, self._sources, strict=True):
            cells: Any = source
            kept.isetitem(position, cells)  # shared with the plan: no further copy
        return kept

    def texts(self, start: int, stop: int) -> list[str | RowResult | None]:
        """The texts of the rows from start to before stop; None for a row to skip.

        A row is skipped when every named cell is missing or blank. A row with a cell that has
        no text has the result with which it fails.
        """
        columns = [column_cells(held.iloc[start:stop]) for held in self._sources]
        if self._render is _render_cell:  # most inputs are one column of texts
            return [
                cell
                if type(cell) is str and not shows_nothing(cell) and is_whole(cell)
                else self._to_send((cell,))
                for cell in columns[0]
            ]
        return [*map(self._to_send, zip(*columns, strict=True))]

    def _to_send(self, cells: tuple[Any, ...]) -> str | RowResult | None:
        try:
            return None if all(map(is_blank, cells)) else clean_text(self._render(cells))
        except CellError as exc:  # one row must never end the run
            return self._failed(cells, exc)

    def _failed(self, cells: tuple[Any, ...], error: CellError) -> RowResult:
        """The result of a row with a cell that has no text."""
        where = "a cell"
        for column, cell in zip(self.columns, cells, strict=True):
            try:
                cell_text(cell)
            except CellError:
                where = f"the cell in column {column!r}"
                break
        # its words may quote the cell, which redact= has not seen
        why = f" ({error})" if self._quote else ""
        message = f"{where} cannot be turned into text{why}; put a text or a number in its place"
        return RowResult("failed", error=Failure("input", message))

    def own_texts(self, start: int, stop: int) -> list[tuple[str, ...]]:
        """The text of each named cell as the person has it; "" where it is missing or has none."""
        columns = [column_cells(held.iloc[start:stop]) for held in self._sources]
        return [tuple(map(_own_text, cells)) for cells in zip(*columns, strict=True)]

    def text(self, position: int) -> str | RowResult | None:
        """The text of one row, as in ``texts``; cheap when read in ascending order."""
        start, texts = self._slice
        if not start <= position < start + len(texts):
            if not 0 <= position < self.n:
                raise IndexError(f"no row {position}: the frame has {self.n} rows")
            # a whole slice at once: slicing a column costs pandas more than reading its cells
            start = position - position % SLICE
            texts = self.texts(start, start + SLICE)
            self._slice = (start, texts)
        return texts[position - start]

    def ids(self, start: int, stop: int) -> list[object] | None:
        """The ids of the rows from start to before stop, None where no id column was named.

        An id is text or an int (a whole float counts as one: pandas makes floats of ints
        where one is missing), anything else its text; None where it is missing or has no text.
        """
        if self._id_source is None:
            return None
        return [plain_id(cell) for cell in column_cells(self._id_source.iloc[start:stop])]

    def check_unique_ids(self) -> None:
        """Raise PlanError unless every row has its own id, compared as text."""
        ids = self.ids(0, self.n)
        if ids is None:
            raise PlanError("no id column was named; give id=<the column that holds the ids>")
        missing = ids.count(None)
        if missing:
            raise PlanError(f"id={self.id!r}: {missing} of {self.n} rows have no id; fill them")
        texts = pd.Series([str(value) for value in ids], dtype=object)
        repeated = texts[texts.duplicated()]
        if len(repeated):
            raise PlanError(
                f"id={self.id!r}: {len(repeated)} rows repeat an earlier row's id, the first "
                f"is {repeated.iloc[0]!r} at row {repeated.index[0]}; ids must be unique here"
            )


def plan_rows(
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    *,
    id: Hashable | None = None,  # noqa: A002 - the contract's name
    quote: bool = True,
) -> RowPlan:
    """The rows of df as texts, by position.

    input: a column's exact name, else a template with ``{name}``, or a list of columns
    (one JSON object a row). id: the column kept in the checkpoint with each answer.
    quote: a row that fails because of a cell may show what the cell's own error says.
    Raises PlanError for an unknown or duplicated column, an unbalanced template, an
    unsupported input, and cells that have no text (bytes).
    """
    check_frame(df)
    lookup = ColumnLookup(df)
    if isinstance(input, list):
        columns, render = _read_list(lookup, input)
        form: dict[str, Any] = {"columns": [*map(lookup.text_name, columns)]}
    # a column may have braces in its name: an exact name wins over a template
    elif isinstance(input, str) and ("{" in input or "}" in input) and not lookup.has(input):
        columns, render = _read_template(lookup, input)
        form = {"template": input}
    else:
        columns, render = (lookup.resolve(input, option="input"),), _render_cell
        form = {"column": lookup.text_name(columns[0])}
    id_column = None if id is None else lookup.resolve(id, option="id")
    # last, because it reads the cells: a misspelt name is reported without that cost
    for column in (*columns, id_column) if id is not None else columns:
        lookup.check_cells(column)
    return RowPlan(
        df, columns=columns, render=render, form=form, lookup=lookup, id=id_column, quote=quote
    )


def _own_text(cell: Any) -> str:
    try:
        return cell_text(cell)
    except CellError:  # the row has failed for it
        return ""


def _render_cell(cells: tuple[Any, ...]) -> str:
    return cell_text(cells[0])


def _read_template(lookup: ColumnLookup, text: str) -> tuple[tuple[Hashable, ...], Render]:
    template = parse_template(text)
    if not template.names:
        raise PlanError("input: the template names no column; write {name} where a cell goes")
    named = [lookup.resolve_text(name) for name in template.names]
    columns = tuple(dict.fromkeys(named))  # a template may name a column twice
    positions = [columns.index(column) for column in named]

    def render(cells: tuple[Any, ...]) -> str:
        texts = [cell_text(cell) for cell in cells]  # once, however often a column is named
        return template.fill(tuple(texts[position] for position in positions))

    return columns, render


def _read_list(lookup: ColumnLookup, given: list[object]) -> tuple[tuple[Hashable, ...], Render]:
    if not given:
        raise PlanError("input: the list of columns is empty; name at least one column")
    columns = tuple(lookup.resolve(name, option="input") for name in given)
    names = [lookup.text_name(column) for column in columns]
    refuse_duplicates(names, "input: {names} is in the list more than once; name it once")

    def render(cells: tuple[Any, ...]) -> str:
        return json_text(dict(zip(names, map(json_value, cells), strict=True)))

    return columns, render


def plain_id(cell: Any) -> object:
    """An id as the checkpoint keeps it; None where it is missing or has no text."""
    if is_missing(cell):
        return None
    try:
        plain, text = json_value(cell), cell_text(cell)
    except CellError:
        return None
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    return clean_text(text)
