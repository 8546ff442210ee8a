"""What this machine can do for a local model: cores, free memory, slots and their context."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.providers.local.gguf import Weights

SLOTS = 4  # more are hardly faster and each takes longer: 3.4, 4.1, 4.4 rows/s at 1, 4, 8
CONTEXT = 4096  # tokens of a slot: a long record, its instructions and an answer
LEAST_CONTEXT = 1024
SHARE = 0.25  # of the free memory that the slots' context may take
CGROUP = Path("/sys/fs/cgroup")
UNKNOWN_MEMORY = 4 << 30  # bytes, a guess for a system that does not report its free memory
UNKNOWN_TOKEN = 128 << 10  # bytes of a token's context, of a model with seven billion weights


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a model is served. slots: concurrent requests; context: tokens of each, in and out."""

    slots: int
    context: int
    threads: int


def fit(weights: Weights, *, need: int, cores: int, free: int) -> Sizes:
    """Slots, context and threads for a model.

    need: tokens of the longest prompt with its answer. free: bytes of memory. As many slots
    as work at once, with a context that holds what is needed, at least 4,096 tokens where the
    model was made for them; where memory is short, fewer slots before a smaller context.
    """
    most = weights.context or CONTEXT
    wanted = min(most, max(CONTEXT, -(-need // 1024) * 1024))
    room = int(free * SHARE) // (weights.token_bytes or UNKNOWN_TOKEN)  # tokens, of all slots
    slots = max(1, min(SLOTS, room // wanted))
    context = max(min(LEAST_CONTEXT, most), min(wanted, room // slots))
    return Sizes(slots, context, threads=cores if cores <= 2 else cores - 1)


def cores() -> int:
    """The cores that this process may use, by its affinity and its container's quota."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _container("cpu.max").partition(" ")  # microseconds, or "max"
    if quota.isdecimal() and period.isdecimal() and int(period):
        return max(1, min(seen or 1, math.ceil(int(quota) / int(period))))
    return seen or 1


def free_memory() -> int:
    """Bytes available without swapping, as far as system and container report."""
    known = [free for free in (_of_system(), _of_container()) if free is not None]
    return min(known, default=UNKNOWN_MEMORY)


def _of_system() -> int | None:
    # psutil knows Linux, macOS and Windows, but not the limits of a container, read below. It
    # comes with the extra local and with a new IPython; without it a careful guess must do.
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _of_container() -> int | None:
    """What a control group leaves; None where there is none, or it sets no limit.

    Cached pages of files count as used there, but the system drops them on demand.
    """
    try:
        left = int(_container("memory.max")) - int(_container("memory.current"))
    except ValueError:  # also "max"
        return None
    pages = re.search(r"^inactive_file (\d+)$", _container("memory.stat"), re.M)
    return max(0, left + (int(pages[1]) if pages else 0))


def _container(name: str) -> str:
    """The text of a file of the process's control group (version 2); "" where there is none."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
