"""CPU of the journal: append, index 100,000 and a million lines, get, ids, read without a frame.

``python tests/benchmarks/journal.py [rows]`` prints one figure a line beside its bound, and
what reaches the disk and when.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
import tracemalloc
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from llmframe.frame.checkpoints import read_checkpoint
from llmframe.journal import Checkpoint, TaskInfo, open_checkpoint
from llmframe.results import RowResult, Usage
from llmframe.system.files import FileOps

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = {
    "fields": [
        {"name": "intent", "kind": "choice", "labels": ["refund", "delivery", "other"]},
        {"name": "urgency", "kind": "choice", "labels": ["low", "mid", "high"]},
        {"name": "summary", "kind": "text"},
    ]
}
TASK = TaskInfo(bytes(16), {"model": "m", "instructions": "Tag this record.", "fields": FIELDS})
ANYTHING = float("inf")


def keys(count: int) -> list[bytes]:
    """count distinct 16-byte keys."""
    return [blake2b(b"%d" % n, digest_size=16).digest() for n in range(count)]


def answer(n: int) -> RowResult:
    """An answer as the main job gets it: some 290 bytes a line."""
    summary = f"客户要求退款：order {n} arrived broken, two weeks late, no reply from support"
    values = {"intent": "refund", "urgency": "high", "summary": summary}
    return RowResult("ok", values, attempts=1, usage=Usage(312, 41))


def cpu(work: Callable[[], object]) -> float:
    """Seconds of this process's CPU, all threads."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def opened(path: Path, ops: FileOps | None = None) -> Checkpoint:
    """The file as a run opens it."""
    checkpoint = open_checkpoint(path, TASK, folder=path.parent / "default", ops=ops or FileOps())
    assert checkpoint is not None
    return checkpoint


def tell(what: str, figure: float, unit: str, bound: float) -> None:
    """One line of the report."""
    judged = "" if bound == ANYTHING else f"(<= {bound:g}) {'' if figure <= bound else 'OVER'}"
    print(f"{what:<42} {figure:8.2f} {unit:<4} {judged}")


def measure(path: Path, count: int, bound: float) -> None:
    """Write, reopen and read count rows."""
    all_keys, results = keys(count), [answer(n) for n in range(1000)]
    checkpoint = opened(path)

    def append() -> None:
        for n, key in enumerate(all_keys):
            checkpoint.append(key, results[n % 1000], id=n)

    def get() -> None:
        for key in all_keys:
            again.get(key)

    row = cpu(append) / count * 1e6
    tell(f"append, a row of {count:,}", row, "us", 25)
    tell("close", cpu(checkpoint.close), "s", ANYTHING)
    tell("bytes, a row", path.stat().st_size / count, "B", ANYTHING)
    begin = cpu(lambda: opened(path).close())
    tell(f"open {count:,} lines", begin, "s", bound)
    again = opened(path)
    tell(f"get, a row of {count:,}", cpu(get) / count * 1e6, "us", 15)
    ids = cpu(lambda: again.has_id(all_keys[0], 0))
    tell(f"ids of {count:,} lines", ids, "s", 5 * bound)
    again.close()
    tell("read_checkpoint", cpu(lambda: read_checkpoint(path)), "s", 30e-6 * count)


def measure_memory(path: Path, count: int) -> None:
    """What the index keeps of a file that is open, and what reading it without a frame takes."""
    tracemalloc.start()
    checkpoint = opened(path)
    held = tracemalloc.get_traced_memory()[0] / count
    tell("index, a row", held, "B", 200)
    checkpoint.close()
    tracemalloc.reset_peak()
    begin = tracemalloc.get_traced_memory()[0]
    read_checkpoint(path)
    peak = (tracemalloc.get_traced_memory()[1] - begin) / count
    tell("read_checkpoint, peak, a row", peak, "B", 1500)
    tracemalloc.stop()


class WatchedDisk(FileOps):
    """Notes when and in which thread each fsync begins and ends."""

    def __init__(self) -> None:
        self.syncs: list[tuple[float, float, int]] = []

    def fsync(self, fd: int) -> None:
        """The real one, noted."""
        begin = time.monotonic()
        super().fsync(fd)
        self.syncs.append((begin, time.monotonic(), threading.get_ident()))


def measure_durability(path: Path, seconds: float) -> None:
    """A row a millisecond: from each write to the begin and the end of the fsync that covers it."""
    disk, writes = WatchedDisk(), []
    checkpoint = opened(path, disk)
    disk.syncs.clear()  # of making the file
    until = time.monotonic() + seconds
    for n, key in enumerate(keys(int(seconds * 2000))):
        if time.monotonic() > until:
            break
        checkpoint.append(key, answer(n))
        writes.append(time.monotonic())
        time.sleep(0.001)
    checkpoint.close()
    covering = [next(sync for sync in disk.syncs if sync[0] >= at) for at in writes]
    begins = [1000 * (sync[0] - at) for sync, at in zip(covering, writes, strict=True)]
    ends = [1000 * (sync[1] - at) for sync, at in zip(covering, writes, strict=True)]
    here = sum(thread == threading.get_ident() for _, _, thread in disk.syncs)
    tell("fsyncs in the row's thread", here, "", 0)
    tell("write to begin of its fsync, most", max(begins), "ms", 100)
    tell("write to end of its fsync, median", statistics.median(ends), "ms", ANYTHING)
    tell("write to end of its fsync, most", max(ends), "ms", ANYTHING)


def main() -> None:
    """Both sizes, or the size given."""
    sizes = [int(size) for size in sys.argv[1:]] or [100_000, 1_000_000]
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.jsonl"
            measure(path, count, 0.2 * count / 100_000 if count < 1_000_000 else 3e-6 * count)
            measure_memory(path, count)
    with tempfile.TemporaryDirectory() as folder:
        measure_durability(Path(folder) / "file.jsonl", seconds=3)


if __name__ == "__main__":
    main()
