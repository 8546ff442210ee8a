"""Rows to requests for embeddings, several texts in each, and the vectors in a reply to rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from llmframe.engine.asking.asking import MAX_PAID, Asker
from llmframe.engine.asking.vectors import Vector, place_vectors, vector_of
from llmframe.errors import OutputError
from llmframe.results import RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from llmframe.engine.row import Row
    from llmframe.engine.wire.reply import Reply
    from llmframe.options.settings import Settings
    from llmframe.providers.dialect import Dialect, Feature

    AnyAsker: TypeAlias = Asker | "EmbeddingAsker"

NAME = "embedding"  # of the one value that is stored for a row


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a request may hold, and what it asks for.

    bytes: of UTF-8, of all its texts. dimensions: numbers of a vector, None for as many as the
    model has.
    """

    texts: int
    bytes: int
    dimensions: int | None = None


class EmbeddingAsker:
    """Turns rows into requests and replies into results; the counterpart of Asker.

    most_texts, most_bytes: of one request; the first becomes smaller where the endpoint takes
    fewer.
    """

    is_capped = False
    enums = None  # no JSON is asked for
    streams = False
    are_shares: bool | None = None

    def __init__(self, settings: Settings, capacity: Capacity) -> None:
        self.most_texts = capacity.texts
        self.most_bytes = capacity.bytes
        self._extra = dict(settings.extra_body or {})
        self._fixed: dict[str, Any] = {"model": str(settings.model)}
        if capacity.dimensions is not None:
            self._fixed["dimensions"] = capacity.dimensions
        self._asked_size = capacity.dimensions
        self._size = capacity.dimensions  # of every vector, once the first is known
        own = "encoding_format" in self._extra
        self._features: frozenset[Feature] = frozenset(() if own else ("encoding_format",))

    def recheck(self, values: dict[str, Any]) -> bool:
        """Whether a stored vector is whole, and as long as the others."""
        vector = vector_of(values.get(NAME))
        return vector is not None and self._wrong_size(vector) is None

    def body(self, row: Row, dialect: Dialect) -> dict[str, Any]:
        """The request for all members of a row."""
        body = {**self._fixed, "input": [member.text for member in row.members]}
        if dialect.has("encoding_format"):
            body["encoding_format"] = "base64"  # a quarter of the bytes that lists of numbers take
        body |= {name: value for name, value in self._extra.items() if name != "input"}
        return {k: v for k, v in body.items() if v is not None}

    def texts(self, row: Row) -> tuple[str, ...]:
        """The texts of the request, which an error may quote."""
        return tuple(member.text for member in row.members)

    def features(self, row: Row) -> frozenset[Feature]:  # noqa: ARG002 - as Asker's
        """What the request makes use of, and is not the person's own."""
        return self._features

    def cap(self, row: Row) -> int | None:  # noqa: ARG002 - as Asker's
        """The tokens of the answer: vectors have none."""
        return 0

    def size(self, row: Row) -> int:
        """UTF-8 bytes of the request's texts."""
        return sum(len(member.text.encode()) for member in row.members)

    def valid(self, row: Row, reply: Reply) -> RowResult | None:
        """A result if the reply to a health probe is as it should be; nothing is noted."""
        try:
            found = place_vectors(reply.vectors, len(row.members))[0]
        except OutputError:
            return None
        is_whole = isinstance(found, Vector) and self._size in (None, found.size)
        return RowResult("ok", {}) if is_whole else None

    def results(self, row: Row, reply: Reply, *, final: bool) -> Sequence[RowResult | None]:
        """Each member's result, None for one that has to be asked again.

        final: no attempt is left; it counts where the row is alone in its request.
        """
        row.paid += 1
        members = row.members
        for member, used in zip(members, shares(reply.usage, members), strict=True):
            member.usage += used
        try:
            found = place_vectors(reply.vectors, len(members))
        except OutputError as error:
            found = [error] * len(members)
        final = final or row.paid >= MAX_PAID
        return [
            self._result(row, member, vector, final=final)
            for member, vector in zip(members, found, strict=True)
        ]

    def _result(
        self, row: Row, member: Row, found: Vector | OutputError, *, final: bool
    ) -> RowResult | None:
        # of another length once, of another length always: asking again is paid in vain
        problem = self._wrong_size(found) if isinstance(found, Vector) else str(found)
        if isinstance(found, Vector) and problem is None:
            spent = (row.sent, member.usage, row.elapsed)
            return RowResult("ok", {NAME: found.text}, None, *spent)
        if isinstance(found, Vector) or (not row.others and (final or row.again)):
            return row.failed("output", str(problem))._replace(usage=member.usage)
        row.again = True
        return None

    def _wrong_size(self, vector: Vector) -> str | None:
        """What is wrong with a vector's length; the first vector of a run sets it."""
        if self._size is None:
            self._size = vector.size
        if vector.size == self._size:
            return None
        if self._asked_size is not None:
            return (
                f"its vector has {vector.size:,} numbers, and dimensions={self._asked_size} was "
                "asked for: this model cannot be shortened so; leave dimensions= out"
            )
        return f"its vector has {vector.size:,} numbers, those of other rows {self._size:,}"


def shares(usage: Usage, members: Sequence[Row]) -> list[Usage]:
    """A request's usage as shares of its texts, by their bytes; they add up to the whole."""
    ends = [0, *accumulate(max(1, len(member.text.encode())) for member in members)]

    def part(total: float, at: int) -> float:
        return total * at / ends[-1]

    return [
        Usage(
            int(part(usage.tokens_in, end)) - int(part(usage.tokens_in, start)),
            int(part(usage.tokens_out, end)) - int(part(usage.tokens_out, start)),
            None if usage.cost is None else part(usage.cost, end) - part(usage.cost, start),
            int(part(usage.tokens_cached, end)) - int(part(usage.tokens_cached, start)),
            usage.estimated if start == 0 else 0,
            usage.currency,
        )
        for start, end in pairwise(ends)
    ]
