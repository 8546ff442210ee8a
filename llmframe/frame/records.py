"""Records of a stream as texts to send: dicts and texts, which come one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.frame.cells import (
    CellError,
    cell_text,
    error_words,
    is_blank,
    json_text,
    json_value,
)
from llmframe.frame.rows import plain_id
from llmframe.frame.template import parse_template
from llmframe.results import Failure, RowResult
from llmframe.task.text import refuse_duplicates
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    Render = Callable[[tuple[Any, ...]], str]

GATHER = 0.002  # seconds in which records gather: to plan each on its own costs a tenth more
MISSING = object()  # stands for a key that a record does not have


class Records:
    """The records that came and are not taken back yet, by position: rows and their source.

    keys: of the dicts, in the order in which render takes their values; None for whole records.
    id: the key that is kept in the checkpoint. buffer: records that it holds, at most.
    quote: a record that fails because of a value may show what the value's own error says.
    ``add`` and ``end`` are called from any thread, all else on the run's loop.
    """

    is_stable = False  # a record may be changed after it was rendered
    form = None  # of no frame's columns

    def __init__(
        self,
        keys: Sequence[Hashable] | None,
        render: Render,
        *,
        id: Hashable | None,  # noqa: A002 - the contract's name
        buffer: int,
        quote: bool,
    ) -> None:
        self.n = 0
        self.buffer = buffer
        self.columns = tuple(keys or ())
        self.reserved = ()
        self._whole = keys is None
        self._render = render
        self._id = id
        self._quote = quote
        self._records: dict[int, Any] = {}
        self._ended = False
        self._lock = threading.Lock()
        self._waiter: asyncio.Future[None] | None = None

    # -- what comes in -----------------------------------------------------------------

    def add(self, record: object) -> None:
        """One more record."""
        with self._lock:
            self._records[self.n] = record
            self.n += 1
            self._wake()

    def end(self) -> None:
        """No more will come."""
        with self._lock:
            self._ended = True
            self._wake()

    close = end

    async def more(self, known: int) -> bool:
        """Wait until there are more than so many records; False if there never will be."""
        while True:
            with self._lock:
                if self.n > known or self._ended:
                    return self.n > known
                self._waiter = waiter = asyncio.get_running_loop().create_future()
            await waiter
            await asyncio.sleep(GATHER)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.get_loop().call_soon_threadsafe(_finish, waiter)

    # -- what goes out ------------------------------------------------------------------

    def take(self, position: int) -> Any:
        """The record, which is not held any longer."""
        return self._records.pop(position)

    def left(self) -> list[int]:
        """Positions of the records that were not taken."""
        return [*self._records]

    def texts(self, start: int, stop: int) -> list[str | RowResult | None]:
        """The texts of the records from start to before stop; None for a blank one."""
        return [self.text(position) for position in range(start, stop)]

    def text(self, position: int) -> str | RowResult | None:
        """The text of one record; its result where it has none."""
        record = self._records[position]
        try:
            if isinstance(record, str):  # a text is sent as it is, whatever the input says
                return None if is_blank(record) else clean_text(record)
            values = self._values(record)
            cells = record.values() if self._whole else values
            return None if all(map(is_blank, cells)) else clean_text(self._render(values))
        except Exception as exc:  # noqa: BLE001 - a record's own code; it must never end the run
            return _failed(error_words(exc) if self._quote else "")

    def ids(self, start: int, stop: int) -> list[object] | None:
        """The records' ids, None where no id was named."""
        if self._id is None:
            return None
        held = [self._records[position] for position in range(start, stop)]
        return [self._id_of(each) for each in held]

    def _id_of(self, record: Any) -> object:
        """Its id; None where it has none, or its own code fails: then the record fails as well."""
        try:
            return plain_id(record.get(self._id)) if _is_dict(record) else None
        except Exception:  # noqa: BLE001 - as above
            return None

    def _values(self, record: Any) -> tuple[Any, ...]:
        """What is rendered of a dict."""
        if not _is_dict(record):
            raise CellError(f"a record is a dict or a text, not {type(record).__name__}")
        if self._whole:
            return (record,)
        values = tuple(record.get(key, MISSING) for key in self.columns)
        missing = [key for key, value in zip(self.columns, values, strict=True) if value is MISSING]
        if missing:
            raise CellError(f"the record has no {missing[0]!r}")
        return values


def read_input(given: object) -> tuple[tuple[Hashable, ...] | None, Render]:
    """The keys that an ``input`` names, and how their values become a text.

    None is the whole record: a dict as JSON, a text as it is.
    """
    if given is None:
        return None, _render_whole
    if isinstance(given, list):
        if not given:
            raise PlanError("input: the list of keys is empty; name at least one key")
        names = [str(name) for name in given]
        refuse_duplicates(names, "input: {names} is in the list more than once; name it once")

        def render_list(values: tuple[Any, ...]) -> str:
            return json_text(dict(zip(names, map(json_value, values), strict=True)))

        return tuple(given), render_list
    if isinstance(given, str) and ("{" in given or "}" in given):
        template = parse_template(given)
        if not template.names:
            raise PlanError("input: the template names no key; write {name} where a value goes")
        keys = tuple(dict.fromkeys(template.names))
        at = [keys.index(name) for name in template.names]

        def render_template(values: tuple[Any, ...]) -> str:
            texts = [cell_text(value) for value in values]
            return template.fill(tuple(texts[index] for index in at))

        return keys, render_template
    return (given,), _render_value


def _render_whole(values: tuple[Any, ...]) -> str:
    return json_text(json_value(values[0]))


def _render_value(values: tuple[Any, ...]) -> str:
    return cell_text(values[0])


def _is_dict(record: object) -> bool:
    return isinstance(record, Mapping)


def _failed(why: str) -> RowResult:
    said = f" ({why})" if why else ""
    message = f"the record cannot be turned into text{said}"
    return RowResult("failed", error=Failure("input", message))


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
