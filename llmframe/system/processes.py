"""A function of the person's in processes of its own, so that it uses all cores.

Why no pool of a library: those of ``concurrent.futures`` and loky hold up the interpreter's end
until a busy process is done, and cannot tell which call a process died of. ``multiprocessing``
runs a script again that has no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.system.executor import run_in_daemon_thread
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from llmframe.system.worker import Outcome

WORKER = Path(__file__).with_name("worker.py")
DIED = "the process died"  # the error of a call that its process did not survive
LISTS = 4  # lists a process that a slice is cut into: they take unequal time
END = 2.0  # seconds until a process that was killed is given up
SHOWN = 200  # characters of an error


class DeadProcessError(Exception):
    """A process died before it answered."""


def pack(function: Callable[..., object], name: str) -> bytes:
    """A function with all that it refers to, as bytes. PlanError where it cannot be copied.

    name: of the option that it was given by.
    """
    try:
        import cloudpickle  # what a notebook or script defines is copied, not imported
    except ImportError as exc:
        raise PlanError(
            'workers="process" needs the package cloudpickle: pip install cloudpickle, or '
            "llmframe-notebook[workers]"
        ) from exc
    try:
        return pickle.dumps([*sys.path]) + bytes(cloudpickle.dumps(function))
    except Exception as exc:
        raise PlanError(
            f'workers="process" copies {name} into other processes, and that fails: '
            f"{cut(f'{type(exc).__name__}: {exc}', SHOWN)}. What cannot be copied (a connection, a "
            f'lock, an open file) must be made inside the function; or leave workers="process" out'
        ) from exc


def cores() -> int:
    """How many processes can compute at the same time here."""
    if hasattr(os, "sched_getaffinity"):  # a container may have fewer than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processes:
    """Processes that hold one function each, started when they are needed; lives on one loop.

    packed: the function, by ``pack``. name: of its option. most: processes at the same time.
    """

    def __init__(self, packed: bytes, name: str, most: int | None = None) -> None:
        self._packed = packed
        self._name = name
        self._most = most or cores()
        self._places = asyncio.Semaphore(self._most)
        self._idle: list[_Process] = []

    async def start(self) -> None:
        """Load the function in one process; PlanError where that fails."""
        try:
            await self._ask([])
        except DeadProcessError as exc:
            raise PlanError(
                f'workers="process" loads {self._name} in other processes, and that fails: {exc}. '
                "Can a new Python import all that it needs? If not, leave "
                'workers="process" out'
            ) from exc

    async def map(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Call the function with each list of arguments; the outcomes in their order.

        A process that dies costs only the call that it died of. A cancel kills what is busy.
        """
        size = -(-len(calls) // (LISTS * self._most)) or 1
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._call(calls[at : at + size]))
                for at in range(0, len(calls), size)
            ]
        return [outcome for task in tasks for outcome in task.result()]

    def close(self) -> None:
        """End the processes; those that are busy end with the cancel of their call."""
        while self._idle:
            self._idle.pop().end()

    async def _call(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        try:
            return await self._ask(calls)
        except DeadProcessError:
            if len(calls) == 1:
                return [(None, DIED)]
        # which of them it was is not known: each on its own
        return [outcome for call in calls for outcome in await self._call([call])]

    async def _ask(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        async with self._places:
            process = self._idle.pop() if self._idle else _Process(self._packed)
            try:
                outcomes = await run_in_daemon_thread(partial(process.ask, calls))
            except BaseException:
                process.end()  # nobody waits for it any more, or it is dead
                raise
            self._idle.append(process)
            return outcomes


@contextlib.asynccontextmanager
async def open_processes(packed: Mapping[str, bytes]) -> AsyncIterator[Mapping[str, Processes]]:
    """Processes for each function, by its option; they end with the block. Raises as ``start``."""
    opened = {name: Processes(function, name) for name, function in packed.items()}
    try:
        for each in opened.values():
            await each.start()
        yield opened
    finally:
        for each in opened.values():
            each.close()


class _Process:
    """One process, from its first call to its end. ``ask`` and ``end`` may overlap."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._busy = False
        self._ended = False

    def ask(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Call the function with each; blocks. DeadProcessError if the process dies of it."""
        with self._lock:
            if self._ended:
                raise DeadProcessError(DIED)
            self._busy = True
        try:
            return self._exchange(calls)
        except (EOFError, OSError, pickle.UnpicklingError) as exc:
            raise DeadProcessError(DIED) from exc
        finally:
            self._release()

    def _release(self) -> None:
        with self._lock:
            self._busy = False
            if self._ended:  # ``end`` left this to the thread that asked
                self._clear()

    def _exchange(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        if self._popen is None and (failure := self._start()):
            raise DeadProcessError(failure)
        if not calls:
            return []
        outcomes: list[Outcome] = self._send(pickle.dumps(calls))
        return outcomes

    def _start(self) -> str:
        """Start it; why it cannot load the function, "" if it can."""
        with self._lock:
            if self._ended:
                raise DeadProcessError(DIED)
            # -P: it must not find modules beside its own file
            command = [sys.executable, "-P", str(WORKER)]
            try:
                self._popen = subprocess.Popen(  # noqa: S603 - no shell, no words of others
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            except OSError as exc:
                raise DeadProcessError(str(exc)) from exc
        failure: str = self._send(self._packed)
        return failure

    def _send(self, request: bytes) -> Any:
        assert self._popen is not None
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(request)
        stdin.flush()
        return pickle.load(stdout)  # noqa: S301 - as above

    def end(self) -> None:
        """Kill it and leave no trace of it; where ``ask`` is busy it clears up as it returns."""
        with self._lock:
            self._ended = True
            if self._popen is not None:
                self._popen.kill()
            if not self._busy:
                self._clear()

    def _clear(self) -> None:
        """Close the pipes and reap the process, which is dead or dying."""
        if self._popen is None:
            return
        for pipe in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):  # what was not read by a dead process
                assert pipe is not None
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(END)
