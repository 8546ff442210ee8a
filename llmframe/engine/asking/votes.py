"""The votes of a row: each is an answer of its own, with its own key, and they are counted here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from llmframe.engine.row import Row
from llmframe.task.keys import KeyMaker
from llmframe.task.trust.votes import (
    MOST,
    choices_of,
    is_decided,
    label_orders,
    reordered,
    requests_a_row,
    together,
    values_of,
    with_sums,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmframe.results import Answer, RowResult
    from llmframe.task.keys import Question
    from llmframe.task.prompt import Prompt
    from llmframe.task.trust.votes import Setting


@dataclass(frozen=True)
class Votes:
    """How often a run asks each row, and what the answers say together.

    setting: the option ``votes``, not 1. asked: the question, as its first vote. prompt: of that.
    """

    setting: Setting
    asked: Question
    prompt: Prompt

    @cached_property
    def later(self) -> tuple[Prompt, ...]:
        """The prompts of the votes after the first: each shows the labels in another order."""
        fields = self.prompt.fields
        return tuple(
            replace(self.prompt, fields=reordered(fields, vote)) for vote in range(1, MOST)
        )

    @cached_property
    def _keys(self) -> tuple[KeyMaker, ...]:
        """Keys of the votes after the first, which has the key of a call without votes."""
        fields = self.prompt.fields
        return tuple(
            KeyMaker(self.asked | {"vote": vote, "orders": label_orders(fields, vote)})
            for vote in range(1, MOST)
        )

    @cached_property
    def _choices(self) -> tuple[str, ...]:
        return choices_of(self.prompt.fields.specs)

    def following(self, row: Row, result: RowResult) -> Row | None:
        """The row as its next vote, with fresh patience; None if none is needed or it has failed.

        result: of the vote that row is.
        """
        votes = (*row.votes, result)
        if result.status != "ok" or is_decided(self.setting, self._choices, values_of(votes)):
            return None
        key = self._keys[len(votes) - 1].key(row.text)
        return Row(
            row.position, key, row.text, vote=len(votes), votes=votes, first=row.first or row
        )

    def result(self, votes: Sequence[RowResult]) -> RowResult:
        """What the row gets, from all its votes; the last of them may have failed."""
        last = votes[-1]
        if last.status == "ok":
            return together(self.prompt.fields.specs, votes)
        if last.error is None or len(votes) == 1:
            return last
        message = f"{last.error.message} (vote {len(votes)}; the votes before it are saved)"
        return with_sums(last._replace(error=last.error._replace(message=message)), votes)

    def recalled(
        self,
        first: Sequence[Answer | None],
        texts: Sequence[str | RowResult],
        recall: Callable[[Sequence[bytes]], Sequence[Answer | None]],
    ) -> list[Answer | None]:
        """The stored answers of rows whose votes are all stored, None for the others.

        first: the stored first votes. recall: the stored answers to keys.
        """
        votes = [None if each is None else [each] for each in first]
        for keys in self._keys:
            open_ = [
                at
                for at, stored in enumerate(votes)
                if stored and not is_decided(self.setting, self._choices, [v for _, v in stored])
            ]
            asked = [keys.key(text) for at in open_ if isinstance(text := texts[at], str)]
            for at, answer in zip(open_, recall(asked), strict=True):
                votes[at] = None if answer is None else [*(votes[at] or ()), answer]
        return [None if stored is None else self._answer(stored) for stored in votes]

    def left(
        self, text: str, first: RowResult | None, stored: Callable[[bytes], RowResult | None]
    ) -> float:
        """Requests that a text still needs, on average; 0 if its votes are all stored.

        first: its stored first vote. stored: returns the stored answer to a key.
        """
        votes = [] if first is None else [first]
        for keys in self._keys:
            if votes and is_decided(self.setting, self._choices, values_of(votes)):
                return 0.0
            answer = stored(keys.key(text)) if votes else None
            if answer is None:
                # after two votes that differ the third is certain, not 0.2 of a request
                return max(1.0, requests_a_row(self.setting) - len(votes))
            votes.append(answer)
        return 0.0

    def _answer(self, stored: Sequence[Answer]) -> Answer:
        result = self.result([bare._replace(values=values) for bare, values in stored])
        return result, result.values or {}
