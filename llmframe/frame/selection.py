"""``where=``: some rows of a frame are tagged, and all others keep what they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.column_lookup import check_frame
from llmframe.text import cut

if TYPE_CHECKING:
    import numpy.typing as npt

    Positions = npt.NDArray[np.intp]

Data = TypeVar("Data", pd.DataFrame, "pd.Series[Any]")

_COPIES_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3
_SHOWN = 200  # characters of what pandas says about a query


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to tag. whole: the frame as it was at the call. at: their positions, ascending."""

    whole: pd.DataFrame
    at: Positions

    @property
    def rows(self) -> pd.DataFrame:
        """The rows to tag, as a frame of their own."""
        return self.whole.iloc[self.at]

    def is_same(self, other: Selection | None) -> bool:
        """Whether the other has the same rows of an equal frame."""
        return other is not None and (
            np.array_equal(self.at, other.at)
            and self.whole.index.equals(other.whole.index)
            and self.whole.equals(other.whole)
        )

    def filled(
        self,
        new: pd.Series[Any],
        old: pd.Series[Any] | None,
        *,
        keep: npt.NDArray[np.bool_] | None = None,
    ) -> pd.Series[Any]:
        """A column of the whole frame: new cells in the rows to tag, old ones in all others.

        new: a cell for each row to tag. old: the frame's column of that name; None where it has
        none, and the other rows' cells are missing. keep: for each row of the frame, True where the
        old cell stays even in a row to tag. Raises PlanError where old cells are of
        another kind than new ones.
        """
        at = np.full(len(self.whole), -1, dtype=np.intp)
        if old is not None:
            old, new = _alike(old, new)
            at = np.arange(len(self.whole), dtype=np.intp)
        cells = pd.concat([new] if old is None else [old, new], ignore_index=True)
        fresh = np.arange(len(new)) + (0 if old is None else len(old))
        at[self.at] = fresh if keep is None else np.where(keep[self.at], at[self.at], fresh)
        filled = cells.reindex(at)  # -1 is no label, and so a missing cell
        if filled.dtype == object:
            filled.iloc[np.flatnonzero(at < 0)] = None  # as in every column of lists and dicts
        filled.index, filled.name = self.whole.index, new.name
        return filled


def selected(df: pd.DataFrame, where: object) -> Selection | None:
    """The rows that ``where`` selects; None where it is None.

    where: a boolean for each row (a Series on the frame's index, an array or a list), or a query
    as ``df.query`` takes it. A missing boolean counts as False. Raises PlanError for others.
    """
    if where is None:
        return None
    check_frame(df)
    mask: Any = _queried(df, where) if isinstance(where, str) else where
    if isinstance(mask, pd.Series):
        mask = _on_rows(df, mask)
    elif isinstance(mask, (pd.DataFrame, pd.Index)) or not pd.api.types.is_list_like(mask):
        raise PlanError(
            "where= is a mask or a query string, such as df['stars'] < 3 or "
            f"'stars < 3'; this is a {type(where).__name__}"
        )
    elif getattr(mask, "ndim", 1) != 1:
        raise PlanError(
            f"where= has the shape {mask.shape}, and a mask has one boolean for each row; "
            "take one column of it: mask[:, 0]"
        )
    else:
        mask = pd.Series(mask if hasattr(mask, "dtype") else [*mask])
    if len(mask) != len(df):
        raise PlanError(
            f"where= has {len(mask):,} booleans, the frame has {len(df):,} rows; give one for each"
        )
    return Selection(snapshot(df), np.flatnonzero(_booleans(mask)))


def _queried(df: pd.DataFrame, query: str) -> Any:
    try:
        found = df.eval(query)
    except Exception as exc:
        cure = "write it as for df.query"
        # df.query would find the variable where it is called; this is called from elsewhere
        if isinstance(exc, pd.errors.UndefinedVariableError) and "@" in query:
            cure = "a variable is not seen here: write its value, f'stars < {most}'"
        raise PlanError(
            f"where={query!r} cannot be evaluated ({type(exc).__name__}: {cut(str(exc), _SHOWN)}); "
            f"{cure}, or give a mask such as df['stars'] < 3"
        ) from exc
    if not isinstance(found, pd.Series):
        raise PlanError(f"where={query!r} is not true or false for each row; compare a column")
    return found


def _on_rows(df: pd.DataFrame, mask: pd.Series[Any]) -> pd.Series[Any]:
    """The mask in the order of the frame's rows."""
    if mask.index.equals(df.index):
        return mask
    unique = mask.index.is_unique and df.index.is_unique
    if len(mask) == len(df) and unique and df.index.isin(mask.index).all():
        return mask.reindex(df.index)
    raise PlanError(
        "where= is a mask over other rows than the frame's: their indexes differ; make it from "
        "the frame that is tagged"
    )


def _booleans(mask: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    if pd.api.types.infer_dtype(mask, skipna=True) not in ("boolean", "empty"):
        raise PlanError(
            f"where= holds {mask.dtype}, not True and False; compare with something, "
            "such as df['stars'] < 3"
        )
    return mask.astype("boolean").fillna(False).to_numpy(dtype=bool)


def _alike(old: pd.Series[Any], new: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Both columns with one dtype, that of the new cells; labels of the old ones stay labels."""
    if old.dtype == new.dtype:
        return old, new
    if isinstance(new.dtype, pd.CategoricalDtype):
        labels = old if isinstance(old.dtype, pd.CategoricalDtype) else old.astype("category")
        known = new.cat.categories
        more = [label for label in labels.cat.categories if label not in known]
        both = pd.CategoricalDtype([*known, *more])
        return labels.astype(both), new.astype(both)
    try:
        return old.astype(new.dtype), new
    except (TypeError, ValueError) as exc:
        raise PlanError(
            f"the column {old.name!r} holds {old.dtype}, which cannot stay beside the new answers "
            f"({new.dtype}); give the field another name or the outputs a prefix="
        ) from exc


def snapshot(data: Data) -> Data:
    """A frame or column as it is now, whatever is assigned to the original later.

    pandas 3 copies on write, so it costs nothing; before it, it is a copy (of Arrow data:
    of pointers).
    """
    return data.copy(deep=not _COPIES_ON_WRITE)
