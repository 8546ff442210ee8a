"""What the tests of the SQLite store share: a look into a database, other processes over it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.kits.journal import ROOT

BEGIN = """
import os, sys
from pathlib import Path
from tests.kits.journal import *
path = Path(sys.argv[1])
"""


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    """What a statement finds in a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


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
