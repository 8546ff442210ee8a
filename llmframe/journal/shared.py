"""One journal per real path in a process, shared by its runs."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

from llmframe.journal.store import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from llmframe.system.files import FileOps

# A second handle of ours would be refused the lock that the first one holds. On network drives,
# where it becomes a POSIX lock, closing that handle would even drop the first one's lock.
_stores: dict[str, Journal] = {}
_registry = threading.RLock()


def open_store(path: Path, ops: FileOps, *, write: bool) -> Journal:
    """The process's journal of this file, with all lines indexed.

    path: its folder may be a link, the file itself may not.
    Raises OSError, and for writing LockHeldError if another process writes the file.
    """
    # Only the folder: a planted link in the file's place must fail at open, not be followed.
    path = path.parent.resolve() / path.name
    with _registry:
        store = _stores.get(str(path))
        if store is None or not store.is_current():
            store = Journal(path, ops, write=write)
        try:
            if write:
                store.start_writing()
                if not store.is_current():
                    # It was replaced just before its lock was taken: write the new file.
                    store.close()
                    _stores.pop(str(path), None)
                    store = Journal(path, ops, write=True)
            store.read_on()
        except BaseException:
            # Others that use it go on: what failed was this opening.
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
    """Give a journal back; the last user closes it."""
    with _registry:
        store.users -= 1
        if store.users:
            return
        # If the file was replaced, its path may belong to the new file's journal by now.
        if _stores.get(str(store.path)) is store:
            del _stores[str(store.path)]
        store.close()


def leave_to_parent() -> None:
    """In a forked child: leave open journals to the parent; opening again takes the lock."""
    global _registry  # another thread of the parent may have held it at the fork
    _registry = threading.RLock()
    for store in _stores.values():
        store.leave_to_parent()
    _stores.clear()


@atexit.register
def flush_all() -> None:
    """At the end of the process: bring all lines to the disk."""
    for store in tuple(_stores.values()):
        store.flush(2.0)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=leave_to_parent)
