"""How often answers agree with what is true, in one sentence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Z = 1.96  # standard deviations on each side of 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of the rows whose truth is known are right.

    always: the most frequent true label. always_right: the rows that it alone would get right.
    unanswered: the rows without an answer, which are not right. unknown: the rows whose truth is
    not known, which do not count.
    """

    right: int
    rows: int
    always: str
    always_right: int
    unanswered: int = 0
    unknown: int = 0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that is right, by Wilson's method (1927)."""
        if not self.rows:
            return 0.0, 1.0
        n, share = self.rows, self.right / self.rows
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5
        return middle - half, middle + half

    def __repr__(self) -> str:
        low, high = self.interval
        missing = f", {self.unanswered} not answered" if self.unanswered else ""
        apart = f"; without the {self.unknown} whose truth is not known" if self.unknown else ""
        return (
            f"{self.right} of {self.rows} right{missing}; "
            f"95 % interval {100 * low:.0f} to {100 * high:.0f} %{apart}\n"
            f"(always answering {self.always!r} would be right for {self.always_right})"
        )


def agreement(answers: Iterable[Any], truth: Iterable[Any]) -> Agreement:
    """How often the answers are the truth; both in the same order.

    Rows whose truth is missing (None, NaN, NA) are left out. A missing answer is not right.

    >>> agreement(["a", "b", "a", None], ["a", "a", "a", None])
    2 of 3 right; 95 % interval 21 to 94 %; without the 1 whose truth is not known
    (always answering 'a' would be right for 3)
    """
    given = list(zip(answers, truth, strict=True))
    pairs = [(answer, true) for answer, true in given if not _is_missing(true)]
    [(always, always_right)] = Counter(true for _, true in pairs).most_common(1) or [("", 0)]
    answered = [(answer, true) for answer, true in pairs if not _is_missing(answer)]
    return Agreement(
        right=sum(str(answer) == str(true) for answer, true in answered),
        rows=len(pairs),
        always=str(always),
        always_right=always_right,
        unanswered=len(pairs) - len(answered),
        unknown=len(given) - len(pairs),
    )


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
