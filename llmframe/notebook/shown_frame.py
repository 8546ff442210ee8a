"""A frame that pandas treats as any other, and that is displayed by a view of its own."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from llmframe.frame.cells import cell_text, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable


class ShownFrame(pd.DataFrame):
    """Displays itself by ``_view``; pandas makes ordinary frames of it."""

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __reduce__(self) -> Any:  # a pickle may be read where llmframe is not installed
        return copy, (self.copy(),)

    def transpose(self, *args: Any, **options: Any) -> pd.DataFrame:  # type: ignore[override]
        """As pandas does; the one method that does not ask for the constructor."""
        return self.copy().transpose(*args, **options)

    def __repr__(self) -> str:
        text = self._view_if_any(as_html=False)
        return super().__repr__() if text is None else text

    def _repr_html_(self) -> str | None:
        wanted = pd.get_option("display.notebook_repr_html")
        shown = self._view_if_any(as_html=True) if wanted else None
        if shown is None:
            return cast("str | None", pd.DataFrame(self)._repr_html_())  # type: ignore[operator]
        return shown

    def _view_if_any(self, *, as_html: bool) -> str | None:
        try:
            return self._view(as_html=as_html)
        except Exception:  # noqa: BLE001 - whatever somebody made of it, a view must not fail
            return None

    def _view(self, *, as_html: bool) -> str | None:
        """The view as HTML or as lines of text.

        None, or any error, where the frame is no longer what it was made as.
        """
        raise NotImplementedError


def shown_cell(cell: object) -> str | None:
    """A cell's text whatever its class; None where it is missing."""
    try:
        return None if is_missing(cell) else cell_text(cell)
    except Exception:  # noqa: BLE001 - the code of the cell's own class
        return f"<{type(cell).__name__}>"
