"""Several rows in one request, for an API that takes many texts: put together, and cut apart.

The first row of a request stands for it on its whole way; its others are claimed with it and
settled with it. What an endpoint takes at once is mostly known; where it takes less, a request
that fails is cut in two until what is wrong stands alone, or until the halves are answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.engine.row import Halves, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmframe.engine.asking.embedding import AnyAsker


class Grouping:
    """Which rows of one run are asked together; lives on its loop.

    fresh: a row that was never sent, None if there is none at the moment. claim: which of some rows
    are this run's to ask for. put_back: a row is to be asked for anew. resend: send a request that
    is a part of a failed one.
    """

    def __init__(
        self,
        asker: AnyAsker,
        *,
        fresh: Callable[[], Row | None],
        claim: Callable[[Sequence[Row]], list[Row]],
        put_back: Callable[[Row], None],
        resend: Callable[[Row], None],
    ) -> None:
        self._asker = asker
        self._fresh = fresh
        self._claim = claim
        self._put_back = put_back
        self._resend = resend

    @property
    def is_on(self) -> bool:
        """Whether a request may be for several rows."""
        return self._asker.most_texts > 1

    def fill(self, row: Row) -> None:
        """Add fresh rows to one that was never sent, as many as a request may hold."""
        if row.sent:  # a half of a request that failed must not grow again
            return
        size = self._asker.size(row)
        while taken := self._take(self._asker.most_texts - len(row.members), size):
            size += sum(map(self._asker.size, taken))
            row.others += self._claim(taken)

    def _take(self, most: int, size: int) -> list[Row]:
        """Up to so many fresh rows that fit beside texts of so many bytes."""
        taken: list[Row] = []
        while len(taken) < most and (other := self._fresh()) is not None:
            size += self._asker.size(other)
            if size > self._asker.most_bytes:
                self._put_back(other)
                break
            taken.append(other)
        return taken

    def dissolve(self, row: Row, keep: int = 0) -> None:
        """Give the others back, but for so many: this run or another asks for them anew."""
        row.others, others = row.others[:keep], row.others[keep:]
        for other in others:
            self._put_back(other)

    def split(self, row: Row, members: Sequence[Row] | None = None) -> None:
        """Ask for the rows of a request again, in two requests; for some of them if named."""
        members = row.members if members is None else members
        if row.half_of is not None:  # it was not the size alone
            row.half_of.answered = -1
        middle, halves = (len(members) + 1) // 2, Halves(len(members))
        for half in (members[:middle], members[middle:]):
            if half:
                self._resend(_begun_anew(row, half, halves))

    def answered(self, row: Row) -> None:
        """A request was answered: if it is the second half, the whole one was too large."""
        halves = row.half_of
        if halves is None or halves.answered < 0:
            return
        halves.answered += 1
        if halves.answered == 2:
            self._asker.most_texts = min(self._asker.most_texts, (halves.texts + 1) // 2)


def _begun_anew(row: Row, members: Sequence[Row], halves: Halves) -> Row:
    """The first of the members, with the others, as it is sent after the row's request failed."""
    first, *others = members
    return Row(
        first.position,
        first.key,
        first.text,
        sent=row.sent,
        # alone it has all its attempts; of several it has the one that shows where to cut next
        charged=row.charged if others else 0,
        usage=first.usage,
        began=row.began,
        elapsed=row.elapsed,
        busy=row.busy,
        claimed=True,
        others=others,
        half_of=halves,
    )
