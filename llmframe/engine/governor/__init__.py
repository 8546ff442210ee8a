"""How fast: limits found and kept for all runs of one endpoint, key and model."""

from __future__ import annotations

import hashlib
import threading

from llmframe.engine.governor.gate import Binding
from llmframe.engine.governor.governor import Governor, auto_cap
from llmframe.engine.governor.ladder import TOP_RUNG, Rung
from llmframe.engine.governor.seat import Lease, Seat

__all__ = ["Binding", "Governor", "Lease", "Seat", "auto_cap", "forget_governors", "governor_for"]

_governors: dict[tuple[str, bytes, str], Governor] = {}
_lock = threading.Lock()


def governor_for(endpoint: str, api_key: str, model: str, *, rung: Rung = TOP_RUNG) -> Governor:
    """The process's governor of this endpoint, key and model; the key itself is not kept.

    rung: how requests are to be written at first, as far as that is known before any.
    """
    scope = (endpoint, hashlib.blake2b(api_key.encode(), digest_size=16).digest(), model)
    with _lock:
        governor = _governors.setdefault(scope, Governor())
    governor.begin_at(rung)
    return governor


def forget_governors() -> None:
    """A forked child has none of its parent's loops: it begins with fresh governors."""
    global _lock
    _lock = threading.Lock()
    _governors.clear()
