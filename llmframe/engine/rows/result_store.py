"""The run's results: who shares an answer with whom, and what each row got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.results import Results

if TYPE_CHECKING:
    from llmframe.results import RowResult


class ResultStore:
    """Results by position; equal keys have one leader, whose result they share."""

    def __init__(self, n: int) -> None:
        self.results = Results(n)
        self._leaders: dict[bytes, int] = {}
        self._followers: dict[int, list[int]] = {}

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
