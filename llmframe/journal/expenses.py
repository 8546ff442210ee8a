"""What the answers that a run reads have cost, and all lines of its task."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from llmframe.journal import lines
from llmframe.journal.index import Scan
from llmframe.results import UsageSum
from llmframe.system.files import READ, FileOps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from llmframe.results import Answer

_BATCH = 4096  # lines whose usages are counted before they are parsed
_PAID = frozenset((lines.ANSWER, lines.FAILURE, lines.USAGE))
_BEGIN = b',"usage":{'
_SHORTEST = 7  # an answer's line has more than 2**7 bytes
# what a copy of an answer has in common with the line it was copied from
_PURCHASE = re.compile(rb'\{[^{}]*\},"n":[0-9]+,"t":[0-9]+').match


class Recalled:
    """Adds up what the answers took that a run has read, each of them once."""

    def __init__(self) -> None:
        self.total = UsageSum()
        # by file, a byte for each stretch of it: set where an answer begins that was counted.
        # A set of the keys would take a hundred bytes a row
        self._counted: dict[Path, bytearray] = {}

    def add(
        self, path: Path, offsets: Iterable[int | None], answers: Sequence[Answer | None]
    ) -> None:
        """Add answers of a file. offsets: where their lines begin."""
        read = {
            at >> _SHORTEST: answer[0]
            for at, answer in zip(offsets, answers, strict=True)
            if at is not None and answer is not None
        }
        counted = self._counted.setdefault(path, bytearray())
        counted.extend(bytes(max(0, max(read, default=0) + 1 - len(counted))))
        fresh = [result for at, result in read.items() if not counted[at]]
        for at in read:
            counted[at] = 1
        # answers that used the same are mostly one object
        results = {id(result): result for result in fresh}
        for same, times in Counter(map(id, fresh)).items():
            self.total.add(results[same].usage * times)


def spent(
    paths: Sequence[Path], tasks: Collection[str], ops: FileOps, *, copied: bool = False
) -> UsageSum:
    """What all lines of these tasks took: failures, lost requests, answers bought again too.

    tasks: their first 12 digits. copied: the first file has copies of answers in the others, which
    were paid for once. A file that cannot be read is left out; raises OSError if none can.
    """
    total, paid, failed = UsageSum(), set[bytes](), 0
    for number, path in enumerate(paths):
        try:
            found = _usages(path, frozenset(task.encode() for task in tasks), ops)
            if copied and len(paths) > 1:
                found = _once(found, paid, is_first=number == 0)
            _add(found, total)
        except OSError:
            failed += 1
            if failed == len(paths):
                raise
    return total


def _usages(path: Path, tasks: Collection[bytes], ops: FileOps) -> Iterator[tuple[bytes, bytes]]:
    """The key of each line that was paid for, and the line from its usage on."""
    fd = ops.open(path, READ)
    try:
        for _, sort, line in Scan(ops, fd):
            if sort in _PAID and line[lines.TASK] in tasks:
                # JSON escapes quotes within a text, and nothing after the usage holds an object
                # of that name: the last of these marks begins the line's own usage
                yield line[lines.KEY], line[line.rfind(_BEGIN) + len(_BEGIN) - 1 :]
    finally:
        ops.close(fd)


def _once(
    found: Iterator[tuple[bytes, bytes]], paid: set[bytes], *, is_first: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Without purchases that are copied in the first file."""
    for key, used in found:
        match = _PURCHASE(used)
        purchase = key + match[0] if match is not None else b""
        if is_first:
            paid.add(purchase)
        if is_first or not purchase or purchase not in paid:
            yield key, used


def _add(found: Iterator[tuple[bytes, bytes]], total: UsageSum) -> None:
    """Add the usages up; equal ones, which are many, are parsed once."""
    while batch := [used[: used.find(b"}") + 1] for _, used in islice(found, _BATCH)]:
        for text, times in Counter(batch).items():
            usage = lines.usage_in(text)
            if usage is not None:
                total.add(usage * times)
