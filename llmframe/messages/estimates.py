"""What an estimate is made from, and that a limit will probably stop a call, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmframe.text import money

if TYPE_CHECKING:
    from llmframe.engine.forecast import Range, Tokens

_PREVIEW = "df.llm.preview(...) asks a few rows and makes this exact"


def based_on(tokens: Tokens, *, answers: int, ratio: float | None, is_timed: bool) -> str:
    """What an estimate is made from.

    answers: of this task that were measured. ratio: of tokens in to bytes / 4, as other prompts
    have shown it. is_timed: some answer has shown how long one takes.
    """
    measured = f"measured on {answers:,} answer{'' if answers == 1 else 's'} of this task"
    if tokens.source == "answers":
        words = [measured]
    else:
        by = "UTF-8 bytes / 4, as nothing is known of this model yet"
        if tokens.source == "ratio" and ratio is not None:
            by = f"UTF-8 bytes / 4 x {ratio:.2f}, as this model's earlier answers have shown"
        words = [f"tokens in: {by}", f"tokens out: {measured if answers else 'by the fields'}"]
    if not is_timed:
        words.append("no answer has shown yet how long one takes")
    return "; ".join(words) + ("" if answers else f". {_PREVIEW}")


class Limit(NamedTuple):
    """An option that limits what a task may take.

    spent: by earlier calls of the task. currency: None for a limit in tokens.
    """

    option: str
    most: float
    spent: float
    currency: str | None = None

    def shown(self, number: float) -> str:
        """An amount of what is limited."""
        if self.currency is None:
            return f"{round(number):,} tokens"
        return money(number, self.currency)


def expected_stop(limit: Limit, needed: Range, requests: int) -> str:
    """That a limit will probably stop the call; "" if it should not.

    needed: by the requests that are left, all together.
    """
    left = limit.most - limit.spent
    if needed.likely <= left:
        return ""
    low, likely, high = map(limit.shown, needed)
    before = f", after {limit.shown(limit.spent)} of earlier calls" if limit.spent else ""
    return (
        # "will" only where even the low end of the range is above the limit
        f"{limit.option}={limit.most:g} {'will' if needed.low > left else 'may'} stop this call "
        f"after about {max(0, int(requests * left / needed.likely)):,} of {requests:,} requests: "
        f"all of them should take about {likely} ({low} to {high}){before}. What is answered by "
        "then is kept"
    )
