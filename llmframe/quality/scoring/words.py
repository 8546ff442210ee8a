"""How shares, intervals and tables of them read: 85 % (78 to 91)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "–"
_FINE = 0.02  # an interval as narrow as this deserves a decimal


def percent(share: float, *, fine: bool = False) -> str:
    """A share in percent: ``85 %``; with a decimal if fine."""
    return UNKNOWN if math.isnan(share) else f"{100 * share:.{int(fine)}f} %"


def interval(low: float, high: float) -> str:
    """An interval of shares: ``78 to 91 %``."""
    if math.isnan(low) or math.isnan(high):
        return UNKNOWN
    digits = int(is_fine(low, high))
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def is_fine(low: float, high: float) -> bool:
    """Whether an interval is so narrow that whole percent would hide it."""
    return high - low < _FINE


def with_interval(value: float, low: float, high: float) -> str:
    """A share with its interval: ``85 % (78 to 91)``."""
    if math.isnan(value):
        return UNKNOWN
    ends = interval(low, high).removesuffix(" %")
    return f"{percent(value, fine=is_fine(low, high))} ({ends})"


def number(value: float) -> str:
    """A coefficient such as kappa, with two decimals."""
    return UNKNOWN if math.isnan(value) else f"{value:.2f}"


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign: ``+3.1``."""
    return UNKNOWN if math.isnan(value) else f"{100 * value:+.1f}"


def aligned_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first cell to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
