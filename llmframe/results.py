"""What became of one row: plain values that travel from the engine to the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from sys import intern
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

if TYPE_CHECKING:
    from llmframe.errors import ErrorKind

_VALUES = 8  # where they begin in the tuple that holds an answer
_PLAIN = frozenset((str, int, float, bool, type(None)))
LABEL = 32  # characters; a text that is no longer may well be a label, the same in many rows

RowStatus = Literal["ok", "failed", "skipped"]


class Failure(NamedTuple):
    """Why a row failed; its text, ``kind: message``, is what ``llm_error`` shows.

    status, code: of the last request, where the provider refused it: an HTTP status and the
    provider's own error code.
    """

    kind: ErrorKind
    message: str
    status: int | None = None
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests consumed.

    tokens_in, tokens_out: tokens as the provider counted them, thoughts among the latter.
    cost: what the endpoint says it charged, else by the prices; None where neither is known.
    tokens_cached: of tokens_in, those that the provider had in its cache.
    estimated: replies whose tokens are an estimate, because the endpoint did not state them.
    currency: of the cost, three letters as in ``USD``; "" where it is not known.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    tokens_cached: int = 0
    estimated: int = 0
    currency: str = ""

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.tokens_in + self.tokens_out

    @property
    def if_stated(self) -> Usage | None:
        """Itself, or None where it is an estimate, from which nothing can be learnt."""
        return None if self.estimated else self

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            _add_cost(self.cost, other.cost),
            self.tokens_cached + other.tokens_cached,
            self.estimated + other.estimated,
            self.currency or other.currency,
        )

    def __mul__(self, times: int) -> Usage:
        return Usage(
            self.tokens_in * times,
            self.tokens_out * times,
            None if self.cost is None else self.cost * times,
            self.tokens_cached * times,
            self.estimated * times,
            self.currency,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.tokens_in - other.tokens_in,
            self.tokens_out - other.tokens_out,
            None if self.cost is None else self.cost - (other.cost or 0.0),
            self.tokens_cached - other.tokens_cached,
            self.estimated - other.estimated,
            self.currency or other.currency,
        )


def _add_cost(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return a if b is None else b
    return a + b


NOTHING_USED = Usage()
SPENT = ("tokens_in", "tokens_cached", "tokens_out", "cost", "currency")
"""What a frame's attrs and files hold of a usage."""


class UsageSum:
    """Adds up usages whose costs may be unknown, or in several currencies."""

    def __init__(self, *usages: Usage) -> None:
        self._parts: dict[str | None, Usage] = {}
        self.add(*usages)

    def add(self, *usages: Usage) -> None:
        """Add usages."""
        for usage in usages:
            if usage.tokens or usage.cost:
                part = None if usage.cost is None else usage.currency
                self._parts[part] = self._parts.get(part, NOTHING_USED) + usage

    @property
    def parts(self) -> Sequence[Usage]:
        """The sums by currency, and of what has no cost; their costs cannot be added up."""
        return tuple(self._parts.values())

    @property
    def total(self) -> Usage:
        """The sum; its cost is None unless all parts have one, in the same currency."""
        whole = sum(self._parts.values(), NOTHING_USED)
        is_known = len(self._parts) < 2 and None not in self._parts
        return whole if is_known else replace(whole, cost=None, currency="")


usage_of = lru_cache(4096, typed=True)(Usage)
"""A Usage that all rows share that used the same; give what is not nothing, by position."""


class RowResult(NamedTuple):  # as frozen as a dataclass, and made in half the time
    """One answer; rows that asked the same share one object.

    values: field name -> JSON value (str, int, float, bool, None, list, dict); None unless ok.
    error: None where ok or skipped.
    attempts: requests that were sent, over all legs.
    usage: summed over all legs.
    seconds: from the first request to the last reply; None if it came from the checkpoint.
    raw: the last reply's text, kept only where ``details`` asks for it.
    confidence: field name -> probability of its label, or share of the votes that agree with it;
    None where it was not asked for or the endpoint does not tell.
    """

    status: RowStatus
    values: dict[str, Any] | None = None
    error: Failure | None = None
    attempts: int = 0
    usage: Usage = NOTHING_USED
    seconds: float | None = None
    raw: str | None = None
    confidence: dict[str, float] | None = None


