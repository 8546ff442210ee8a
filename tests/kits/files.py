"""What the attacks on the journal share: what a file keeps, and other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.kits.journal import ROOT, QuickOps, answer, key, opened

if TYPE_CHECKING:
    from pathlib import Path


def kept(path: Path, folder: Path, numbers: range) -> list[int]:
    """The rows whose right answer is there; a wrong one fails the test."""
    found = []
    with opened(path, folder, ops=QuickOps()) as checkpoint:
        for n in numbers:
            if (result := checkpoint.get(key(n))) is not None:
                assert result == answer(n)
                found.append(n)
    return found


def child(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process, over the same tests and the same package."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
