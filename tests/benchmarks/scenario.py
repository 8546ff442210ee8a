"""What the scenarios of limits share: a run in virtual time, and what is judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tests.kits.engine import Texts, Wired, wire
from tests.kits.virtual_time import now, run

if TYPE_CHECKING:
    pass

FIELDS = {"intent": ["refund", "delivery", "billing", "other"]}


@dataclass(frozen=True)
class Seen:
    """What a scenario showed. goals: (what, reached)."""

    name: str
    line: str
    goals: tuple[tuple[str, bool], ...]


def frame(n: int, length: int = 80) -> pd.DataFrame:
    """n distinct texts of about so many characters."""
    return pd.DataFrame({"text": [f"row {i} " + "x" * length for i in range(n)]})


def simulate(
    rows: Texts, provider: Any, cap: int | None = None, **options: Any
) -> tuple[float, Wired]:
    """Seconds of virtual time, and the pipeline as it ended."""

    async def main() -> tuple[float, Wired]:
        begun = now()
        wired = await wire(rows, provider, cap=cap, probes=True, **options).run()
        return now() - begun, wired

    return run(main())


def failures(wired: Wired) -> int:
    """Rows that are not ok."""
    return sum(n for status, n in Counter(wired.statuses).items() if status != "ok")
