"""``df.llm.review``: labels by a person, from a drawn sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.options.short_tracebacks import short_tracebacks

# The rest is imported by the function: `import llmframe` loads this module, and must be quick.
if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from llmframe.quality.review import Review
    from llmframe.quality.reviewed import Order


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
