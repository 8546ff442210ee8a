"""Compaction: a journal file without the lines that count no more."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import lines
from llmframe.journal.database import is_database
from llmframe.journal.index import CHUNK, whole_lines
from llmframe.journal.places import explicit_path
from llmframe.journal.shared import open_stores
from llmframe.system.files import NEW, READ, SYSTEM, FileOps, sync_folder, write_all
from llmframe.system.lock import LockHeldError, take_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOREIGN = b""


def compact(checkpoint: str | os.PathLike[str], ops: FileOps = SYSTEM) -> int:
    """Rewrite a journal without what counts no more; the bytes saved.

    Task lines, the newest answer (else failure) of each key, every id and all lines of others
    stay, in their order; damaged lines go. Whenever it fails or is killed, the old file or the
    new one stands there whole.
    Raises PlanError where there is no journal, CheckpointError where it is in use or fails.
    """
    path = explicit_path(checkpoint)
    if is_database(path):
        raise PlanError(f"{path} is a database, which needs no compacting; nothing was changed.")
    if path in open_stores():
        raise _in_use(path, f"this process ({os.getpid()})")
    try:
        if not path.exists():
            raise PlanError(f"there is no checkpoint {path}; nothing was changed.")
        return _Compaction(path, ops).run()
    except LockHeldError as exc:
        raise _in_use(path, exc.holder) from exc
    except OSError as exc:
        raise CheckpointError(
            f"cannot compact {path}: {exc.strerror or exc}. It is whole and holds all answers."
        ) from exc


def _in_use(path: Path, holder: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is in use by {holder}; nothing was changed. Wait until its run ends (or restart "
        "that kernel), then compact it."
    )


class _Best(NamedTuple):
    """The line of a key that counts. at: its offset."""

    sort: bytes
    at: int
    row_id: bytes | None


class _Compaction:
    """Two readings of one file under its lock: what counts, then its copy."""

    def __init__(self, path: Path, ops: FileOps) -> None:
        self._path = path
        self._ops = ops
        self._best: dict[bytes, _Best] = {}  # by key and task
        self._ids: set[bytes] = set()  # key and id of each line about a row that stays
        self._tasks: set[bytes] = set()

    def run(self) -> int:
        lock = take_lock(self._path, self._ops)
        try:
            if not lock.sure:
                raise OSError(errno.ENOLCK, "its folder knows no file locks")
            fd = self._ops.open(self._path, READ)
            try:
                return self._rewrite(fd)
            finally:
                self._ops.close(fd)
        finally:
            self._ops.close(lock.fd)

    def _rewrite(self, fd: int) -> int:
        self._find_best(fd)
        new = self._path.with_name(self._path.name + ".compact")
        before = self._ops.size(fd)
        self._ops.unlink(new)  # a killed compaction's
        try:
            after = self._copy(fd, new)
            self._ops.replace(new, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                self._ops.unlink(new)
            raise
        sync_folder(self._path.parent, self._ops)
        return before - after

    def _find_best(self, fd: int) -> None:
        has_tasks = False
        for at, line, sort in self._parts(fd):
            has_tasks = has_tasks or sort == lines.SETTINGS
            if sort in (lines.ANSWER, lines.FAILURE):
                name, row_id = _name(line), lines.id_bytes(line)
                best = self._best.get(name)
                if sort == lines.ANSWER or best is None or best.sort == lines.FAILURE:
                    self._best[name] = _Best(sort, at, row_id)
        if not self._best and not has_tasks:
            raise PlanError(f"{self._path} is no checkpoint; nothing was changed.")
        self._ids = {
            name + best.row_id for name, best in self._best.items() if best.row_id is not None
        }

    def _copy(self, fd: int, new: Path) -> int:
        target = self._ops.open(new, NEW)
        try:
            size, block = 0, b""
            for at, line, sort in self._parts(fd):
                if kept := self._kept(at, line, sort):
                    block += kept + b"\n"
                if len(block) > CHUNK:
                    write_all(target, block, self._ops)
                    size, block = size + len(block), b""
            write_all(target, block, self._ops)
            self._ops.fsync(target)
            return size + len(block)
        finally:
            self._ops.close(target)

    def _kept(self, at: int, line: bytes, sort: bytes) -> bytes:
        """What becomes of a line: itself, the id in it, or nothing."""
        name = _name(line)
        if sort == lines.SETTINGS:
            is_first = name not in self._tasks
            self._tasks.add(name)
            return line if is_first else b""
        if sort == _FOREIGN or (sort != lines.ID and self._best[name].at == at):
            return line
        row_id = lines.id_bytes(line)
        if row_id is None or name + row_id in self._ids:
            return b""
        self._ids.add(name + row_id)
        return line if sort == lines.ID else _only_id(line)

    def _parts(self, fd: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Intact lines of ours and lines of others: offset, line, sort."""
        for group in whole_lines(self._ops, fd, 0):
            at = group.begin
            for line in group.lines:
                if lines.intact(line):
                    yield at, line, line[lines.SORT]
                else:
                    found = lines.salvage(line)
                    for start, piece in found.whole:
                        yield at + start, piece, piece[lines.SORT]
                    if found.foreign:
                        yield at, line, _FOREIGN
                at += len(line) + 1


def _name(line: bytes) -> bytes:
    return line[lines.KEY] + line[lines.TASK]


def _only_id(line: bytes) -> bytes:
    content = json.loads(line)
    key, row_id = bytes.fromhex(content["k"]), lines.shared(content["id"])
    return lines.encode(key, content["task"], row_id)[:-1]
