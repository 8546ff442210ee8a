"""Journal: a file of lines, its index and its writer; one process writes it."""

from __future__ import annotations

import contextlib
import threading
from binascii import unhexlify
from typing import TYPE_CHECKING, Any
from zlib import crc32

from llmframe.journal import lines
from llmframe.journal.index import FOREIGN, Index, Scan
from llmframe.journal.writer import Writer
from llmframe.system.files import READ, FileOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from llmframe.results import Answer

_WITH_ID = {lines.ANSWER, lines.FAILURE, lines.ID}
_BEGIN = b'{"k":"'
_NO_FILE = -1
_BLOCK = 1 << 14  # bytes read together: some 50 lines; rows are mostly asked for in their order
_FEW = 16  # answers that are read one by one
_BEFORE = _BLOCK // 4  # of them before the line asked for: answers come a little out of order


class Journal:
    """A journal file that is read and, if asked, written; all runs of a process share it.

    Thread-safe and synchronous. Once an append returns, the death of the process cannot lose its
    line; the disk has it a moment later. An answer beats a failure, the newest answer the others.
    users: how many hold it. listeners: called from another thread when an fsync fails.
    Every call raises OSError where the file fails. Opening for writing raises LockHeldError if
    another process writes the file.
    """

    def __init__(self, path: Path, ops: FileOps, *, write: bool) -> None:
        self.path = path
        self.index = Index()
        self.users = 0
        self.listeners: list[Callable[[OSError], None]] = []
        self._ops = ops
        self._ids: set[bytes] | None = None
        self._block = (0, b"")  # the offset of the bytes read last, and the bytes
        self._checked = (0, b"")  # the same of whole lines that were read together
        self._changing = threading.RLock()
        self._writer = Writer(path, ops, self._report) if write else None
        self._fd = _NO_FILE
        try:
            self._fd = ops.open(path, READ)
            self._is_named = ops.is_at(self._fd, path)  # some mounted drives number files anew
        except BaseException:
            self.close()
            raise

    def is_current(self) -> bool:
        """False once the file was deleted, or another one stands at its path."""
        return not self._is_named or self._ops.is_at(self._fd, self.path)

    @property
    def locked(self) -> bool:
        """True while no other process can write the file, as far as the folder has locks."""
        return self._writer is not None and self._writer.locked

    def start_writing(self) -> None:
        """Become the file's one writer. Raises OSError, LockHeldError."""
        with self._changing:
            if self._writer is None:
                self._writer = Writer(self.path, self._ops, self._report)

    def read_on(self) -> None:
        """Index the lines that were added since. Raises OSError."""
        with self._changing:
            self.index.read_on(self._ops, self._fd)
            self._ids = None
            # A reader leaves the tail alone: its writer may be about to finish that line.
            if self._writer is not None and self.index.end_tail():
                self._writer.begin_with_newline()

    def is_strange(self) -> bool:
        """True if the file holds text, but no line of ours or of JSON. Raises OSError."""
        index, tail = self.index, self.index.tail
        if index.answers or index.tasks or index.foreign or not (index.damaged or tail):
            return False
        # Ours, too: a first line that is damaged, or that a crash has cut anywhere.
        begin = self._line_at(0)[: len(_BEGIN)]
        torn_at_once = not index.damaged and _BEGIN.startswith(begin)
        return begin != _BEGIN and not torn_at_once and lines.foreign(tail) is None

    def content(self, key: bytes) -> dict[str, Any] | None:
        """The newest answer to key as its line has it; None without one."""
        at = self.index.answers.get(key)
        return None if at is None else lines.read(self._line_at(at))

    def get_all(self, keys: Sequence[bytes]) -> Sequence[Answer | None]:
        """The newest answer to each key, None without one."""
        offsets = [*map(self.index.answers.get, keys)]
        known = [at for at in offsets if at is not None]
        if len(known) == len(keys):
            return self._read(keys, known)
        asked = [key for key, at in zip(keys, offsets, strict=True) if at is not None]
        found = iter(self._read(asked, known))
        return [None if at is None else next(found) for at in offsets]

    def _read(self, keys: Sequence[bytes], offsets: Sequence[int]) -> Sequence[Answer | None]:
        """The answers in the lines at these offsets: together where the lines are near."""
        if len(keys) >= _FEW:
            begin, block = self._checked_block(min(offsets))
            if max(offsets) >= begin + len(block):
                half = len(keys) // 2
                return [
                    *self._read(keys[:half], offsets[:half]),
                    *self._read(keys[half:], offsets[half:]),
                ]
            found = lines.answers(block, [at - begin for at in offsets], keys)
            if found is not None:
                return found
        return [*map(self._read_one, keys, offsets)]

    def _read_one(self, key: bytes, at: int) -> Answer | None:
        result = lines.to_result(lines.read(self._line_at(at)), key)
        if result is not None:
            return result._replace(values=None), result.values or {}
        # damaged since it was indexed: forget it, so that the row is asked
        with self._changing:
            self._block = (0, b"")
            self.index.damaged += 1
            if self.index.answers.get(key) == at:  # else another thread wrote a newer one
                del self.index.answers[key]
        return None

    def _checked_block(self, at: int) -> tuple[int, bytes]:
        """Whole lines around an offset, unchanged since their checksums were checked, or none."""
        begin, block = self._checked
        if not begin <= at < begin + len(block):
            begin, size, checksum = self.index.block_at(at)
            block = self._ops.read_at(self._fd, size, begin)
            if crc32(block) != checksum:
                block = b""
            self._checked = (begin, block)
        return begin, block

    def append(self, line: bytes, key: bytes, row_id: str | None) -> None:
        """Write one line, then index it. Raises OSError."""
        with self._changing:
            at = self._write(line)
            if line[lines.SORT] == lines.ANSWER:
                self.index.answers[key] = at
            elif line[lines.SORT] == lines.BATCH:
                self.index.batches.append(at)
            if row_id is not None and self._ids is not None:
                self._ids.add(_pair(key, row_id))

    def append_task(self, line: bytes, digest: bytes) -> None:
        """Write a task's line, unless the file has it. Raises OSError."""
        with self._changing:
            if digest not in self.index.tasks:
                self.index.tasks[digest] = self._write(line)

    def task_lines(self) -> Iterator[tuple[bytes, bytes]]:
        """Each task's digest and line, in file order. Raises OSError."""
        for digest, at in tuple(self.index.tasks.items()):
            yield digest, self._line_at(at)

    def batch_lines(self) -> Iterator[bytes]:
        """The lines about batches at the provider, in file order. Raises OSError."""
        return (self._line_at(at) for at in tuple(self.index.batches))

    def has_id(self, key: bytes, row_id: str) -> bool:
        """True if a line gives the row of this id this key. Raises OSError."""
        return _pair(key, row_id) in self.load_ids()

    def load_ids(self) -> set[bytes]:
        """All keys, each followed by an id it has; read once. Raises OSError."""
        with self._changing:
            if self._ids is None:
                found: set[bytes] = set()
                for _, sort, line in Scan(self._ops, self._fd):
                    # most files hold no id, and a task's settings may hold a field of that name
                    if sort not in _WITH_ID or b'"id":' not in line:
                        continue
                    with contextlib.suppress(ValueError):  # a forged line, with a right checksum
                        row_id = lines.id_bytes(line)
                        if row_id is not None:
                            found.add(unhexlify(line[lines.KEY]) + row_id)
                # Only now: an OSError above must not leave half of them.
                self._ids = found
            return self._ids

    def foreign_lines(self) -> Iterator[bytes]:
        """The lines of JSON that are not ours. Raises OSError."""
        return (line for _, sort, line in Scan(self._ops, self._fd) if sort == FOREIGN)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all lines are on the disk; False if they are not, or not in time."""
        return self._writer is None or self._writer.flush(timeout)

    def close(self) -> None:
        """Bring all lines to the disk and close the file."""
        if self._writer is not None:
            self._writer.close()
        with contextlib.suppress(OSError):  # nothing was written through it
            self._ops.close(self._fd)
        self._fd = _NO_FILE  # its number may soon be another file's

    def leave_to_parent(self) -> None:
        """In a forked child: only the parent goes on writing."""
        self._changing = threading.RLock()
        if self._writer is not None:
            self._writer.leave_to_parent()

    def _write(self, line: bytes) -> int:
        assert self._writer is not None
        at = self._writer.write(line)
        # A gap holds half a line of a failed write, or another process's lines on a drive without
        # locks: leave the end in front of it, so that the next read_on scans it.
        if at == self.index.end:
            self.index.end += len(line)
        return at

    def _line_at(self, at: int) -> bytes:
        """The line at an offset, without its newline."""
        begin, block = self._block
        end = block.find(b"\n", at - begin) if begin <= at else -1
        if end < 0:
            begin = max(0, at - _BEFORE)
            block = self._ops.read_at(self._fd, _BLOCK, begin)
            self._block = (begin, block)  # one step: other threads read it without a lock
            end = block.find(b"\n", at - begin)
        if end >= 0:
            return block[at - begin : end]
        # Longer than a block, or the tail: read on in ever larger pieces, which are not kept.
        found, size = b"", _BLOCK
        while block := self._ops.read_at(self._fd, size, at + len(found)):
            head, newline, _ = block.partition(b"\n")
            found += head
            if newline:
                break
            size = 2 * size
        return found

    def _report(self, error: OSError) -> None:
        for listener in tuple(self.listeners):
            listener(error)


def _pair(key: bytes, row_id: str) -> bytes:
    return key + row_id.encode(errors="surrogatepass")
