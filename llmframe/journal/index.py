"""The scan of a journal file's lines, and the index that it fills."""

from __future__ import annotations

from binascii import unhexlify
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING
from zlib import crc32

from llmframe.journal import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.system.files import FileOps

    # A line's offset, its sort (see lines.py, or FOREIGN), and the line without its newline.
    Found = tuple[int, bytes, bytes]

CHUNK = 1 << 20  # bytes read at once
FOREIGN = b""  # the sort of a line of JSON that is not ours
_TOO_LONG = b"too long"  # replaces a line that is
_KEPT = lines.LONGEST + 2 * CHUNK


class Scan:
    """All intact lines of ours and all foreign lines of a file, from an offset on; iterate once.

    damaged: damaged lines so far. blocks: offset, size and crc32 of the bytes that were checked
    together, each whole lines without the last newline. end: offset after the last newline.
    tail: the bytes after it, and tail_end: the offset of their end, both set when the iteration
    has ended.
    """

    def __init__(self, ops: FileOps, fd: int, at: int = 0) -> None:
        self.damaged = 0
        self.blocks: list[tuple[int, int, int]] = []
        self.end = at
        self.tail = b""
        self.tail_end = at
        self._ops = ops
        self._fd = fd

    def __iter__(self) -> Iterator[Found]:
        """Raises OSError."""
        # 100,000 lines in 0.1 s: it calls nothing but C, and has lines.py's offsets as numbers
        for at, group in self._groups():
            for line in group:
                try:
                    intact = crc32(line[53:], crc32(line[:45])) == int(line[45:53], 16)
                except ValueError:  # no hexadecimal digits where they belong
                    intact = False
                if intact:
                    yield at, line[78:79], line
                else:
                    salvage = lines.salvage(line)
                    self.damaged += salvage.damaged
                    yield from _parts(salvage, line, at)
                at += len(line) + 1
        # Another process may be writing the tail now: intact lines count, the rest is no damage.
        yield from _parts(lines.salvage(self.tail), self.tail, self.end)

    def _groups(self) -> Iterator[tuple[int, list[bytes]]]:
        """Consecutive lines with the offset of the first; leaves the tail in ``tail``."""
        parts: list[bytes] = []
        begin = at = self.end
        while chunk := self._ops.read_at(self._fd, CHUNK, at):
            at += len(chunk)
            if at - begin > _KEPT:
                # far longer than any line of ours: skip it without keeping it in memory
                parts = []
                _, newline, chunk = chunk.partition(b"\n")
                if not newline:
                    continue
                self.end = at - len(chunk)
                yield begin, [_TOO_LONG]
                begin = self.end
            # One split for a whole chunk: C is faster at it than a loop over the newlines.
            head, newline, rest = chunk.rpartition(b"\n")
            if newline:
                self.end = at - len(rest)
                block = b"".join((*parts, head))
                self.blocks.append((begin, len(block), crc32(block)))
                yield begin, block.split(b"\n")
                parts, begin = [rest], self.end
            else:
                parts.append(chunk)
        self.tail = b"".join(parts) if at - begin <= _KEPT else _TOO_LONG
        self.tail_end = at


def _parts(salvage: lines.Salvage, line: bytes, at: int) -> Iterator[Found]:
    for start, piece in salvage.whole:
        yield at + start, piece[lines.SORT], piece
    if salvage.foreign:
        yield at, FOREIGN, line


class Index:
    """Offsets by key.

    answers: key -> offset of its newest answer. tasks: digest -> offset, in order of appearance.
    batches: offsets of the lines about batches.
    damaged: lines of ours that are not intact. foreign: lines of JSON that are not ours.
    end: offset after the last newline. tail: the bytes after it.
    """

    def __init__(self) -> None:
        self.answers: dict[bytes, int] = {}
        self._blocks: list[tuple[int, int, int]] = []
        self.tasks: dict[bytes, int] = {}
        self.batches: list[int] = []
        self.damaged = 0
        self.foreign = 0
        self.end = 0
        self.tail = b""
        self._tail_end = 0

    def read_on(self, ops: FileOps, fd: int) -> None:
        """Index the lines added to the file since the last call. Raises OSError."""
        answers, foreign, forged = self.answers, 0, 0
        batches: list[int] = []
        scan = Scan(ops, fd, self.end)
        for at, sort, line in scan:
            try:
                if sort == b"v":
                    answers[unhexlify(line[6:38])] = at
                elif sort == b"s":
                    self.tasks.setdefault(unhexlify(line[6:38]), at)
                elif sort == b"b":
                    batches.append(at)
                elif sort == FOREIGN and at < scan.end:  # a tail is counted once it is a line
                    foreign += 1
            except ValueError:  # forged: its checksum is right, its key is not hexadecimal
                forged += 1
        # Only now: after an OSError within the scan the next call reads the same lines again.
        self._blocks += scan.blocks
        self.batches += batches
        self.damaged += scan.damaged + forged
        self.foreign += foreign
        self.end, self.tail, self._tail_end = scan.end, scan.tail, scan.tail_end

    def block_at(self, at: int) -> tuple[int, int, int]:
        """Offset, size and crc32 of the block of checked lines at an offset, or before it."""
        before = bisect_right(self._blocks, at, key=itemgetter(0))
        return self._blocks[before - 1] if before else (0, 0, 0)

    def end_tail(self) -> bool:
        """Count the tail as a line, as its newline is written next; False if there is no tail."""
        # Its intact lines are in the index already: the scan yields them.
        tail, self.tail = self.tail, b""
        if tail:
            salvage = lines.salvage(tail)
            self.damaged += salvage.damaged
            self.foreign += salvage.foreign
            self.end = self._tail_end + 1
        return bool(tail)
