"""How fast: limits found and kept for all runs of one endpoint, key and model."""

from __future__ import annotations

import hashlib
import threading

from llmframe.engine.governor.gate import Binding, Learnt
from llmframe.engine.governor.governor import (
    FIRST_LIMIT,
    FIRST_LIMIT_AUTO,
    Governor,
    auto_cap,
)
from llmframe.engine.governor.share import Lease, Share
from llmframe.providers.dialect import FULL_DIALECT, Dialect
from llmframe.system.forks import after_fork

__all__ = [
    "FIRST_LIMIT",
    "FIRST_LIMIT_AUTO",
    "Binding",
    "Governor",
    "Learnt",
    "Lease",
    "Share",
    "auto_cap",
    "forget_governors",
    "governor_for",
]

_governors: dict[tuple[str, bytes, str], Governor] = {}
_lock = threading.Lock()


def governor_for(
    endpoint: str, api_key: str, model: str, *, dialect: Dialect = FULL_DIALECT
) -> Governor:
    """The process's governor of this endpoint, key and model; the key itself is not kept.

    dialect: of the first request, as far as it is known before any.
    """
    scope = (endpoint, hashlib.blake2b(api_key.encode(), digest_size=16).digest(), model)
    with _lock:
        governor = _governors.setdefault(scope, Governor())
    governor.dialects.begin_at(dialect)
    return governor


def forget_governors() -> None:
    """A forked child has none of its parent's loops: it begins with fresh governors."""
    global _lock
    _lock = threading.Lock()
    _governors.clear()


after_fork(forget_governors)
