"""What stands where in one journal file: found by one pass over its bytes, grown by appends."""

from __future__ import annotations

from binascii import unhexlify
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from llmframe.journal import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.system.files import FileOps

CHUNK = 1 << 20  # bytes read at once
TOO_LONG = b"too long"  # in the place of a line that is
_KEPT = lines.LONGEST + 2 * CHUNK


class Group(NamedTuple):
    """Lines that stand one behind the other in a file.

    begin, end: their offsets. is_tail: it is what no newline ends, one line, maybe empty.
    """

    begin: int
    lines: list[bytes]
    end: int
    is_tail: bool = False


def whole_lines(ops: FileOps, fd: int, at: int) -> Iterator[Group]:
    """All that a file holds from offset ``at``; the tail comes last, once.

    In the place of a line far longer than any of ours stands TOO_LONG.
    """
    parts: list[bytes] = []
    begin = at
    while chunk := ops.read_at(fd, CHUNK, at):
        at += len(chunk)
        if at - begin > _KEPT:
            parts = []
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                continue
            yield Group(begin, [TOO_LONG], at - len(chunk))
            begin = at - len(chunk)
        head, newline, rest = chunk.rpartition(b"\n")
        if newline:
            yield Group(begin, b"".join((*parts, head)).split(b"\n"), at - len(rest))
            parts, begin = [rest], at - len(rest)
        else:
            parts.append(chunk)
    tail = b"".join(parts) if at - begin <= _KEPT else TOO_LONG
    yield Group(begin, [tail], at, is_tail=True)


class Index:
    """Offsets by key.

    answers: key -> offset of its newest answer. tasks: digest -> offset, in order of appearance.
    damaged: lines that were ours and are not whole. foreign: lines of JSON that are not ours.
    end: offset up to which whole lines were read. tail: what stands behind it, without a newline.
    """

    __slots__ = ("_tail_end", "answers", "damaged", "end", "foreign", "tail", "tasks")

    def __init__(self) -> None:
        self.answers: dict[bytes, int] = {}
        self.tasks: dict[bytes, int] = {}
        self.damaged = 0
        self.foreign = 0
        self.end = 0
        self.tail = b""
        self._tail_end = 0

    def read_on(self, ops: FileOps, fd: int) -> None:
        """Take in what was added to the file since the last call."""
        for group in whole_lines(ops, fd, self.end):
            if group.is_tail:
                self.tail, self._tail_end = group.lines[0], group.end
                self._take_tail(group.begin)
            else:
                self._take(group.lines, group.begin)
                self.end = group.end

    def end_tail(self) -> bool:
        """Count the tail as a line whose newline is written next; False if there is no tail."""
        tail, self.tail = self.tail, b""
        if tail:
            self._take([tail], self.end)
            self.end = self._tail_end + 1
        return bool(tail)

    def _take(self, group: list[bytes], at: int) -> None:
        # 100,000 lines in 0.1 s: no calls but C's, and lines.py's offsets as numbers
        answers = self.answers
        for line in group:
            try:
                if crc32(line[53:], crc32(line[:45])) != int(line[45:53], 16):
                    self._take_odd(line, at)
                elif line[78:79] == b"v":
                    answers[unhexlify(line[6:38])] = at
                elif line[78:79] == b"s":
                    self.tasks.setdefault(unhexlify(line[6:38]), at)
            except ValueError:  # no hexadecimal digits where they belong
                self._take_odd(line, at)
            at += len(line) + 1

    def _take_odd(self, line: bytes, at: int) -> None:
        """A line that is not simply ours: blank, somebody else's, or damaged."""
        found = lines.salvage(line)
        self.damaged += found.damaged
        self.foreign += found.foreign
        for start, piece in found.whole:
            self._take([piece], at + start)

    def _take_tail(self, at: int) -> None:
        """Use what is whole in the tail; the rest is no damage: it may be just being written."""
        for start, piece in lines.pieces(self.tail):
            self._take([piece], at + start)
