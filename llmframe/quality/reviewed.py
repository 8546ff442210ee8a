"""What a review is to the statistics: the rows that a person judged, and how they were drawn.

The one value between ``df.llm.review`` and score, shares, compare, threshold. It is plain: no
frame, no file, no widget. ``find_reviewed(df, field)`` of ``quality/stored_reviews.py`` makes it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from dataclasses import field as attribute
from math import nan
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np
    import numpy.typing as npt

Order: TypeAlias = Literal[
    "design", "random", "both", "confidence", "disagreement", "suspects", "changed"
]
Role: TypeAlias = Literal["measure", "learn"]
Method: TypeAlias = Literal["random", "design", "not a sample"]

_METHODS: dict[str, Method] = {"design": "design", "both": "design", "random": "random"}
SAMPLES = tuple(_METHODS)  # the orders that draw a sample
OUTSIDE = -1  # the stratum of a row that is not in the population


@dataclass(frozen=True, slots=True)
class Cell:
    """Rows of one label: the less sure ones, the surer ones, or all of them.

    label: its code, OUTSIDE for any label. part: "low" (confidence at most ``cut``), "rest"
    (above it) or "".
    """

    label: int = OUTSIDE
    part: str = ""
    cut: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One stratum as it is drawn from.

    cells: which rows are in it. size: how many that were at the draw. share: of the drawn rows.
    complete: all of them are drawn. It has no cells then, as its rows are those of the draw.
    """

    cells: tuple[Cell, ...]
    size: int
    share: float
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judgement of one drawn row by a person.

    position: of the row in the frame as it is now. said: the model's label there now, None if
    the row has none. truth: the person's label. stratum: index into ``Reviewed.strata``.
    weight: rows of the population that this row stands for: its stratum's size over the rows
    first judged in it; NaN for a repeat, for a ``learn`` row (1 in a complete stratum) and for an
    order that is no sample. role: fixed when the row was drawn. first: False for a repeat
    (``twice=``, a second person), which counts for agreement only. who: the person, "" if unnamed.
    """

    position: int
    _: KW_ONLY
    said: Hashable | None
    truth: Hashable
    stratum: int = 0
    weight: float = nan
    role: Role = "measure"
    first: bool = True
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """All judgements of one draw, in the order in which the rows were drawn.

    order: as the review was called. strata: the population when the rows were drawn. labels:
    those that a person can choose from. added: rows with a label more than at the draw; nothing
    was drawn from them. undecided: drawn rows that were shown and skipped: they are
    not missing at random. stratum_of: for each row of the frame its stratum, OUTSIDE if it is not
    in the population; None if the labels are another prompt's than those that were drawn from.
    is_verdict: the field is no closed choice, so ``said`` is always "right" and ``truth`` is
    "right" or "wrong".
    """

    judgements: tuple[Judgement, ...]
    strata: tuple[Part, ...]
    order: Order
    labels: tuple[Hashable, ...] = ()
    added: int = 0
    undecided: int = 0
    is_verdict: bool = False
    stratum_of: npt.NDArray[np.int64] | None = attribute(default=None, compare=False)

    @property
    def method(self) -> Method:
        """How an accuracy may be computed from it; "not a sample": not at all."""
        return _METHODS.get(self.order, "not a sample")

    @property
    def measured(self) -> tuple[Judgement, ...]:
        """The judgements that may count in a score: first ones, of rows drawn to measure."""
        return tuple(one for one in self.judgements if one.first and one.role == "measure")
