"""``df.llm`` and ``series.llm``: thin shells over the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import pandas as pd

from llmframe import api
from llmframe.config import Options
from llmframe.errors import warn
from llmframe.signature import with_options

if TYPE_CHECKING:
    from llmframe.run import Run


class LLMAccessor:
    """What a model can do with a DataFrame; nothing is kept on the accessor."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df

    @with_options(doc=api.tag)
    def tag(self, input: object, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: A002, D102
        return api.tag(self._df, input, fields, **options)

    @with_options(doc=api.atag)
    async def atag(self, input: object, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: A002, D102
        return await api.atag(self._df, input, fields, **options)

    @with_options(doc=api.start)
    def start(self, input: object, fields: object, **options: Unpack[Options]) -> Run:  # noqa: A002, D102
        return api.start(self._df, input, fields, **options)

    def errors(self, prefix: str = "") -> pd.DataFrame:
        """The rows that failed, on the frame's index: what was asked beside ``llm_error``.

        prefix: of the call that is meant. Raises PlanError if the frame was never tagged.
        """
        return api.errors(self._df, prefix)

    def summary(self, prefix: str = "") -> Any:
        """What a call has left in the frame: rows by status, and what each field holds.

        Displayed as pictures, printed as text. prefix: of the call that is meant.
        Raises PlanError if the frame was never tagged.
        """
        return api.summary(self._df, prefix)


class SeriesLLMAccessor:
    """What a model can do with one column of text."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self._series = series

    @with_options(doc=api.tag_series)
    def tag(self, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: D102
        return api.tag_series(self._series, fields, **options)


def llm(df: pd.DataFrame) -> LLMAccessor:
    """The same as ``df.llm``, also where another package holds that name."""
    return LLMAccessor(df)


def register() -> None:
    """Make ``df.llm`` and ``series.llm``; say so where another package holds the name."""
    for owner, accessor, decorate in (
        (pd.DataFrame, LLMAccessor, pd.api.extensions.register_dataframe_accessor),
        (pd.Series, SeriesLLMAccessor, pd.api.extensions.register_series_accessor),
    ):
        holder = _holder(owner)
        if holder is None:
            decorate("llm")(accessor)
        elif not holder.startswith("llmframe."):
            warn(
                f"{owner.__name__}.llm belongs to {holder}; llmframe leaves it alone. These always "
                "work: llmframe.tag(df, ...), llmframe.start(df, ...), llmframe.llm(df)",
            )
        else:  # this module was reloaded: ours takes the place of ours, without pandas' warning
            delattr(owner, "llm")
            decorate("llm")(accessor)


def _holder(owner: type) -> str | None:
    """Who holds ``owner.llm``: its module and name, None if it is free."""
    if not hasattr(owner, "llm"):
        return None
    held = owner.llm
    return f"{getattr(held, '__module__', '?')}.{getattr(held, '__name__', type(held).__name__)}"
