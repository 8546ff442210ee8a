"""One journal per real path in a process: a lock dies when the process closes another handle."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from llmframe.journal.store import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from llmframe.system.files import FileOps

_stores: dict[str, Journal] = {}
_registry = threading.RLock()


def open_store(path: Path, ops: FileOps, *, write: bool) -> Journal:
    """The process's journal of this file, up to date.

    path: its folder part may hold links, the file itself may not be one.
    Raises OSError, and LockHeldError if it is to be written and another process does.
    """
    path = path.parent.resolve() / path.name
    with _registry:
        store = _stores.get(str(path))
        if store is None or not store.is_current():
            store = Journal(path, ops, write=write)
        try:
            if write:
                store.start_writing()
                if not store.is_current():
                    # The file was replaced just before its lock was taken.
                    store.close()
                    _stores.pop(str(path), None)
                    store = Journal(path, ops, write=True)
            store.read_on()
        except BaseException:
            if not store.users:
                store.close()
            raise
        store.users += 1
        _stores[str(path)] = store
        return store


def open_stores() -> list[Path]:
    """The files that this process holds now."""
    return [store.path for store in tuple(_stores.values())]


def close_store(store: Journal) -> None:
    """Return a journal; the last user's return closes it."""
    with _registry:
        store.users -= 1
        if store.users:
            return
        # A replaced file's journal is not the one that is registered under its path.
        if _stores.get(str(store.path)) is store:
            del _stores[str(store.path)]
        store.close()


def leave_to_parent() -> None:
    """In a forked child: what was open belongs to the parent; opening again asks for the lock."""
    global _registry  # another thread of the parent may have held it
    _registry = threading.RLock()
    for store in _stores.values():
        store.leave_to_parent()
    _stores.clear()


@atexit.register
def flush_all() -> None:
    """At the end of the process: bring all that was written to the disk."""
    for store in tuple(_stores.values()):
        store.flush(2.0)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=leave_to_parent)
