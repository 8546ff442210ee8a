"""Programs that are killed in the middle of batch mode, and what must hold afterwards."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from llmframe.engine.batch import batches, room, steps
from llmframe.providers.batch_limits import BatchLimits
from tests.kits.battery import start, tag
from tests.kits.until import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from llmframe.testing import Server
    from tests.kits.children import Child, Nursery

PAUSES: Any = (  # seconds between looks at batches, and until what was created is listed
    (steps, {"FIRST_LOOK": 0.02, "LAST_LOOK": 0.05, "CANCELLING": 0.05, "LISTED": 0.8}),
    (steps, {"ELSEWHERE": 2.0}),
    (batches, {"FIRST_LOOK": 0.02, "GATHER": 0.3}),
    (room, {"SHORTEST": 0.1, "LONGEST": 0.2}),
)
STEPS = {
    "uploading": "upload",
    "creating": "create",
    "polling": "retrieve",
    "downloading": "download",
}
WAYS = ("before", "after", "early", "late", "any")
"""When a program dies: before the server does the step, after it did it and without a reply, or at
a random moment of the time that the step takes."""
SPREAD = {"early": (0.0, 0.02), "late": (0.1, 0.2), "any": (0.0, 0.4)}  # seconds after its begin
SLOW = 0.2  # seconds that a step takes then


def hurry(requests: int = 50_000, size: int = 100_000_000, *, setting: Any = setattr) -> None:
    """Look at batches many times a second, and put so much into each: for tests of small size.

    setting: what sets an attribute, such as ``monkeypatch.setattr``.
    """
    for module, pauses in PAUSES:
        for name, seconds in pauses.items():
            setting(module, name, seconds)
    setting(batches, "batch_limits", lambda _: BatchLimits(requests=requests, size=size))


def kill_while(
    what: str, way: str, server: Server, begin: Callable[[], Child], *, rules: dict[str, Any]
) -> bool:
    """Kill a program while it does a step; False where it came to its end before.

    rules: of the server's batches, which hold again afterwards.
    """
    step = STEPS[what]
    if way in ("before", "after"):
        held = {"faults": {step: "hang" if way == "before" else "done:hang"}}
        pause = 0.0
    else:
        held = {"delays": {step: SLOW}}
        pause = random.Random(f"{what}/{way}").uniform(*SPREAD[way])
    server.update(batches=rules | held)
    before = server.ledger.steps[step]
    child = begin()
    killed = child.kill_when(_later(lambda: server.ledger.steps[step] > before, pause))
    server.update(batches=rules)
    return killed


def _later(condition: Callable[[], bool], pause: float) -> Callable[[], bool]:
    """A condition that holds some seconds after another began to hold."""
    since: list[float] = []

    def holds() -> bool:
        if not since and condition():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= pause

    return holds


def settled(server: Server) -> None:
    """Wait until no batch of the server has anything left to do."""
    ended = ("completed", "failed", "expired", "cancelled")
    until(lambda: all(each["status"] in ended for each in server.ledger.batches))


def sent_twice(server: Server) -> int:
    """Requests beyond the first for any row, in whatever batches and live requests."""
    return sum(times - 1 for times in server.ledger.rows().values())


def begin_on(
    nursery: Nursery, server: Server, path: Path, rows: int, **options: Any
) -> Callable[[], Child]:
    """What starts a program in batch mode on so many rows."""
    return lambda: nursery.tag(rows, server.url, path, mode="batch", **options)


def tag_batch(df: pd.DataFrame, server: Server, folder: Path | None, **options: Any) -> Any:
    """The frame through ``lf.tag`` in batch mode; options as in kit.tag."""
    return tag(df, server, folder, mode="batch", **options)


def sent_again_without_need(server: Server) -> list[str]:
    """Rows that were sent again although their last answer had been good."""
    good: set[str] = set()
    wrong = []
    for call in server.ledger.calls:
        if call.row in good:
            wrong.append(call.row)
        if call.fault is None:
            good.add(call.row)
    return wrong


def start_batch(df: pd.DataFrame, server: Server, folder: Path | None, **options: Any) -> Any:
    """The same in the background."""
    return start(df, server, folder, mode="batch", **options)
