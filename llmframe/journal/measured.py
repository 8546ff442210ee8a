"""What the newest answers of a task took, for an estimate of what the next ones will take."""

from __future__ import annotations

from binascii import unhexlify
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from llmframe.journal import lines
from llmframe.journal.index import Scan
from llmframe.system.files import READ, FileOps

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from llmframe.results import Usage

NEWEST = 2000  # answers: more make an estimate no better, and each has to be parsed
USUAL = 500  # bytes of a line; the end of a file is read first, as far as so many lines reach
ENOUGH = 200  # answers; fewer in the end of a file may be more in the whole


class Taken(NamedTuple):
    """What one answer took.

    usage: over all its requests. requests: how many. seconds: None where the line does not say,
    as in lines of earlier versions and of batches.
    """

    usage: Usage
    requests: int
    seconds: float | None


def newest_answers(
    paths: Sequence[Path], tasks: Collection[str], ops: FileOps, *, most: int = NEWEST
) -> dict[bytes, Taken]:
    """The newest answers of these tasks by key, in the order in which they were written.

    tasks: their first 12 digits. Answers whose tokens are not known are left out, and so are
    files that cannot be read.
    """
    wanted, found = frozenset(task.encode() for task in tasks), dict[bytes, tuple[float, Taken]]()
    for path in paths:
        try:
            newest = _last_lines(path, wanted, ops, most)
        except OSError:  # an estimate without them is better than none
            continue
        for line in newest:
            key, when, taken = _read(line)
            if taken is not None:
                found[key] = when, taken
    in_order = sorted(found.items(), key=lambda item: item[1][0])  # stable: as in the file
    return {key: taken for key, (_, taken) in in_order[-most:]}


def _last_lines(path: Path, tasks: Collection[bytes], ops: FileOps, most: int) -> deque[bytes]:
    """The last lines with answers of these tasks; the whole file is read only if need be."""
    fd = ops.open(path, READ)
    try:
        found: deque[bytes] = deque(maxlen=most)
        for at in dict.fromkeys((max(0, ops.size(fd) - most * USUAL), 0)):
            found.clear()
            for _, sort, line in Scan(ops, fd, at):  # what begins within a line skips its rest
                if sort == lines.ANSWER and line[lines.TASK] in tasks:
                    found.append(line)
            if len(found) >= ENOUGH:
                break
        return found
    finally:
        ops.close(fd)


def _read(line: bytes) -> tuple[bytes, float, Taken | None]:
    """An answer's key, its time (unix s), and what it took; None if that is not known."""
    try:
        key = unhexlify(line[lines.KEY])
    except ValueError:  # forged
        return b"", 0.0, None
    content = lines.read(line) or {}
    result, when, seconds = lines.to_result(content, key), content.get("t"), content.get("s")
    if result is None or result.usage.if_stated is None or not result.usage.tokens_in:
        return key, 0.0, None
    # files may be edited: a nan or a negative number must not reach the forecast
    known = isinstance(seconds, float) and 0 < seconds < float("inf")
    taken = Taken(result.usage, result.attempts, seconds if known else None)
    return key, when if isinstance(when, int | float) else 0.0, taken
