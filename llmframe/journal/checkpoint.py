"""Checkpoint: one task's answers in all the files that may hold them, for a run."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import lines
from llmframe.journal.batches import StoredBatch, read_batches
from llmframe.journal.expenses import Recalled, spent
from llmframe.journal.measured import newest_answers
from llmframe.journal.shared import close_store
from llmframe.journal.stored_tasks import StoredTask, tasks_in
from llmframe.journal.writer import CutOffError
from llmframe.results import RowResult, Usage, UsageSum
from llmframe.system.files import SYSTEM
from llmframe.system.host import what_to_repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from llmframe.journal.measured import Taken
    from llmframe.journal.store import Journal
    from llmframe.results import Answer

_log = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """The task without its rows.

    digest: 16 bytes; names the default file. settings: readable JSON, without secrets.
    earlier: digests of the same task in other spellings, whose files are read as well.
    server: the one on this machine that answers, by address and what it states of its model.
    form: of the input, as JSON: which columns the rows are made of. prompts: field -> the hash of
    its prompt, where the settings alone do not tell it.
    """

    digest: bytes
    settings: dict[str, Any]
    earlier: tuple[bytes, ...] = ()
    server: dict[str, Any] | None = None
    form: dict[str, Any] | None = None
    prompts: dict[str, str] | None = None

    @property
    def short(self) -> str:
        """The 12 hex digits by which a line names its task."""
        return self.digest.hex()[:12]


class Checkpoint:
    """One task's answers: read from its files, written to one of them.

    Thread-safe and synchronous. path: the file that is written, or would be if read only.
    notes: sentences for the person, made while opening. written: the open file that is written,
    None if read only. read: the other files with answers to the task. complete: copy answers
    from them into the written file, which is a person's own. texts: copy the rows' texts, too.
    earlier: digests of the same task in other spellings, whose cost counts as this task's.
    durable: False once a write or an fsync has failed; some answers may be in memory only.
    Raises TypeError or ValueError if the task's settings are not JSON.
    """

    def __init__(
        self,
        task: TaskInfo,
        *,
        path: Path,
        written: Journal | None,
        read: list[Journal],
        complete: bool = False,
        texts: bool = False,
    ) -> None:
        self.path = path
        self.task = task
        self.earlier = task.earlier
        self.notes: list[str] = []
        self._task_line = lines.encode(
            task.digest,
            task.short,
            lines.settings(
                task.settings,
                now=int(time.time()),
                server=task.server,
                form=task.form,
                prompts=task.prompts,
            ),
        )
        self.written = written
        self.durable = True
        # The written file first: its answers need no copy.
        self._all = read if written is None else [written, *read]
        self._reused = Recalled()
        self._complete = complete and written is not None
        self._texts = texts
        self._listeners: list[Callable[[CheckpointError], object]] = []
        self._open = True
        if written is not None:
            written.listeners.append(self._sync_failed)

    @property
    def damaged(self) -> int:
        """Damaged lines in all files read; they are skipped, and their rows asked again."""
        return sum(store.index.damaged for store in self._all)

    @property
    def answers(self) -> int:
        """Answers in all files read, of this task and of others that share the files."""
        return sum(len(store.index.answers) for store in self._all)

    @property
    def recalled(self) -> UsageSum:
        """What the answers took that were read so far, each counted once; it goes on growing."""
        return self._reused.total

    def get(self, key: bytes) -> RowResult | None:
        """The answer to a key (16 bytes), None without one. Raises as get_all."""
        [answer] = self.get_all([key])
        return None if answer is None else answer[0]._replace(values=answer[1])

    def get_all(
        self, keys: Sequence[bytes], today: Sequence[bytes] | None = None
    ) -> list[Answer | None]:
        """The answers to many keys in their order, None without one.

        today: for keys of an earlier spelling of the task, what they are now.
        Raises CheckpointError if a file cannot be read, or a person's own cannot be written.
        """
        found: list[Answer | None] = [None] * len(keys)
        for store in self._all:
            missing = [at for at, answer in enumerate(found) if answer is None]
            try:
                wanted = [keys[at] for at in missing]
                answers = store.get_all(wanted)
            except OSError as exc:
                raise self._cannot("read", exc, store.path) from exc
            self._reused.add(store.path, map(store.index.answers.get, wanted), answers)
            for at, answer in zip(missing, answers, strict=True):
                if answer is not None:
                    found[at] = answer
                    if self._complete and store is not self.written:
                        self._copy(store, keys[at], to=(today or keys)[at])
        return found

    def _copy(self, store: Journal, key: bytes, *, to: bytes) -> None:
        """Copy an answer into the written file, under the key ``to``."""
        # None if it was damaged just now: then only the frame gets the answer.
        content = store.content(key) or {}
        # Without its id: every row's id gets a line of its own, see has_id.
        body = {name: content[name] for name in lines.ANSWERED if name in content}
        if body and self._texts and "text" in content:
            body["text"] = content["text"]
        if body:
            self._append(to, body, row_id=None)

    def holds(self, key: bytes) -> bool:
        """Whether a file has an answer to the key."""
        return any(key in store.index.answers for store in self._all)

    def tasks(self) -> Iterator[StoredTask]:
        """The tasks in all files read, with their settings. Raises CheckpointError."""
        try:
            for store in self._all:
                yield from tasks_in(store)
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def spent(self) -> UsageSum:
        """What all lines of the task took, in all files. Raises CheckpointError."""
        # a person's own file gets copies from other files, under the task's own name
        own = self.written.index.tasks if self.written is not None and self._complete else None
        also = [one.hex()[:12] for one in self.earlier if own is None or one in own]
        try:
            return spent(
                [store.path for store in self._all],
                {self.task.short, *also},
                SYSTEM,
                copied=self._complete,
            )
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def newest_answers(self) -> dict[bytes, Taken]:
        """What the task's newest answers took, by key, in the order in which they came."""
        tasks = {self.task.short, *(one.hex()[:12] for one in self.earlier)}
        return newest_answers([store.path for store in self._all], tasks, SYSTEM)

    def append(
        self,
        key: bytes,
        result: RowResult,
        *,
        id: object = None,  # noqa: A002 - the option's name
        text: str | None = None,
        vote: int = 0,
        of: bytes | None = None,
    ) -> None:
        """Keep one row's result; once this returns, the death of the process cannot lose it.

        id: the row's id, None for none. text: the row's text, for store_input=True.
        vote: which of the row's votes it is; of: the key of the first, None for that itself.
        Raises CheckpointError if it cannot be written, OutputError if the values are not JSON.
        """
        body = lines.row(result, now=int(time.time()), row_id=id, text=text, vote=vote, of=of)
        self._append(key, body, row_id=id)

    def append_unanswered(self, usage: Usage, *, unread: bool) -> None:
        """Keep what requests without an answer took. unread: an estimate. Raises as append."""
        body = lines.unanswered(usage, now=int(time.time()), unread=unread)
        self._append(self.task.digest, body, row_id=None)

    def append_batch(self, nonce: str, **noted: str) -> None:
        """Note something about a batch at the provider (see lines.py). Raises as append."""
        body = lines.batch(nonce, now=int(time.time()), **noted)
        self._append(self.task.digest, body, row_id=None)

    def open_batches(self) -> list[StoredBatch]:
        """The task's batches in all files that need something more. Raises CheckpointError."""
        known: dict[str, StoredBatch] = {}
        try:
            for store in self._all:
                owned = store is self.written
                read_batches(store.batch_lines(), self.task.short, owned=owned, known=known)
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc
        return [batch for batch in known.values() if batch.keys and not batch.end]

    def append_adopted(self, key: bytes, values: dict[str, Any], row_id: object) -> None:
        """Keep an answer taken over from a plain file. Raises as append."""
        body = lines.row(RowResult("ok", values), now=int(time.time()), row_id=row_id)
        body["adopted"] = True  # the reason why it cost nothing
        self._append(key, body, row_id=row_id)

    def append_id(self, key: bytes, row_id: object) -> None:
        """Note that the row of this id has the answer of this key. Raises CheckpointError."""
        self._append(key, {"id": lines.id_value(row_id)}, row_id=row_id)

    def has_id(self, key: bytes, row_id: object) -> bool:
        """True if that is noted already; ids are compared as text. Raises CheckpointError."""
        # A person's own file must hold every id itself: it may travel without the others.
        stores = self._all[:1] if self._complete else self._all
        try:
            return any(store.has_id(key, lines.id_text(row_id)) for store in stores)
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def load_ids(self) -> None:
        """Read the ids (0.2 s for 100,000 rows), so that has_id never waits.

        Raises CheckpointError.
        """
        try:
            for store in self._all:
                store.load_ids()
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def on_error(self, callback: Callable[[CheckpointError], object]) -> None:
        """Register a callback, called from another thread when lines cannot reach the disk."""
        self._listeners.append(callback)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until all lines are on the disk; False if they are not."""
        return self.written is None or self.written.flush(timeout)

    def close(self) -> None:
        """Bring all lines to the disk; the last user of a file releases its lock."""
        if not self._open:
            return
        self._open = False
        for store in self._all:
            close_store(store)
        if self.written is not None:
            self.written.listeners.remove(self._sync_failed)

    def _append(self, key: bytes, body: dict[str, Any], *, row_id: object) -> None:
        try:
            line = lines.encode(key, self.task.short, body)
        except (TypeError, ValueError, RecursionError) as exc:
            raise OutputError(f"the answer cannot be stored as JSON: {exc}") from exc
        store = self.written
        if store is None:
            raise CheckpointError(f"the checkpoint {self.path} was opened for reading only")
        try:
            # First, so that no row's line is ever without its task's, not even after a crash.
            store.append_task(self._task_line, self.task.digest)
            store.append(line, key, None if row_id is None else lines.id_text(row_id))
        except OSError as exc:
            self.durable = False
            raise self._cannot("write", exc, self.path) from exc

    def _sync_failed(self, error: OSError) -> None:
        self.durable = False
        failure = self._cannot("save", error, self.path)
        for listener in tuple(self._listeners):
            try:
                listener(failure)
            except Exception:  # noqa: BLE001 - a listener's fault must not end the saving thread
                _log.exception("could not report to the run that its checkpoint fails")

    def _cannot(self, do: str, error: OSError, path: Path) -> CheckpointError:
        # no disk to cure, and a new run makes a new file or goes on in what is left
        if error.errno == errno.ENOENT or isinstance(error, CutOffError):
            cut_off = isinstance(error, CutOffError)
            done = "cut off by another program" if cut_off else "deleted or replaced"
            return CheckpointError(
                f"the checkpoint {path} was {done} while this run used it. What it "
                f"answered is in the returned frame: save that, then run {what_to_repeat()} again."
            )
        kept = sum(len(store.index.answers) for store in self._all if store.path == path)
        return CheckpointError(
            f"cannot {do} the checkpoint {path}: {error.strerror or error}. {kept} answers "
            "are in it; the newest may be only in the returned frame. Cure the cause (is the disk "
            f"full?) and run {what_to_repeat()} again, or pass checkpoint=<path on another disk>."
        )