SKIPPED = RowResult("skipped")

Answer = tuple[RowResult, dict[str, Any]]
"""A stored answer: its result without values, which many rows share, and its values."""


_Head = tuple[tuple[str, ...], int, int, str]
"""What most answers share: the fields' names, attempts, replies estimated, and the currency."""


class _Slice(NamedTuple):
    """Answers to consecutive rows, as columns: much smaller than an object for each row.

    start: position of the first row. bare: the rows' results without values, None for a row
    without an answer here. columns: field name -> values, lists and dicts as JSON.
    """

    start: int
    bare: list[RowResult | None]
    columns: dict[str, list[Any]]

    def result(self, position: int) -> RowResult:
        """The result of a row that has an answer here."""
        at = position - self.start
        values = _plain([column[at] for column in self.columns.values()])
        bare = self.bare[at]
        assert bare is not None
        return bare._replace(values=dict(zip(self.columns, values, strict=True)))


class Results(Sequence["RowResult | None"]):
    """The results of n rows by position, None where there is none yet; read from any thread.

    A million rows shall cost little memory and not slow down the garbage collector, so an answer
    is held as a tuple of plain values (lists and dicts as JSON), and becomes a RowResult when it is
    read. Rows that share an answer share the tuple; what most answers have alike is kept once.
    Answers that come by the slice, from a checkpoint, are held as columns.
    """

    def __init__(self, n: int) -> None:
        self._held: list[_Held] = [None] * n
        self._slices: list[_Slice] = []
        self._heads: dict[_Head, _Head] = {}
        self._failed: list[int] = []  # rows that failed at some time; a few may be answered since

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[RowResult | None]:
        return map(_unpacked, self._held, count())

    @overload
    def __getitem__(self, at: int) -> RowResult | None: ...
    @overload
    def __getitem__(self, at: slice) -> list[RowResult | None]: ...
    def __getitem__(self, at: int | slice) -> RowResult | list[RowResult | None] | None:
        if isinstance(at, slice):
            return [*map(_unpacked, self._held[at], range(len(self))[at])]
        return _unpacked(self._held[at], range(len(self))[at])

    def __setitem__(self, position: int, result: RowResult) -> None:
        self._held[position] = self._packed(result)
        if result.status == "failed":
            self._failed.append(position)

    def put_answers(self, start: int, answers: Sequence[Answer | None]) -> None:
        """Set the results of the rows from start on; a row without an answer stays as it is."""
        given = [answer for answer in answers if answer is not None]
        names = {tuple(values) for _, values in given}
        # other names under the same key were edited by hand; a dict each is better held packed
        if len(names) != 1 or any(result.confidence for result, _ in given):
            for position, answer in enumerate(answers, start):
                if answer is not None:
                    self[position] = answer[0]._replace(values=answer[1])
            return
        columns = {
            name: _compact([None if each is None else each[1][name] for each in answers])
            for name in names.pop()
        }
        added = _Slice(start, [None if each is None else each[0] for each in answers], columns)
        self._slices.append(added)
        for position, answer in enumerate(answers, start):
            if answer is not None:
                self._held[position] = added

    def columns(self, names: Sequence[str]) -> tuple[list[RowResult | None], dict[str, list[Any]]]:
        """All results, and the named fields' values, None where a row has none.

        Some results come without their values. Much faster than reading each row's result.
        """
        results: list[RowResult | None] = [None] * len(self)
        values: dict[str, list[Any]] = {name: [None] * len(self) for name in names}
        for each in self._slices:
            rows = slice(each.start, each.start + len(each.bare))
            results[rows] = each.bare
            for name in each.columns.keys() & values:
                values[name][rows] = _plain(each.columns[name])
        for position, held in enumerate(self._held):
            if isinstance(held, RowResult):
                results[position] = held
            elif isinstance(held, tuple) and not isinstance(held, _Slice):
                results[position] = _bare(held)
                for name, value in zip(held[0][0], _plain(held[_VALUES:]), strict=True):
                    if name in values:
                        values[name][position] = value
        return results, values

    def is_open(self, position: int) -> bool:
        """Whether a row has no result yet."""
        return self._held[position] is None

    def share(self, position: int, others: Sequence[int]) -> None:
        """Give a row's result to others too."""
        held = self._held[position]
        if isinstance(held, _Slice):  # its columns have no place for rows elsewhere
            held = self._held[position] = self._packed(held.result(position))
        for other in others:
            self._held[other] = held
        if isinstance(held, RowResult) and held.status == "failed":
            self._failed.extend(others)

    def failed(self) -> list[tuple[int, RowResult]]:
        """The failed rows with their positions, without reading those that did not fail."""
        found = ((position, self._held[position]) for position in sorted({*self._failed}))
        return [
            (position, held)
            for position, held in found
            if isinstance(held, RowResult) and held.status == "failed"
        ]

    def copy(self) -> Results:
        """The results as they are now."""
        copied = Results(0)
        copied._held, copied._slices = self._held.copy(), self._slices.copy()
        copied._failed = self._failed.copy()
        return copied

    def _packed(self, result: RowResult) -> RowResult | tuple[Any, ...]:
        if result.status != "ok" or result.values is None:
            return result
        used = result.usage
        head = tuple(result.values), result.attempts, used.estimated, used.currency
        return (
            self._heads.setdefault(head, head),
            used.tokens_in, used.tokens_out, used.cost, used.tokens_cached,
            result.seconds, result.raw, _as_json(result.confidence),
            *_compact([*result.values.values()]),
        )  # fmt: skip


