"""Fault 33: an export over an existing file is killed; the old file or the new one is whole.

Thirty kills a format or more, each when the temporary file has grown to a random size, some when
it is complete and on its way to the disk and into its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from llmframe.system.atomic import SUFFIX

pytestmark = pytest.mark.battery

KILLS = 30
ENOUGH = KILLS // 3  # kills that fall into the writing
ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds until an export counts as hung
# Everything is loaded and the frame is made once; then a child a kill is forked.
NURSERY = """
import json, os, sys
import numpy as np, pandas as pd, pyarrow.parquet
import llmframe
from llmframe.frame.export import files

def frame(word, n):
    texts = [f"{word} {i} " + "abcdefgh" * 12 for i in range(n)]
    return pd.DataFrame({"text": texts, "n": np.arange(n), "same": texts})

frames = {"old": frame("old", 10_000), "new": frame("new", 20_000)}
while line := sys.stdin.readline():
    which, call, path, options = json.loads(line)
    child = os.fork()
    if child == 0:
        getattr(frames[which].llm, call)(path, **options)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()  # the dead are not buried before they were killed
    print(os.waitpid(child, 0)[1], flush=True)
"""
OPTIONS = {"to_parquet": {"compression": None, "row_group_size": 1000}, "to_csv": {}}


class Exporter:
    """Exports in processes of their own, which can be killed."""

    def __init__(self, call: str, path: Path) -> None:
        self.call, self.path = call, path
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", NURSERY],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> Exporter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def export(self, which: str, *, kill_at: float | None = None) -> bool:
        """One export; whether it was killed, which is done when kill_at bytes are written."""
        before, old = self.leftovers(), self._inode()
        order = [which, self.call, str(self.path), OPTIONS[self.call]]
        child = self._ask(json.dumps(order))
        if kill_at is not None:
            self._wait(kill_at, before, old)
            os.kill(child, signal.SIGKILL)
        return self._ask("") == signal.SIGKILL

    def _ask(self, line: str) -> int:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def leftovers(self) -> set[Path]:
        return set(self.path.parent.glob(f".*{SUFFIX}"))

    def _inode(self) -> int | None:
        return self.path.stat().st_ino if self.path.exists() else None

    def _wait(self, kill_at: float, before: set[Path], old: int | None) -> None:
        """Until the temporary file has grown so far, or has taken the place of the old one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self._inode() != old or self.grown(before) >= kill_at:
                return
        pytest.fail("the export did not grow so far in time")

    def grown(self, before: set[Path]) -> int:
        """The size of what is being written, or was when its writer died; 0 for nothing."""
        for path in self.leftovers() - before:
            with contextlib.suppress(FileNotFoundError):  # it is in its place by now
                return path.stat().st_size
        return 0


def content(path: Path) -> object:
    """What a whole file holds; raises for a broken one."""
    if path.suffix == ".csv":
        return path.read_bytes()
    return pq.read_table(path).replace_schema_metadata(None)


@pytest.mark.parametrize("call", OPTIONS)
def test_a_killed_export_leaves_the_old_file_or_the_new_one(call, tmp_path, record_property):
    path = tmp_path / f"out.{call.removeprefix('to_')}"
    chance = random.Random(33)
    with Exporter(call, path) as exporter:
        exporter.export("new")
        new, total = content(path), path.stat().st_size
        exporter.export("old")
        old, before = content(path), path.read_bytes()
        assert old != new
        found = {"old": 0, "new": 0, "killed": 0, "half written": 0}
        for tries in range(20 * KILLS):
            # on a busy machine many a kill comes when all is written: more of them, then
            if tries >= KILLS and found["half written"] >= ENOUGH:
                break
            path.write_bytes(before)
            dead = exporter.leftovers()
            found["killed"] += exporter.export("new", kill_at=chance.uniform(1, total * 1.1))
            found["half written"] += 0 < exporter.grown(dead) < total
            held = content(path)
            found["new" if held == new else "old"] += 1
            assert held in (old, new)
        for leftover in exporter.leftovers():
            os.utime(leftover, (0, 0))
        assert not exporter.export("new")
    record_property("kills", found)
    print(f"\n{call}: {found}")
    assert found["half written"] >= ENOUGH
    assert list(tmp_path.iterdir()) == [path]  # what the dead ones left is gone
