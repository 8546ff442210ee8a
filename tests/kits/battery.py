"""What the battery shares: a frame through ``df.llm.tag``, and the invariants that always hold.

    with testing.serve(faults=...) as server:
        out = tag(frame(50), server, tmp_path)
        check(out, frame(50), server)        # nothing lost, nothing paid twice, output equal

On loopback the port is no part of a key, so a checkpoint goes on over another server or a proxy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.testing import assert_frame_equal

import llmframe as lf
from llmframe import testing
from llmframe.engine.rows.health_probe import TEXT
from tests.kits.until import until as until  # for the battery's many waits

if TYPE_CHECKING:
    from pathlib import Path

    from llmframe.testing import Call, Ledger, Server

FIELDS = {
    "intent": ["refund", "delivery", "billing", "other"],
    "urgency": ["low", "mid", "high"],
    "summary": str,
}
ANSWERS = [*FIELDS, "llm_status", "llm_error"]
AFTER_STOP = 1.0  # seconds after a stop, from which no new request may be seen


def frame(n: int = 20, name: str = "record") -> pd.DataFrame:
    """n rows of distinct texts on an index that is not 0, 1, 2 ..."""
    texts = [f"{name} {i} wants something" for i in range(n)]
    return pd.DataFrame({"text": texts}, index=pd.RangeIndex(10, 10 + 3 * n, 3, name="case"))


def settings(url: Server | str, folder: Path | None, **options: Any) -> dict[str, Any]:
    """The options of a call against a server or an address; the checkpoint lies in folder."""
    return {
        "model": "test-model",
        "base_url": url if isinstance(url, str) else url.url,
        "api_key": "sk-battery-0123456789",
        "checkpoint": False if folder is None else folder / "run.jsonl",
        "concurrency": 20,
        "progress": False,
    } | options


def tag(df: pd.DataFrame, url: Server | str, folder: Path | None, **options: Any) -> pd.DataFrame:
    """The frame through ``lf.tag``, fields as in FIELDS unless ``fields=`` is given."""
    fields = options.pop("fields", FIELDS)
    return lf.tag(df, "text", fields, **settings(url, folder, **options))


def start(df: pd.DataFrame, url: Server | str, folder: Path | None, **options: Any) -> lf.Run:
    """The same in the background."""
    fields = options.pop("fields", FIELDS)
    return lf.start(df, "text", fields, **settings(url, folder, **options))


def uninterrupted(df: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """What the frame becomes where nothing ever goes wrong."""
    with testing.serve() as server:
        return tag(df, server, None, **options)


# -- the standing invariants --------------------------------------------------------------


def bought(*ledgers: Ledger) -> list[Call]:
    """The good answers that were produced for rows; a health probe is for none."""
    calls = [call for ledger in ledgers for call in ledger.calls]
    return [call for call in calls if call.billed and call.fault is None and call.row != TEXT]


def answered(*ledgers: Ledger) -> set[str]:
    """The rows whose good answer was sent."""
    return {call.row for call in bought(*ledgers) if call.answered}


def lost(out: pd.DataFrame, *ledgers: Ledger, column: str = "text") -> list[str]:
    """The rows that were answered and are not ok in the frame."""
    got = set(out.loc[out["llm_status"] == "ok", column])
    return sorted(answered(*ledgers) - got)


def paid_twice(*ledgers: Ledger) -> int:
    """Good answers that were produced more than once, over all ledgers."""
    times = Counter(call.row for call in bought(*ledgers))
    return sum(n - 1 for n in times.values())


def statuses(out: pd.DataFrame) -> dict[str, int]:
    """llm_status, counted; what is 0 is left out."""
    return {str(k): int(n) for k, n in out["llm_status"].value_counts().items() if n}


def kinds(out: pd.DataFrame) -> dict[str, int]:
    """The kinds in llm_error, counted."""
    return dict(Counter(error.partition(":")[0] for error in out["llm_error"].dropna()))


def assert_same(out: pd.DataFrame, wanted: pd.DataFrame, *, failed: int = 0) -> None:
    """Index, order, dtypes and values are those of the uninterrupted run.

    failed: so many rows may differ, and these must be marked as failed.
    """
    assert out.index.equals(wanted.index)
    assert out.dtypes.equals(wanted.dtypes)
    bad = out["llm_status"] == "failed"
    assert int(bad.sum()) == failed
    mask = ~bad.to_numpy()
    assert_frame_equal(out[mask], wanted[mask])


def assert_quiet(server: Server, stopped_at: float) -> None:
    """No request left later than a second after the stop (``time.monotonic()``)."""
    late = server.ledger.since(stopped_at + AFTER_STOP)
    assert not late, f"{len(late)} requests later than a second after the stop"


def check(
    out: pd.DataFrame,
    df: pd.DataFrame,
    *servers: Server,
    failed: int = 0,
    twice: int = 0,
    **options: Any,
) -> None:
    """All that must hold after a run that ended: nothing lost, paid twice, left or changed.

    failed: rows that fail for good; twice: answers that may be paid twice, as many as were in
    flight at kills. options: of the run, where they change the columns.
    """
    ledgers = [server.ledger for server in servers]
    assert lost(out, *ledgers) == []
    assert paid_twice(*ledgers) <= twice
    assert_same(out, uninterrupted(df, **options), failed=failed)


def says(message: object, *words: str) -> None:
    """The message names each of the words; case does not matter."""
    text = str(message).casefold()
    missing = [word for word in words if word.casefold() not in text]
    assert not missing, f"{missing} not in: {message}"
