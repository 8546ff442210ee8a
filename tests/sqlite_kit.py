"""What the tests of the SQLite store share: other processes over a database."""

from __future__ import annotations

import os
import subprocess
import sys

from journal_kit import ROOT

BEGIN = """
import os, sys
from pathlib import Path
from journal_kit import *
path = Path(sys.argv[1])
"""


class worker:  # noqa: N801 - used as a with block
    """A process that runs a script over a database."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", BEGIN + script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.child

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
