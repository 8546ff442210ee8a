"""Recipes of docs/streams.md, run as they stand, by processes that are killed.

python -m tests.kits.recipes ORDER        # a JSON object: see Consumer
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llmframe as lf
from tests.kits.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "streams.md"


def code(heading: str) -> str:
    """The first block of Python under a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]


class Consumer:
    """A process that runs a recipe until it is killed.

    heading: of the recipe. call: the line that starts it. constants: of the recipe, set anew.
    """

    def __init__(
        self, heading: str, call: str, *, url: str, folder: Path, constants: dict[str, Any]
    ) -> None:
        order = {"heading": heading, "call": call, "url": url, "constants": constants}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kits.recipes", json.dumps(order)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )

    def kill_when(self, condition: Callable[[], object], timeout: float = 300.0) -> None:
        """Kill -9 as soon as the condition holds."""
        try:
            until(lambda: condition() or self._process.poll() is not None, timeout)
            assert self._process.poll() is None, "it came to an end of its own"
        finally:
            self._process.kill()
            assert self._process.wait() == -signal.SIGKILL


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of its own that keeps nothing; its URL, of a socket that only this user may open."""
    folder = Path(tempfile.mkdtemp(prefix="redis"))
    socket = folder / "s"
    settings = {"port": "0", "unixsocket": str(socket), "save": "", "dir": str(folder)}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def main(order: dict[str, Any]) -> None:
    """Run a recipe; see Consumer."""
    lf.configure(model="m", base_url=order["url"], concurrency=20)
    names: dict[str, Any] = {}
    exec(compile(code(order["heading"]), str(PAGE), "exec"), names)
    names |= order["constants"]
    exec(order["call"], names)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
