"""A frame that the model tagged with known errors, and a person who knows the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.kits.tagged import tagged

LABELS = ["refund", "delivery", "billing"]


def frame(rows: int = 600, *, right: float = 0.8, seed: int = 0, **columns: Any) -> pd.DataFrame:
    """Different texts, the truth (``gold``), a model's labels with errors and its confidence."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    missed = rng.random(rows) >= right
    said = np.where(missed, (truth + 1) % 3, truth)
    df = pd.DataFrame({"text": [f"record {at} of {rows}" for at in range(rows)]} | columns)
    df["gold"] = np.array(LABELS)[truth]
    out = tagged(df, intent=pd.Categorical(np.array(LABELS)[said], LABELS))
    sure = np.clip(rng.normal(np.where(missed, 0.75, 0.93), 0.08), 0.01, 0.999)
    out.insert(out.columns.get_loc("intent") + 1, "intent_confidence", sure)
    out.attrs["llmframe"]["inputs"] = ["text"]
    return out


def judge(
    df: pd.DataFrame, field: str = "intent", *, some: int | None = None, **options: Any
) -> Any:
    """A review of the field in which the truth is the frame's ``gold``.

    some: rows to judge before it is left; None for all.
    """
    review = df.llm.review(field, **options)
    while review.row is not None and (some is None or review.done < some):
        review.answer(df["gold"].iloc[review.row])
    return review
