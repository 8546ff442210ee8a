"""Calls that say how far a tagged column can be trusted, and the review they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.options.short_tracebacks import short_tracebacks

# The rest is imported by the functions: `import llmframe` loads this module, and must be quick.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from llmframe.quality.review import Review
    from llmframe.quality.reviewed import Order
    from llmframe.quality.scoring.compare import Comparison
    from llmframe.quality.scoring.score import Score
    from llmframe.quality.scoring.shares import Shares
    from llmframe.quality.scoring.threshold import Threshold


@short_tracebacks
def score(
    df: pd.DataFrame,
    field: object,
    truth: object = None,
    by: object = None,
    level: float = 0.95,
) -> Score:
    """See LLMAccessor.score."""
    from llmframe.quality.scoring.score import score

    return score(df, field, truth, by=by, level=level)


@short_tracebacks
def shares(df: pd.DataFrame, field: object, by: object = None, level: float = 0.95) -> Shares:
    """See LLMAccessor.shares."""
    from llmframe.quality.scoring.shares import shares

    return shares(df, field, by=by, level=level)


@short_tracebacks
def compare(
    df: pd.DataFrame,
    a: object,
    b: object,
    truth: object = None,
    *,
    reviewer: Callable[..., Review] | None = None,
) -> Comparison:
    """See LLMAccessor.compare."""
    from llmframe.quality.scoring.compare import compare

    return compare(df, a, b, truth=truth, reviewer=reviewer)


@short_tracebacks
def threshold(
    df: pd.DataFrame, field: object, accuracy: float = 0.95, sure: float = 0.95
) -> Threshold:
    """See LLMAccessor.threshold."""
    from llmframe.quality.scoring.threshold import threshold

    return threshold(df, field, accuracy=accuracy, sure=sure)


@short_tracebacks
def suspects(df: pd.DataFrame, field: object) -> pd.DataFrame:
    """See LLMAccessor.suspects."""
    from llmframe.quality.suspects import suspects

    return suspects(df, field)


@short_tracebacks
def review(
    df: pd.DataFrame,
    field: object,
    n: int,
    order: Order,
    *,
    against: object,
    blind: bool | str,
    who: str | None,
    twice: float,
    learn: float,
    highlight: object,
    keys: Mapping[Any, str] | str | None,
    seed: int,
) -> Review:
    """See LLMAccessor.review."""
    from llmframe.frame.column_lookup import check_frame
    from llmframe.quality.drawing import Wish, whole
    from llmframe.quality.review import open_review
    from llmframe.quality.review_session import Manner

    check_frame(df)
    wish = Wish(whole(n), order=order, against=against, learn=learn, seed=whole(seed))
    manner = Manner(blind=blind, who=who, twice=twice, highlight=highlight, keys=keys)
    return open_review(df, field, wish, manner)
