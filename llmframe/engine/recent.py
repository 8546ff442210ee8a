"""The results of an endless run: those that nobody has taken yet, and the newest to share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.results import Results, ResultStore, RowResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmframe.results import Answer


class RecentResults(Results):
    """Results by position, which are forgotten one by one."""

    def __init__(self) -> None:
        super().__init__(0)
        self._recent: dict[int, RowResult] = {}

    def __len__(self) -> int:
        return len(self._recent)

    def __iter__(self) -> Iterator[RowResult | None]:
        return iter([*self._recent.values()])

    def __getitem__(self, at: int) -> RowResult | None:  # type: ignore[override]
        return self._recent.get(at)

    def __setitem__(self, position: int, result: RowResult) -> None:
        self._recent[position] = result

    def put_answers(self, start: int, answers: Sequence[Answer | None]) -> None:
        """Set the results of the rows from start on; a row without an answer stays as it is."""
        for position, answer in enumerate(answers, start):
            if answer is not None:
                self._recent[position] = answer[0]._replace(values=answer[1])

    def is_open(self, position: int) -> bool:
        """Whether a row has no result."""
        return position not in self._recent

    def share(self, position: int, others: Sequence[int]) -> None:
        """Give a row's result to others too."""
        for other in others:
            self._recent[other] = self._recent[position]

    def failed(self) -> list[tuple[int, RowResult]]:
        """The failed rows that are not taken yet, with their positions."""
        recent = [*self._recent.items()]
        return [(position, each) for position, each in recent if each.status == "failed"]

    def copy(self) -> Results:
        """None of them: an endless run has no frame."""
        return Results(0)

    def forget(self, position: int) -> None:
        """Nobody needs the row's result any more."""
        self._recent.pop(position, None)


class RecentStore(ResultStore):
    """Results by position, each until it is taken; the newest answers are shared with equal rows.

    most: answers that are kept to be shared. A failed row's equals are asked again.
    """

    results: RecentResults

    def __init__(self, most: int) -> None:
        super().__init__(0)
        self.results = RecentResults()
        self._most = most
        self._keys: dict[int, bytes] = {}  # of the leaders
        self._taken: dict[int, None] = {}  # leaders whose own result was taken, newest last

    def enter(self, position: int, key: bytes) -> int:
        """The position of the first row with this key: the row's own if there was none."""
        leader = super().enter(position, key)
        if leader == position:
            self._keys[position] = key
        elif leader in self._taken:
            self._taken[leader] = self._taken.pop(leader)
        return leader

    def take(self, position: int) -> RowResult:
        """A row's result, which its record gets: it is kept only if it is still shared."""
        result = self.results[position]
        assert result is not None
        if position not in self._keys:
            self.results.forget(position)
            return result
        self._taken[position] = None
        if result.status != "ok":
            self._drop(position)
        elif len(self._taken) > self._most:
            self._drop(next(iter(self._taken)))
        return result

    def _drop(self, leader: int) -> None:
        del self._taken[leader]
        del self._leaders[self._keys.pop(leader)]
        self.results.forget(leader)
