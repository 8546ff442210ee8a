"""Programs that are killed: a nursery has everything loaded and forks one child after the other.

    child = nursery.tag(300, server.url, folder / "run.jsonl", concurrency=20)
    child.kill_when(lambda: size(path) > 5_000)
    nursery.tag(300, ...).end()          # goes on; its frame

A child is a process of its own that dies as any other, and costs 0.1 s instead of 1.5 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tests.kits.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds that a child lives at most, unless its order says otherwise
LONGEST = 3600.0  # seconds until a child does what it is waited for
NOBODY = 65534  # the user who may do nothing


class Nursery:
    """The process that forks; leaving the ``with`` block ends it.

    place: a folder of its own, where children leave their results.
    """

    def __init__(self, place: Path) -> None:
        self._results = place
        place.chmod(0o777)  # children may become nobody
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kits.children"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self._born = 0

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def tag(self, n: int, url: str, checkpoint: Path | bool, **options: Any) -> Child:
        """A child that tags n rows; options as in kit.tag, and those of ``_tag``."""
        self._born += 1
        result = self._results / f"{self._born}.pickle"
        place = str(checkpoint) if isinstance(checkpoint, Path) else checkpoint
        order = options | {"n": n, "url": url, "checkpoint": place, "result": str(result)}
        return Child(self, self.ask({"tag": order}), result)

    def ask(self, order: dict[str, Any]) -> int:
        """Give an order; its number."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Child:
    """One forked child."""

    def __init__(self, nursery: Nursery, pid: int, result: Path) -> None:
        self._nursery = nursery
        self._result = result
        self._status: int | None = None
        self.pid = pid

    def kill_when(self, condition: Callable[[], bool]) -> bool:
        """Kill -9 as soon as the condition holds; False if it came to its end before that."""
        has_ended = self._result.exists
        if until(lambda: condition() or (has_ended() and "ended"), LONGEST, 0.0005) == "ended":
            self.wait()
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(self._nursery.ask({"wait": self.pid}))
        return self._status

    def end(self) -> dict[str, Any]:
        """Wait for its end; its result: see ``_tag``."""
        assert self.wait() == 0, self._result.with_suffix(".txt").read_text()
        found: dict[str, Any] = pd.read_pickle(self._result)
        return found


# -- the other side ---------------------------------------------------------------------------


def main() -> None:
    """Load everything, then fork as ordered until nobody orders any more."""
    _load()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitpid(order["wait"], 0)[1]
        elif (answer := os.fork()) == 0:
            _live(order["tag"])
        print(answer, flush=True)


def _load() -> None:
    """What a call loads lazily, without beginning any thread."""
    import aiohttp  # noqa: F401
    import httpx2  # noqa: F401
    import openai.resources.chat  # noqa: F401

    from tests.kits import battery as kit  # noqa: F401


def _live(order: dict[str, Any]) -> None:
    """The child: tag, leave the result, and go without any farewell."""
    signal.alarm(order.pop("patience", PATIENCE))
    result = Path(order.pop("result"))
    status = 1
    try:
        found = _tag(**order)
        pd.to_pickle(found, result.with_suffix(".part"))
        result.with_suffix(".part").rename(result)
        status = 0
    except BaseException:  # noqa: BLE001 - the test reports it
        result.with_suffix(".txt").write_text(traceback.format_exc())
    os._exit(status)


def _tag(
    n: int,
    url: str,
    *,
    frame: str | None = None,
    file_limit: int | None = None,
    user: int | None = None,
    cwd: str | None = None,
    environment: dict[str, str] | None = None,
    hurry: dict[str, int] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Tag; returns frame, error and its kind, report, warnings.

    n: rows of kit.frame, or the first of a pickled frame. file_limit: bytes that a file may
    have at most. user: to become first. cwd: to go to first. environment: to be added. hurry: in
    batches of this size, see batch_lives.
    """
    import resource
    import warnings

    import llmframe as lf
    from tests.kits import battery as kit

    if hurry is not None:
        from tests.kits import batch_lives

        batch_lives.hurry(**hurry)
    os.environ.update(environment or {})
    if cwd is not None:
        os.chdir(cwd)
    if user is not None:
        _become(user)
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    df = numbered(n) if frame is None else pd.read_pickle(frame)[:n]
    error: Exception | None = None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            out = kit.tag(df, url, None, **options)
        except lf.errors.LLMFrameError as exc:
            error = exc
            out = exc.run.partial() if getattr(exc, "run", None) else None
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return {
        "frame": out,
        "error": None if error is None else type(error).__name__,
        "message": str(error or ""),
        "report": None if out is None else lf.last_run().report,
        "warnings": [str(each.message) for each in seen],
    }


def _become(user: int) -> None:
    """Give up all rights but this user's, after a rehearsal that loads what a run loads.

    Nobody can load modules from a clone or a venv that only its owner may read. So no child loads
    any afterwards, wherever it runs: a rehearsal that leaves one out fails on every machine.
    """
    from llmframe import testing
    from tests.kits import battery as kit

    with tempfile.TemporaryDirectory() as folder, testing.serve() as server:
        kit.tag(kit.frame(2), server, Path(folder))
    os.setgid(user)
    os.setuid(user)
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]


def numbered(n: int) -> pd.DataFrame:
    """kit.frame with a column of ids."""
    from tests.kits import battery as kit

    return kit.frame(n).assign(number=[f"R-{i}" for i in range(n)])


if __name__ == "__main__":
    main()
