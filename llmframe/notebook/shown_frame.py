"""A frame that pandas treats as any other, and that is displayed by a view of its own."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable


class ShownFrame(pd.DataFrame):
    """Displays itself by ``_text_view`` and ``_html_view``; pandas makes ordinary frames of it."""

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __reduce__(self) -> Any:  # a pickle may be read where llmframe is not installed
        return copy, (self.copy(),)

    def transpose(self, *args: Any, **options: Any) -> pd.DataFrame:  # type: ignore[override]
        """As pandas does; the one method that does not ask for the constructor."""
        return self.copy().transpose(*args, **options)

    def __repr__(self) -> str:
        text = self._text_view()
        return super().__repr__() if text is None else text

    def _repr_html_(self) -> str | None:
        shown = self._html_view() if pd.get_option("display.notebook_repr_html") else None
        if shown is None:
            return cast("str | None", pd.DataFrame(self)._repr_html_())  # type: ignore[operator]
        return shown

    def _text_view(self) -> str | None:
        """The view as lines of text; None where the frame is no longer what it was made as."""
        raise NotImplementedError

    def _html_view(self) -> str | None:
        """The view as HTML; None as for the text."""
        raise NotImplementedError
