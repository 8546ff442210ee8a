"""What score, shares, compare and threshold show, ready to be displayed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tests.kits.judged import frame, judge


@contextlib.contextmanager
def judged(**options: Any) -> Iterator[pd.DataFrame]:
    """A frame of which some rows were judged, in a folder of its own."""
    shops = ["北京", "Paris", "a shop with a rather long name", "-"]
    df = frame(5_000, right=0.85, shop=shops * 1_250)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        judge(df, n=120, **options)
        yield df


def score() -> Any:
    """By a sample, with groups and confidence."""
    with judged() as df:
        return df.llm.score("intent", by="shop")


def no_sample() -> Any:
    """Rows in an order for mending."""
    with judged(order="confidence") as df:
        return df.llm.score("intent")


def shares() -> Any:
    """Corrected by a sample."""
    with judged() as df:
        return df.llm.shares("intent")


def compare() -> Any:
    """Two prompts, with a truth for all rows."""
    df = frame(5_000, right=0.85)
    mended = np.random.default_rng(1).random(5_000) < 0.4
    df["second"] = df["intent"].astype(str).where(~mended, df["gold"])
    return df.llm.compare("intent", "second", truth="gold")


def threshold() -> Any:
    """The surest labels are right."""
    with judged() as df:
        return df.llm.threshold("intent", accuracy=0.9)
