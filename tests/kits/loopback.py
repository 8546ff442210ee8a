"""A small frame tagged over the loopback server."""

from __future__ import annotations

from collections import Counter

import pandas as pd

import llmframe as lf

FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}


def frame(n=20, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})


def tag(df, server, **options):
    settings = {"model": "test-model", "base_url": server.url, "progress": False,
                "checkpoint": False, "concurrency": 20}  # fmt: skip
    return lf.tag(df, "text", FIELDS, **(settings | options))


def statuses(out):
    return Counter(out["llm_status"])


def kinds(out):
    return out["llm_error"].dropna().str.partition(":")[0]
