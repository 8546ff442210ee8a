"""A server in a child process: options in over stdin, the ledger out over a private path."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from llmframe.testing.handle import HOST, Server
from llmframe.testing.ledger import Call, Ledger, Objects
from llmframe.testing.options import Changes, Options, portable

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0  # seconds for the child to end by itself, and for a private request


class RemoteLedger(Ledger):
    """The ledger of a server in another process; what has ended is fetched only once."""

    def __init__(self, port: int, private: str) -> None:
        super().__init__()
        self._port, self._private = port, private
        self._known = 0  # all calls before this one have ended
        self._final = False

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def calls(self) -> list[Call]:
        """All calls in order of arrival, as of now."""
        if not self._final:
            answer = self.post("ledger", {"since": self._known})
            self._calls[self._known :] = [Call(*fields) for fields in answer]
            self._known = next(
                (i for i, c in enumerate(self._calls) if i >= self._known and c.answered is None),
                len(self._calls),
            )
        return list(self._calls)

    @property
    def objects(self) -> Objects:
        """Files, batches and steps, as of now."""
        if not self._final:
            files, batches, steps = self.post("objects", {})
            self._objects = Objects(files, batches, Counter(steps))
        return super().objects

    def clear(self) -> None:
        """Forget all calls."""
        self.post("clear", {})
        self._calls, self._known = [], 0

    def finish(self) -> None:
        """Fetch for the last time: the server is about to end."""
        with contextlib.suppress(OSError, http.client.HTTPException):  # killed: keep what we know
            self.calls, self.objects  # noqa: B018
        self._final = True

    def post(self, what: str, value: Mapping[str, Any]) -> Any:
        """A private request. OSError when the server is gone."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
        try:
            connection.request("POST", f"{self._private}/{what}", json.dumps(value))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class ProcessServer(Server):
    """A server in a child process, which ends when this process does, however that ends."""

    def __init__(self, options: Mapping[str, Any], port: int, cpu: int | None) -> None:
        private = f"/-/{secrets.token_hex(16)}"
        order = {"options": portable(options), "port": port, "cpu": cpu, "private": private}
        self._options = Options().changed(options)
        self._child = _start()
        answer = _order(self._child, order)
        self.pid = self._child.pid
        self.url = f"http://{HOST}:{answer['port']}/v1"
        self._ledger = RemoteLedger(answer["port"], private)
        self._close = weakref.finalize(self, _stop, self._child)

    @property
    def ledger(self) -> Ledger:
        """Every request so far; each look fetches what is new."""
        return self._ledger

    def update(self, **changes: Unpack[Changes]) -> None:
        """Change options from the next request on."""
        self._options = self._options.changed(changes)
        self._ledger.post("update", portable(changes))

    def advance(self, seconds: float) -> None:
        """Move the clock of files and batches ahead."""
        self._ledger.post("advance", {"seconds": seconds})

    def close(self) -> None:
        """Stop serving; the ledger stays."""
        if self._close.alive:
            self._ledger.finish()
            self._close()


def _start() -> subprocess.Popen[str]:
    """The child, waiting for its order on stdin."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "llmframe.testing", "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # a Ctrl-C or a kernel's interrupt is not for the server
    )


def _order(child: subprocess.Popen[str], order: Mapping[str, Any]) -> dict[str, Any]:
    """Give the child its order and read its answer: the port it serves on."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(order) + "\n")
    child.stdin.flush()
    line = child.stdout.readline()
    child.stdout.close()
    answer: dict[str, Any] = json.loads(
        line or '{"failed": "the server process died at its start"}'
    )
    if "failed" in answer:
        _stop(child)
        raise OSError(answer["failed"])
    return answer


def _stop(child: subprocess.Popen[str]) -> None:
    """End the child: its stdin is closed, which it takes as its order to leave."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):  # it is gone already
        child.stdin.close()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