class ResultStore:
    """Results by position; equal keys have one leader, whose result they share."""

    def __init__(self, n: int) -> None:
        self.results = Results(n)
        self._leaders: dict[bytes, int] = {}
        self._followers: dict[int, list[int]] = {}

    def leaders(self, keys: Sequence[bytes]) -> list[int | None]:
        """The leader of each key, None where there is none."""
        return [*map(self._leaders.get, keys)]

    def enter(self, position: int, key: bytes) -> int:
        """The position of the first row with this key: the row's own if there was none."""
        leader = self._leaders.setdefault(key, position)
        if leader != position and self.results.is_open(leader):
            self._followers.setdefault(leader, []).append(position)
        return leader

    def settle(self, position: int, result: RowResult) -> list[int]:
        """Write a leader's result to all that share it; returns the followers."""
        self.results[position] = result
        followers = self._followers.pop(position, [])
        self.results.share(position, followers)
        return followers

    def close(self) -> None:
        """No row comes any more: free the index, which is as large as the results."""
        self._leaders = {}
        self._followers = {}


def _as_json(value: Any) -> Any:
    """A list or dict as its JSON in bytes, which no plain value is."""
    return json.dumps(value).encode() if isinstance(value, (list, dict)) else value


def _compact(values: Sequence[Any]) -> list[Any]:
    """The values with one text for all equal labels, and lists and dicts as JSON."""
    kept = [
        intern(value) if type(value) is str and len(value) <= LABEL else value for value in values
    ]
    return kept if _PLAIN.issuperset(map(type, kept)) else [*map(_as_json, kept)]


def _plain(kept: Sequence[Any]) -> Sequence[Any]:
    """The values that were made compact."""
    if bytes not in map(type, kept):
        return kept
    return [json.loads(value) if type(value) is bytes else value for value in kept]


_Held = RowResult | tuple[Any, ...] | _Slice | None


def _unpacked(held: _Held, position: int) -> RowResult | None:
    if held is None or isinstance(held, RowResult):
        return held
    if isinstance(held, _Slice):
        return held.result(position)
    values = dict(zip(held[0][0], _plain(held[_VALUES:])))  # noqa: B905 - strict: half as much again
    return _bare(held, values)


def _bare(held: tuple[Any, ...], values: dict[str, Any] | None = None) -> RowResult:
    """A packed result with these values in place of its own."""
    (_, attempts, estimated, currency), *used, seconds, raw, confidence = held[:_VALUES]
    sure = None if confidence is None else json.loads(confidence)
    return RowResult(
        "ok", values, None, attempts, usage_of(*used, estimated, currency), seconds, raw, sure
    )
