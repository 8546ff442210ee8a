"""Bringing what was written to the disk a moment later, in a thread: the disk holds up no row."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SYNC_DELAY = 0.05  # seconds from a write to the start of its sync; more writes join meanwhile
CLOSE_TIMEOUT = 10.0  # seconds that close waits for the last sync of a hanging disk


class Syncer:
    """Calls ``sync`` at most SYNC_DELAY after a write, one call at a time, in a daemon thread.

    A write holds ``lock``, begins with ``check`` and ends with ``note``. The lock is a plain one
    of the interpreter's, which no interrupt between its steps leaves held.
    sync: brings all that was written to the disk, or raises OSError. on_error: called
    with that error, in the thread. release: called at the end, in the thread or where it never
    started.
    """

    def __init__(
        self,
        sync: Callable[[], None],
        on_error: Callable[[OSError], None],
        release: Callable[[], None],
    ) -> None:
        self._sync = sync
        self._on_error = on_error
        self._release = release
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._written = 0  # writes so far
        self._synced = 0  # of them, those a sync was tried for
        self._dirty = False  # something was written since the last sync began
        self._due = 0.0  # when the next sync shall begin
        self._ended = ""  # why nothing more can be written
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="llmframe-fsync", daemon=True)

    def start(self) -> None:
        """Begin. Raises RuntimeError where the system has no thread to spare."""
        self._thread.start()

    def check(self) -> None:
        """OSError where nothing more can be written. Under the lock."""
        if self._ended:
            raise OSError(errno.EBADF, self._ended)

    def note(self) -> None:
        """Something was written. Under the lock."""
        self._written += 1
        if not self._dirty:
            self._dirty = True
            self._due = time.monotonic() + SYNC_DELAY
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was written is on the disk; False if it is not, or not in time."""
        with self.lock:
            wanted = self._written
            self._due = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._synced >= wanted, timeout)
            return self._synced >= wanted and not self._failed

    def close(self) -> None:
        """Bring all to the disk, then release."""
        with self.lock:
            if self._ended:
                return
            self._ended = "it is closed"
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT)

    def leave_to_parent(self) -> None:
        """In a forked child, where the thread is not: nothing more can be written."""
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._ended = "it belongs to the process that this one was forked from"
        self._synced = self._written

    def _run(self) -> None:
        while self._wait_for_work():
            self._sync_once()
        self._release()

    def _wait_for_work(self) -> bool:
        """Wait until a sync is due; False at the end."""
        with self.lock:
            self._changed.wait_for(lambda: self._ended or self._dirty)
            while not self._ended and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._dirty

    def _sync_once(self) -> None:
        with self.lock:
            upto = self._written
            self._dirty = False
        error = self._try_sync()
        with self.lock:
            self._synced = upto
            self._failed = self._failed or error is not None
            self._changed.notify_all()
        if error is not None:
            self._on_error(error)

    def _try_sync(self) -> OSError | None:
        try:
            self._sync()
        except OSError as exc:
            return exc
        return None
