"""Checkpoint: what a run asks of the journal, for one task, over all the files it may read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmframe.engine.journal import lines, places
from llmframe.engine.journal.files import SYSTEM, FileOps
from llmframe.engine.journal.lock import LockHeldError
from llmframe.engine.journal.store import Journal, close_journal, open_journal
from llmframe.errors import CheckpointError, OutputError, PlanError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmframe.engine.results import RowResult


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
    notes: sentences for the person, made while opening.
    """

    def __init__(
        self, task: TaskInfo, path: Path, journal: Journal | None, read: list[Journal]
    ) -> None:
        self.path = path
        self.task = task
        self.notes: list[str] = []
        self._journal = journal
        self._all = read if journal is None else [journal, *read]
        self._durable = True
        self._listeners: list[Callable[[CheckpointError], object]] = []
        self._open = True
        if journal is not None:
            journal.listeners.append(self._sync_failed)

    @property
    def damaged(self) -> int:
        """Damaged lines in all files read; they are skipped and their rows asked again."""
        return sum(journal.index.damaged for journal in self._all)

    @property
    def answers(self) -> int:
        """Answers at hand, of this task and of others that share its files."""
        return sum(len(journal.index.answers) for journal in self._all)

    @property
    def durable(self) -> bool:
        """False once a write or an fsync has failed: some answers may be in memory only."""
        return self._durable

    @property
    def journal(self) -> Journal | None:
        """The file that is written; None if read only."""
        return self._journal

    def get(self, key: bytes) -> RowResult | None:
        """The answer to a key (16 bytes), None without one. Raises CheckpointError."""
        for journal in self._all:
            try:
                found = journal.get(key)
            except OSError as exc:
                raise self._cannot("read", exc, journal.path) from exc
            if found is not None:
                return found
        return None

    def append(
        self,
        key: bytes,
        result: RowResult,
        *,
        error_info: dict[str, Any] | None = None,
        id: object = None,  # noqa: A002 - the option's name
        text: str | None = None,
    ) -> None:
        """Keep one row's result; once this returns, the death of the process cannot lose it.

        error_info: a failure's kind, status, code. id: the row's id, None for none.
        text: the row's text, only where the person asked to keep it.
        Raises CheckpointError if it cannot be written, OutputError if the values are not JSON.
        """
        now = int(time.time())
        body = lines.row(result, now=now, error_info=error_info, row_id=id, text=text)
        self._append(key, body, is_answer=result.status == "ok", row_id=id)

    def append_adopted(self, key: bytes, values: dict[str, Any], row_id: object) -> None:
        """Keep an answer taken over from a plain file. Raises as append."""
        body = lines.adopted(values, row_id, now=int(time.time()))
        self._append(key, body, is_answer=True, row_id=row_id)

    def append_id(self, key: bytes, row_id: object) -> None:
        """Note that the row of this id has the answer of this key. Raises CheckpointError."""
        self._append(key, lines.shared(row_id), is_answer=False, row_id=row_id)

    def has_id(self, key: bytes, row_id: object) -> bool:
        """Whether that is noted already; ids are compared as text. Raises CheckpointError."""
        try:
            return any(journal.has_id(key, lines.id_text(row_id)) for journal in self._all)
        except OSError as exc:
            raise self._cannot("read", exc, self.path) from exc

    def on_error(self, callback: Callable[[CheckpointError], object]) -> None:
        """Call back, from another thread, when what was written could not reach the disk."""
        self._listeners.append(callback)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until all lines are on the disk; False if they are not."""
        return self._journal is None or self._journal.flush(timeout)

    def close(self) -> None:
        """Bring all to the disk; the last user of a file gives its lock back."""
        if not self._open:
            return
        self._open = False
        for journal in self._all:
            close_journal(journal)
        if self._journal is not None:
            self._journal.listeners.remove(self._sync_failed)

    def _append(self, key: bytes, body: dict[str, Any], *, is_answer: bool, row_id: object) -> None:
        try:
            line = lines.encode(key, self.task.short, body)
        except (TypeError, ValueError, RecursionError) as exc:
            raise OutputError(f"the answer cannot be stored as JSON: {exc}") from exc
        journal = self._journal
        if journal is None:
            raise CheckpointError(f"the checkpoint {self.path} was opened for reading only")
        try:
            if self.task.digest not in journal.index.tasks:
                self._append_task(journal)
            id_text = None if row_id is None else lines.id_text(row_id)
            journal.append(line, key, is_answer=is_answer, row_id=id_text)
        except OSError as exc:
            self._durable = False
            raise self._cannot("write", exc, self.path) from exc

    def _append_task(self, journal: Journal) -> None:
        body = lines.settings(self.task.settings, now=int(time.time()))
        line = lines.encode(self.task.digest, self.task.short, body)
        journal.append_task(line, self.task.digest)

    def _sync_failed(self, error: OSError) -> None:
        self._durable = False
        failure = self._cannot("save", error, self.path)
        for listener in tuple(self._listeners):
            listener(failure)

    def _cannot(self, do: str, error: OSError, path: Path) -> CheckpointError:
        return CheckpointError(
            f"cannot {do} the checkpoint {path}: {error.strerror or error}. {self.answers} answers "
            "are in it and safe; the newest may be only in the returned frame. Cure the cause "
            "(free space? folder still there?) and run the cell again, or pass checkpoint=<path "
            "on another disk>."
        )


def open_checkpoint(
    where: bool | str | os.PathLike[str],
    task: TaskInfo,
    *,
    folder: Path = places.DEFAULT_FOLDER,
    read_only: bool = False,
    ops: FileOps = SYSTEM,
) -> Checkpoint | None:
    """Open a task's checkpoint; ``.notes`` says what the person should know.

    where: True for the default file, a path (written; the default files are read too),
        False for none. folder: the default folder. read_only: nothing is made or locked.
    Raises PlanError if the place cannot be used, CheckpointError if another process writes a
    person's own path or a file cannot be read.
    """
    if where is False:
        return None
    if where is not True and not isinstance(where, (str, os.PathLike)):
        raise PlanError(f"checkpoint must be True, False or a path, not {where!r}")
    return _Opening(task, places.default_folders(folder), ops).open(where, read_only=read_only)


class _Opening:
    """The steps of opening."""

    def __init__(self, task: TaskInfo, folders: list[Path], ops: FileOps) -> None:
        self.task = task
        self.stem = task.digest.hex()
        self.folders = folders
        self.ops = ops
        self.notes: list[str] = []

    def open(self, where: bool | str | os.PathLike[str], *, read_only: bool) -> Checkpoint:
        own = None if isinstance(where, bool) else places.explicit_path(where)
        journal = None
        if not read_only:
            journal = self.write_default() if own is None else self.write_own(own)
        path = own or self.folders[0] / f"{self.stem}.jsonl"
        path = path if journal is None else journal.path
        read = self.read_others([] if own is None else [own], journal)
        checkpoint = Checkpoint(self.task, path, journal, read)
        checkpoint.notes += self.notes + _about_lines(checkpoint)
        return checkpoint

    def write_own(self, path: Path) -> Journal:
        """A person's own path, or an error."""
        try:
            places.make_parents(path, self.ops)
            journal = open_journal(path, self.ops, write=True)
        except LockHeldError as exc:
            raise CheckpointError(
                f"the checkpoint {path} is being written by {_process(exc.pid)}. Nothing was "
                "sent. Wait until it ends (or restart that kernel), pass another path, or "
                "checkpoint=False."
            ) from exc
        except OSError as exc:
            raise PlanError(
                f"the checkpoint {path} cannot be written: {exc.strerror or exc}. Nothing was "
                "sent. Pass a path in a folder of yours, or checkpoint=False."
            ) from exc
        self.check_is_ours(journal)
        if not journal.locked:
            self.notes.append(_no_lock(path))
        return journal

    def check_is_ours(self, journal: Journal) -> None:
        """A person's table must not get our lines only because its path was mistyped."""
        index = journal.index
        if index.damaged and not (index.answers or index.tasks or index.foreign):
            close_journal(journal)
            raise PlanError(
                f"{journal.path} exists and is no checkpoint: it holds no line of JSON. Nothing "
                "was sent and the file is as it was. Pass a new path."
            )

    def write_default(self) -> Journal:
        """The default file; another name where it is held; the cache folder as the last."""
        reasons = []
        for folder in self.folders:
            try:
                journal = self.write_in(folder)
            except OSError as exc:
                reasons.append(f"{folder} cannot be written ({exc.strerror or exc})")
                continue
            if reasons:
                self.notes.append(f"{reasons[0]}; answers are kept in {journal.path} instead.")
            if not journal.locked:
                self.notes.append(_no_lock(journal.path))
            return journal
        raise PlanError(
            f"no checkpoint can be kept: {'; '.join(reasons)}. Nothing was sent. Pass "
            "checkpoint=<path in a folder of yours>, or checkpoint=False."
        )

    def write_in(self, folder: Path) -> Journal:
        """Raises OSError if the folder cannot be used."""
        places.make_folder(folder, self.ops)
        held: list[LockHeldError] = []
        for path in places.default_files(folder, self.stem):
            try:
                journal = open_journal(path, self.ops, write=True)
            except LockHeldError as exc:
                held.append(exc)
                continue
            if held:
                self.notes.append(
                    f"{held[0].path} is being written by {_process(held[0].pid)}; this run writes "
                    f"{path.name} beside it and reads both."
                )
            return journal
        raise OSError(f"all files of the task are held, the first by {_process(held[0].pid)}")

    def read_others(self, own: list[Path], journal: Journal | None) -> list[Journal]:
        """Every other file that may hold answers to this task."""
        others = []
        for path in [*own, *places.task_files(self.folders, self.stem)]:
            if journal is not None and path.parent.resolve() / path.name == journal.path:
                continue
            try:
                others.append(open_journal(path, self.ops, write=False))
            except FileNotFoundError:
                continue
            except OSError as exc:
                self.notes.append(f"{path} cannot be read ({exc.strerror or exc}) and is left out.")
        return others


def _process(pid: int | None) -> str:
    return "another process" if pid is None else f"process {pid}"


def _no_lock(path: Path) -> str:
    return f"{path.parent} knows no file locks: do not run two notebooks on {path.name} at once."


def _about_lines(checkpoint: Checkpoint) -> list[str]:
    notes = []
    if checkpoint.damaged:
        notes.append(
            f"{checkpoint.damaged} damaged lines of {checkpoint.path} were skipped; their rows are "
            f"asked again. {checkpoint.answers} answers are whole."
        )
    return notes
