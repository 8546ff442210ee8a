"""Which tasks the journal files hold, by the task lines in them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmframe.journal import lines
from llmframe.journal.shared import close_store, open_store
from llmframe.system.files import READ, SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from llmframe.journal.store import Journal

MOST = 200  # default files that are looked into, the newest: at 20 us each
LONGEST = 1 << 16  # bytes of a file's first line


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task in a file.

    settings: as its line has them, without secrets. server: the one on this machine that answers
    it, by ``address`` and what it states of its ``model``; {} where that is not noted.
    """

    path: Path
    digest: bytes
    settings: dict[str, Any]
    server: dict[str, Any] = field(default_factory=dict)


def first_tasks(folders: Iterable[Path]) -> list[StoredTask]:
    """The tasks of the default files in these folders, the newest first.

    Reads the beginning of each file, in which its only task stands; locks and indexes nothing.
    """
    files: list[tuple[float, Path]] = []
    for folder in folders:
        with contextlib.suppress(OSError):  # not there, or not ours to read
            files += [(path.stat().st_mtime, path) for path in folder.glob("*.jsonl")]
    found = (first_task(path) for _, path in sorted(files, reverse=True)[:MOST])
    return [task for task in found if task is not None]


def tasks_at(path: Path) -> list[StoredTask]:
    """The tasks in a file; none where it cannot be read."""
    try:
        store = open_store(path, SYSTEM, write=False)
    except OSError:
        return []
    try:
        return [*tasks_in(store)]
    except OSError:
        return []
    finally:
        close_store(store)


def tasks_in(store: Journal) -> Iterator[StoredTask]:
    """The tasks in an open file. Raises OSError."""
    for digest, line in store.task_lines():
        task = _task(store.path, line)
        if task is not None and task.digest == digest:
            yield task


def count_answers(path: Path, keys: Iterable[bytes]) -> int:
    """How many of the keys have an answer in a file; 0 where it cannot be read."""
    try:
        store = open_store(path, SYSTEM, write=False)
    except OSError:
        return 0
    try:
        return sum(key in store.index.answers for key in keys)
    finally:
        close_store(store)


def first_task(path: Path) -> StoredTask | None:
    """The task whose line is a file's first; None where there is none."""
    try:
        fd = SYSTEM.open(path, READ)
    except OSError:
        return None
    try:
        line, newline, _ = SYSTEM.read_at(fd, LONGEST, 0).partition(b"\n")
    except OSError:
        return None
    finally:
        SYSTEM.close(fd)
    return _task(path, line) if newline and line[lines.SORT] == lines.SETTINGS else None


def _task(path: Path, line: bytes) -> StoredTask | None:
    content = lines.read(line) or {}
    settings = content.get("settings")
    try:
        digest = bytes.fromhex(str(content.get("k")))
    except ValueError:  # forged
        return None
    server = content.get("server")
    server = server if isinstance(server, dict) else {}
    return StoredTask(path, digest, settings, server) if isinstance(settings, dict) else None
