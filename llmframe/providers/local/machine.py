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
UNKNOWN_MEMORY = 4 << 30  # bytes taken for free where nobody tells
UNKNOWN_TOKEN = 128 << 10  # bytes of a token's context, of a model with seven billion weights


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a model is served. slots: requests at once; context: tokens of each, in and out."""

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
    """Bytes that can be had without swapping, as far as the system tells."""
    told = [found for found in (_of_system(), _of_container()) if found is not None]
    return min(told, default=UNKNOWN_MEMORY)


def _of_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _half_of_all()
    told = dict(line.split(":", 1) for line in lines)
    kilobytes = told.get("MemAvailable", "").split()
    return int(kilobytes[0]) << 10 if kilobytes else None


def _half_of_all() -> int | None:
    """Where only the whole is told (macOS), half of it is taken for free."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _of_container() -> int | None:
    """What a control group leaves; None where there is none, or it sets no limit.

    Pages of files that were read count as used there, and can be had all the same.
    """
    try:
        left = int(_container("memory.max")) - int(_container("memory.current"))
    except ValueError:  # also "max"
        return None
    pages = re.search(r"^inactive_file (\d+)$", _container("memory.stat"), re.M)
    return max(0, left + (int(pages[1]) if pages else 0))


def _container(name: str) -> str:
    """What a file of the process's control group (version 2) says; "" where there is none."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
