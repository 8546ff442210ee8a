"""CPU of the journal: append, index 100,000 and a million lines, get, ids.

``python tests/benchmarks/journal.py [rows]`` prints one figure a line beside its bound.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from llmframe.engine.journal import Checkpoint, TaskInfo, open_checkpoint
from llmframe.engine.results import RowResult, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = TaskInfo(bytes(16), {"model": "m", "instructions": "Tag this customer-service record."})


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


def opened(path: Path) -> Checkpoint:
    """The file as a run opens it."""
    checkpoint = open_checkpoint(path, TASK, folder=path.parent / "default")
    assert checkpoint is not None
    return checkpoint


def tell(what: str, figure: float, unit: str, bound: float) -> None:
    """One line of the report."""
    print(f"{what:<34} {figure:8.2f} {unit:<4} (<= {bound:g}) {'' if figure <= bound else 'OVER'}")


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

    tell(f"append, a row of {count:,}", cpu(append) / count * 1e6, "us", 25)
    checkpoint.close()
    tell(f"index {count:,} lines", cpu(lambda: opened(path).close()), "s", bound)
    again = opened(path)
    tell(f"get, a row of {count:,}", cpu(get) / count * 1e6, "us", 8)
    tell(f"ids of {count:,} lines", cpu(lambda: again.has_id(all_keys[0], 0)), "s", 5 * bound)
    again.close()


def measure_memory(path: Path, count: int) -> None:
    """What the index keeps of a file that is open."""
    tracemalloc.start()
    checkpoint = opened(path)
    tell("index, a row", tracemalloc.get_traced_memory()[0] / count, "B", 200)
    tracemalloc.stop()
    checkpoint.close()


def main() -> None:
    """Both sizes, or the size given."""
    sizes = [int(size) for size in sys.argv[1:]] or [100_000, 1_000_000]
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.jsonl"
            measure(path, count, 0.2 * count / 100_000 if count < 1_000_000 else 3e-6 * count)
            measure_memory(path, count)


if __name__ == "__main__":
    main()
