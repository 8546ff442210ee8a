"""What stands where in one journal file: found by one pass over its bytes, grown by appends."""

from __future__ import annotations

from binascii import unhexlify
from typing import TYPE_CHECKING
from zlib import crc32

from llmframe.engine.journal import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmframe.engine.journal.files import FileOps

CHUNK = 1 << 20  # bytes read at once


def whole_lines(ops: FileOps, fd: int, at: int) -> Iterator[tuple[int, list[bytes], bool]]:
    """The lines of a file from offset ``at``, in groups: (offset, lines, ended by a newline).

    Only the last group, the unended tail, is not ended by a newline; it may be one empty line.
    """
    parts: list[bytes] = []
    begin = at
    while chunk := ops.read_at(fd, CHUNK, at):
        at += len(chunk)
        head, newline, rest = chunk.rpartition(b"\n")
        if newline:
            yield begin, b"".join((*parts, head)).split(b"\n"), True
            parts, begin = [rest], at - len(rest)
        else:
            parts.append(chunk)
    yield begin, [b"".join(parts)], False


class Index:
    """Offsets by key.

    answers: key -> offset of its newest answer. tasks: digest -> offset, in order of appearance.
    damaged: lines that were ours and are not whole. foreign: lines of JSON that are not ours.
    end: offset up to which whole lines were read. tail: what stands behind it, without a newline.
    """

    __slots__ = ("answers", "damaged", "end", "foreign", "tail", "tasks")

    def __init__(self) -> None:
        self.answers: dict[bytes, int] = {}
        self.tasks: dict[bytes, int] = {}
        self.damaged = 0
        self.foreign = 0
        self.end = 0
        self.tail = b""

    def read_on(self, ops: FileOps, fd: int) -> None:
        """Take in what was added to the file since the last call."""
        for at, group, ended in whole_lines(ops, fd, self.end):
            if ended:
                self.end = self._take(group, at)
            else:
                self.tail = group[0]
                self._take_tail(at)

    def end_tail(self) -> bool:
        """Count the tail as a line whose newline is written next; False if there is no tail."""
        tail, self.tail = self.tail, b""
        if tail:
            self.end = self._take([tail], self.end)
        return bool(tail)

    def _take(self, group: list[bytes], at: int) -> int:
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
        return at

    def _take_odd(self, line: bytes, at: int) -> None:
        """A line that is not simply ours: blank, somebody else's, or damaged."""
        starts = lines.heads(line)
        if not starts:
            if lines.foreign(line) is not None:
                self.foreign += 1
            elif line.strip(_BLANK):
                self.damaged += 1
            return
        whole = list(lines.pieces(line))
        self.damaged += len(starts) - len(whole) + bool(line[: starts[0]].strip(_BLANK))
        for start, piece in whole:
            self._take([piece], at + start)

    def _take_tail(self, at: int) -> None:
        """Use what is whole in the tail; the rest is no damage: it may be just being written."""
        for start, piece in lines.pieces(self.tail):
            self._take([piece], at + start)


_BLANK = b"\xef\xbb\xbf \t\r\x00"  # byte order mark, blanks; NULs: a tail that a crash left
