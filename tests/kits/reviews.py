"""A tagged frame whose truth is known, without a model; and people who judge it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmframe.frame.existing import ATTRS_KEY, WrittenColumn, attrs_entry

LABELS = ("refund", "delivery", "billing", "other")
SHARES = (0.5, 0.3, 0.15, 0.05)


def tagged(
    n: int = 300,
    *,
    labels: tuple[str, ...] = LABELS,
    accuracy: float = 0.85,
    task: str = "a1" * 16,
    seed: int = 0,
    prefix: str = "",
) -> pd.DataFrame:
    """n rows with ``text``, ``truth``, ``intent``, ``intent_confidence`` and a status.

    The less sure a label is, the more often it is wrong.
    """
    rng = np.random.default_rng(seed)
    shares = np.resize(SHARES, len(labels))
    truth = rng.choice(len(labels), n, p=shares / shares.sum())
    sure = np.round(rng.beta(4, 1, n), 4)
    wrong = rng.random(n) > np.clip(accuracy + 0.5 * (sure - sure.mean()), 0, 1)
    said = np.where(wrong, (truth + 1) % len(labels), truth)
    names = [f"{prefix}{name}" for name in ("intent", "intent_confidence", "llm_status")]
    df = pd.DataFrame(
        {
            "text": [f"record {at} about {labels[code]}" for at, code in enumerate(truth)],
            "truth": [labels[code] for code in truth],
            names[0]: pd.Categorical.from_codes(said, list(labels)),
            names[1]: sure,
            names[2]: pd.Categorical(["ok"] * n, ["ok", "failed", "skipped", "pending"]),
            f"{prefix}llm_error": pd.Series([None] * n, dtype=object),
        }
    )
    written = {
        name: WrittenColumn("", task=task, type="text", rows=n)
        for name in (*names, f"{prefix}llm_error")
    }
    df.attrs[ATTRS_KEY] = attrs_entry(written, task=task, info={"inputs": ["text"]})
    return df


def judge(review, df: pd.DataFrame, times: int = 10**9) -> list[int]:
    """Give the true label of each row that is shown; the positions, in their order."""
    shown = []
    while review.row is not None and len(shown) < times:
        shown.append(review.row)
        review.answer(df["truth"].iloc[review.row])
    return shown
