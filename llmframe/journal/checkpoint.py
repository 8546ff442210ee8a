"""Checkpoint: what a run asks of the journal, for one task, over all the files it may read."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import lines
from llmframe.journal.shared import close_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmframe.journal.store import Journal
    from llmframe.results import RowResult

_log = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What is asked, without the rows.

    digest: 16 bytes; names the default file. settings: readable JSON, without secrets.
    """

    digest: bytes
    settings: dict[str, Any]

    @property
    def short(self) -> str:
        """The 12 hex digits by which a line names its task."""
        return self.digest.hex()[:12]


class Checkpoint:
    """One task's answers: read from its files, written to one of them.

    Thread-safe and synchronous. path: the file that is written (that would be, if read only).
    notes: sentences for the person, made while opening. written: the file that is written, None
    if read only. read: the other files with answers to the task. complete: the written file
    is a person's own: answers that the others give are kept in it, too; texts: with the
    row's text where they have it.
    Raises TypeError or ValueError if the task's settings are not JSON.
    """

    def __init__(
        self,
        task: TaskInfo,
        path: Path,
        written: Journal | None,
        read: list[Journal],
        *,
        complete: bool = False,
        texts: bool = False,
    ) -> None:
        self.path = path
        self.task = task
        self.notes: list[str] = []
        self._task_line = lines.encode(
            task.digest, task.short, lines.settings(task.settings, now=int(time.time()))
        )
        self._written = written
        self._all = read if written is None else [written, *read]
        self._complete = complete and written is not None
        self._texts = texts
        self._durable = True
        self._listeners: list[Callable[[CheckpointError], object]] = []
        self._open = True
        if written is not None:
            written.listeners.append(self._sync_failed)

    @property
    def damaged(self) -> int:
        """Damaged lines in all files read; they are skipped and their rows asked again."""
        return sum(store.index.damaged for store in self._all)

    @property
    def answers(self) -> int:
        """Answers at hand, of this task and of others that share its files."""
        return sum(len(store.index.answers) for store in self._all)

    @property
    def durable(self) -> bool:
        """False once a write or an fsync has failed: some answers may be in memory only."""
        return self._durable

    @property
    def written(self) -> Journal | None:
        """The file that is written; None if read only."""
        return self._written

    def get(self, key: bytes) -> RowResult | None:
        """The answer to a key (16 bytes), None without one.

        Raises CheckpointError, also where it cannot be kept in a person's own file.
        """
        for store in self._all:
            try:
                found = store.get(key)
            except OSError as exc:
                raise self._cannot("read", exc, store.path) from exc
            if found is not None:
                if self._complete and store is not self._written:
                    self._take_over(key, store)
                return found
        return None

    def append(
        self,
        key: bytes,
        result: RowResult,
        *,
        id: object = None,  # noqa: A002 - the option's name
        text: str | None = None,
    ) -> None:
        """Keep one row's result; once this returns, the death of the process cannot lose it.

        id: the row's id, None for none. text: the row's text, where the person keeps it.
        Raises CheckpointError if it cannot be written, OutputError if the values are not JSON.
        """
        now = int(time.time())
        body = lines.row(result, now=now, row_id=id, text=text)
        self._append(key, body, row_id=id)

    def append_adopted(self, key: bytes, values: dict[str, Any], row_id: object) -> None:
        """Keep an answer taken over from a plain file. Raises as append."""
        body = lines.adopted(values, row_id, now=int(time.time()))
        self._append(key, body, row_id=row_id)

    def append_id(self, key: bytes, row_id: object) -> None:
        """Note that the row of this id has the answer of this key. Raises CheckpointError."""
        self._append(key, lines.shared(row_id), row_id=row_id)

    def has_id(self, key: bytes, row_id: object) -> bool:
        """Whether that is noted already; ids are compared as text. Raises CheckpointError."""
        stores = self._all[:1] if self._complete else self._all
        try:
            return any(store.has_id(key, lines.id_text(row_id)) for store in stores)
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def load_ids(self) -> None:
        """Read the ids now, once (0.2 s for 100,000 rows), so that has_id never waits.

        Raises CheckpointError.
        """
        try:
            for store in self._all:
                store.load_ids()
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def on_error(self, callback: Callable[[CheckpointError], object]) -> None:
        """Call back, from another thread, when what was written could not reach the disk."""
        self._listeners.append(callback)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until all lines are on the disk; False if they are not."""
        return self._written is None or self._written.flush(timeout)

    def close(self) -> None:
        """Bring all to the disk; the last user of a file gives its lock back."""
        if not self._open:
            return
        self._open = False
        for store in self._all:
            close_store(store)
        if self._written is not None:
            self._written.listeners.remove(self._sync_failed)

    def _take_over(self, key: bytes, store: Journal) -> None:
        """Keep another file's answer in the person's own, as it was written; ids come apart."""
        content = store.content(key)
        if content is None:  # spoilt in this very moment: the answer is in the frame
            return
        body = {name: content[name] for name in lines.ANSWERED if name in content}
        if self._texts and "text" in content:
            body["text"] = content["text"]
        self._append(key, body, row_id=None)

    def _append(self, key: bytes, body: dict[str, Any], *, row_id: object) -> None:
        try:
            line = lines.encode(key, self.task.short, body)
        except (TypeError, ValueError, RecursionError) as exc:
            raise OutputError(f"the answer cannot be stored as JSON: {exc}") from exc
        store = self._written
        if store is None:
            raise CheckpointError(f"the checkpoint {self.path} was opened for reading only")
        try:
            store.append_task(self._task_line, self.task.digest)
            store.append(line, key, None if row_id is None else lines.id_text(row_id))
        except OSError as exc:
            self._durable = False
            raise self._cannot("write", exc, self.path) from exc

    def _sync_failed(self, error: OSError) -> None:
        self._durable = False
        failure = self._cannot("save", error, self.path)
        for listener in tuple(self._listeners):
            try:
                listener(failure)
            except Exception:  # noqa: BLE001 - a listener's fault must not end the saving thread
                _log.exception("could not report to the run that its checkpoint fails")

    def _cannot(self, do: str, error: OSError, path: Path) -> CheckpointError:
        if error.errno == errno.ENOENT:
            return CheckpointError(
                f"the checkpoint {path} was deleted or replaced while this run used it. What it "
                "answered is in the returned frame: save that, then run the cell again."
            )
        kept = sum(len(store.index.answers) for store in self._all if store.path == path)
        return CheckpointError(
            f"cannot {do} the checkpoint {path}: {error.strerror or error}. {kept} answers "
            "are in it; the newest may be only in the returned frame. Cure the cause (is the disk "
            "full?) and run the cell again, or pass checkpoint=<path on another disk>."
        )
