"""What a run has spent, in words that the panel, the card and the summary share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing.format import amount, money, noun, plural

if TYPE_CHECKING:
    from llmframe.report import RunReport


def cached_share(tokens_in: int, cached: int) -> str:
    """The share of the prompts that the provider had in its cache: ``61 %``; empty if none."""
    # rounded down: 100 % is said only where all of them were
    return f"{100 * cached // tokens_in} %" if cached else ""


def tokens_in_words(tokens_in: int, cached: int) -> str:
    """What stands after the number of tokens in, in a text: ``tokens in (61 % cached)``."""
    share = cached_share(tokens_in, cached)
    return f"tokens in ({share} cached)" if share else "tokens in"


def cost_words(cost: float, currency: str, *, estimated: int) -> str:
    """A cost: ``$0.41``, or ``about $0.41`` where any of it is an estimate."""
    return f"{'about ' if estimated else ''}{money(cost, currency)}"


def estimate_words(estimated: int) -> str:
    """That tokens are estimated; empty if none are."""
    if not estimated:
        return ""
    replies = plural(estimated, "reply", "replies")
    return f"{replies} did not state the tokens used; those are estimated"


def unread_words(report: RunReport) -> str:
    """What requests may have cost whose answers were never read; empty if there are none."""
    if not report.unread:
        return ""
    cost, currency = report.unread_cost, report.currency
    worth = "" if cost is None else f" or {money(cost, currency)}"
    return (
        f"{plural(report.unread, 'request')} left without an answer that could be read; if the "
        f"provider charges for {noun(report.unread, 'it', 'them')}, that is about "
        f"{amount(report.unread_tokens)} tokens{worth} more, which max_tokens and max_cost count"
    )
