"""Kill -9 at random growth of the checkpoint, again and again, and what that may cost at most."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pandas.testing import assert_frame_equal

from llmframe.journal import TaskInfo, open_checkpoint
from tests.kits import battery as kit
from tests.kits.children import numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from llmframe.testing import Server
    from tests.kits.children import Nursery

ANY_TASK = TaskInfo(bytes(16), {})


@dataclass
class Round:
    """One life of a child. ended: when it was dead; kept: answers in the checkpoint then."""

    ended: float
    kept: int
    harmed: int = 0


@dataclass
class Lives:
    """All that happened until the rows were done.

    result: what the last child reported. rounds: the lives that were cut off. harmed: answers
    that were damaged by hand.
    """

    result: dict[str, Any] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)

    def paid_twice(self, server: Server) -> list[int]:
        """For each life: good answers that it was billed for and that are not in the checkpoint."""
        good = [c for c in server.ledger.calls if c.billed and c.fault is None]
        before, kept, twice = 0.0, 0, []
        for each in self.rounds:
            billed = sum(before <= call.at < each.ended for call in good)
            twice.append(billed - (each.kept - kept))
            before, kept = each.ended, each.kept - each.harmed
        return twice

    def asked_again(self, server: Server) -> int:
        """Good answers that were produced more than once."""
        good = Counter(c.row for c in server.ledger.calls if c.billed and c.fault is None)
        return sum(times - 1 for times in good.values())


def kill_until_done(
    nursery: Nursery,
    server: Server,
    checkpoint: Path,
    *,
    n: int,
    kills: int,
    harm: Callable[[Path, random.Random], int] | None = None,
    seed: int = 7,
    **options: Any,
) -> Lives:
    """Tag n rows by children of which so many are killed, each after a random growth of the file.

    harm: done to the file after each kill; returns how many answers it damaged.
    """
    chance, lives = random.Random(f"{seed}/{checkpoint.name}"), Lives()
    probe = checkpoint.with_stem("probe")
    whole = n * _bytes_of_a_row(nursery, server, probe, options)
    while len(lives.rounds) < kills:
        # a share of what is left: a kill that came late takes nothing from those that follow
        each = max(0.0, whole - size(checkpoint)) / (kills - len(lives.rounds) + 1)
        goal = size(checkpoint) + chance.uniform(0.0, 1.6 * each)
        child = nursery.tag(n, server.url, checkpoint, **options)
        assert child.kill_when(lambda goal=goal: size(checkpoint) > goal), "it came to its end"
        ended = arrived(server)
        kept = answers(checkpoint)
        lives.rounds.append(Round(ended, kept, harm(checkpoint, chance) if harm else 0))
    lives.result = nursery.tag(n, server.url, checkpoint, **options).end()
    return lives


def arrived(server: Server) -> float:
    """When all that the dead child had sent was with the server, which may be behind."""
    seen = -1
    while seen != (seen := len(server.ledger)):
        time.sleep(0.03)
    return time.monotonic()


def _bytes_of_a_row(
    nursery: Nursery, server: Server, probe: Path, options: dict[str, Any]
) -> float:
    """Bytes by which the file grows for each row."""
    nursery.tag(40, server.url, probe, **options).end()
    grown = size(probe) / 40
    server.ledger.clear()
    return grown


def size(path: Path) -> int:
    """Bytes of a checkpoint with all that belongs to it; 0 where there is none."""
    beside = path.with_name(path.name + "-wal")
    return sum(each.stat().st_size for each in (path, beside) if each.exists())


def answers(path: Path) -> int:
    """Whole answers in a checkpoint that nobody writes."""
    if not path.exists():
        return 0
    checkpoint = open_checkpoint(path, ANY_TASK, folder=path.parent / "none", read_only=True)
    assert checkpoint is not None
    try:
        return checkpoint.answers
    finally:
        checkpoint.close()


def tear(path: Path, chance: random.Random) -> int:
    """Add the beginning of a line, as a crash of the system may leave it; damages no answer."""
    with path.open("rb+") as file:
        lines = file.read().splitlines()
        file.write(lines[-1][: chance.randrange(1, len(lines[-1]))])
    return 0


def cut(path: Path, chance: random.Random) -> int:
    """Cut the last line anywhere, as a crash of the system may; damages one answer."""
    last = path.read_bytes().splitlines(keepends=True)[-1]
    os.truncate(path, path.stat().st_size - chance.randrange(2, len(last)))
    return int(b'"v":' in last)


def assert_survived(
    lives: Lives, server: Server, n: int, concurrency: int, **options: Any
) -> list[int]:
    """All that must hold after kills; what was paid twice at each."""
    out: pd.DataFrame = lives.result["frame"]
    twice = lives.paid_twice(server)
    assert kit.statuses(out) == {"ok": n}
    assert kit.lost(out, server.ledger) == []
    assert max(twice) <= concurrency, twice
    assert min(twice) >= 0, twice
    harmed = sum(each.harmed for each in lives.rounds)
    assert lives.asked_again(server) <= sum(twice) + harmed
    assert len({call.row for call in server.ledger.calls}) == n
    assert_frame_equal(out, kit.uninterrupted(numbered(n), **options))
    return twice
