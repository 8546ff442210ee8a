"""Frames as ``df.llm.tag`` leaves them, without a run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from llmframe.frame.existing import ATTRS_KEY


def tagged(df: pd.DataFrame, **answers: Any) -> pd.DataFrame:
    """The frame with these columns of answers, and a status: ok where all of them have one."""
    out = df.assign(**answers)
    given = out[[*answers]].notna().all(axis=1).to_numpy()
    out["llm_status"] = pd.Categorical(
        ["ok" if ok else "failed" for ok in given], ["ok", "failed", "skipped", "pending"]
    )
    columns = {name: {"hash": "0" * 32, "task": "t" * 16} for name in (*answers, "llm_status")}
    out.attrs[ATTRS_KEY] = {"task": "t" * 16, "columns": columns, "inputs": []}
    return out
