"""Open a checkpoint: choose the file to write and the files to read, and note what is odd."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import paths
from llmframe.journal.checkpoint import Checkpoint, TaskInfo
from llmframe.journal.shared import close_store, open_store
from llmframe.system.files import SYSTEM, FileOps
from llmframe.system.lock import LockHeldError

if TYPE_CHECKING:
    from pathlib import Path

    from llmframe.journal.store import Journal


def open_checkpoint(
    where: bool | str | os.PathLike[str],
    task: TaskInfo,
    *,
    folder: Path = paths.DEFAULT_FOLDER,
    ids: bool = False,
    adopt: bool = False,
    texts: bool = False,
    read_only: bool = False,
    ops: FileOps = SYSTEM,
) -> Checkpoint | None:
    """Open a task's checkpoint, with notes for the person.

    where: True for the default file, False for none, or a path, which is written while the
    default files are read, too. folder: the default folder. ids: read now what has_id needs.
    adopt: omit the note that plain lines could be taken over. texts: copy the rows' texts, too,
    from the default files into a person's own. read_only: make and lock nothing.
    Raises PlanError if the path cannot be used; CheckpointError if another process writes it, or
    a file cannot be read.
    """
    if where is False:
        return None
    if where is not True and not isinstance(where, (str, os.PathLike)):
        raise PlanError(f"checkpoint must be True, False or a path, not {where!r}")
    own = None if where is True else paths.explicit_path(where)
    stems = [digest.hex() for digest in (task.digest, *task.earlier)]
    opening = _Opening(task, paths.task_folders(folder, stems), ops)
    try:
        checkpoint = opening.open(own, texts=texts, read_only=read_only)
        opening.note_lines(adopt=adopt)
        if own is None and not read_only:
            opening.note_folder(checkpoint.path, here=paths.default_folders(folder))
        checkpoint.notes += opening.notes
        if ids:
            checkpoint.load_ids()
    except BaseException:
        for store in opening.opened:
            close_store(store)
        raise
    return checkpoint


class _Opening:
    """The steps of opening, with the files opened and the notes made so far."""

    def __init__(self, task: TaskInfo, folders: list[Path], ops: FileOps) -> None:
        self.task = task
        self.stem = task.digest.hex()
        self.folders = folders
        self.ops = ops
        self.notes: list[str] = []
        self.opened: list[Journal] = []

    def open(self, own: Path | None, *, texts: bool, read_only: bool) -> Checkpoint:
        """Open all files. own: the person's path, None for the default file."""
        peeked = None if own is None else self.peek(own)
        written = None
        if not read_only:
            written = self.write_default() if own is None else self.write_own(own)
            if not written.locked:
                self.notes.append(
                    f"{written.path.parent} has no file locks: do not run two notebooks on "
                    f"{written.path.name} at once."
                )
        # After the writing: a file that was held then may have answers by now.
        read = self.read_others(own, written)
        if peeked is not None:
            # Only now, so that the writer reuses the index that the peek has made.
            self.give_back(peeked)
        path = own or self.folders[0] / f"{self.stem}.jsonl"
        path = path if written is None else written.path
        return Checkpoint(
            self.task, path=path, written=written, read=read, complete=own is not None, texts=texts
        )

    def give_back(self, store: Journal) -> None:
        """Close a file that was opened twice."""
        self.opened.remove(store)
        close_store(store)

    def use(self, path: Path, *, write: bool) -> Journal:
        """Open a file and remember it. Raises OSError, LockHeldError."""
        store = open_store(path, self.ops, write=write)
        self.opened.append(store)
        return store

    def peek(self, path: Path) -> Journal | None:
        """A person's file, opened for reading; None if there is none. PlanError if not ours."""
        # Before it is written: a mistyped path must not append our lines to a table.
        try:
            store = self.use(path, write=False)
            is_strange = store.is_strange()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise PlanError(
                f"the checkpoint {path} cannot be used: {exc.strerror or exc}. Nothing was sent. "
                "Pass another path, or checkpoint=False."
            ) from exc
        if is_strange:
            raise PlanError(
                f"{path} exists and is no checkpoint: it holds no lines of JSON. Nothing was sent "
                "and the file is as it was. Pass a new path."
            )
        return store

    def write_own(self, path: Path) -> Journal:
        """Open a person's own path. Raises PlanError, CheckpointError."""
        try:
            # In our default folder it is ours to make, with its .gitignore; elsewhere theirs.
            if path.parent in self.folders:
                paths.make_folder(path.parent, self.ops)
            paths.make_parents(path, self.ops)
            return self.use(path, write=True)
        except LockHeldError as exc:
            raise CheckpointError(
                f"the checkpoint {path} is being written by {exc.holder}. Nothing was sent. Wait "
                "until it ends (or restart that kernel), pass another path, or checkpoint=False."
            ) from exc
        except OSError as exc:
            raise PlanError(
                f"the checkpoint {path} cannot be written: {exc.strerror or exc}. Nothing was "
                "sent. Pass a path in a folder of yours, or checkpoint=False."
            ) from exc

    def write_default(self) -> Journal:
        """Open the default file, in the cache folder if the default folder cannot be written."""
        reasons: list[str] = []
        for folder in self.folders:
            try:
                store = self.write_in(folder)
            except OSError as exc:
                reasons.append(f"{folder} cannot be written ({exc.strerror or exc})")
                continue
            self.notes += [f"{reason}; answers are kept in {store.path}." for reason in reasons]
            return store
        raise PlanError(
            f"no checkpoint can be kept: {'; '.join(reasons)}. Nothing was sent. Pass "
            "checkpoint=<path in a folder of yours>, or checkpoint=False."
        )

    def write_in(self, folder: Path) -> Journal:
        """Open the first file that no process holds. Raises OSError."""
        paths.make_folder(folder, self.ops)
        held: list[LockHeldError] = []
        for path in paths.default_files(folder, self.stem):
            try:
                store = self.use(path, write=True)
            except LockHeldError as exc:
                # Two kernels may run one task: each writes its own file and reads the other's.
                held.append(exc)
                continue
            if held:
                self.notes.append(
                    f"{held[0].path} is being written by {held[0].holder}; this run writes "
                    f"{path.name} beside it and reads both. What the other writes from now on "
                    "is not seen: rows that both ask are paid twice, and each counts its own cost. "
                    "If both fill the same rows, stop one and run it again once the other is done."
                )
            return store
        raise OSError(f"all files of the task are held, the first by {held[0].holder}")

    def read_others(self, own: Path | None, written: Journal | None) -> list[Journal]:
        """Open every other file that may hold answers to this task."""
        others: list[Journal] = []
        stems = [self.stem, *(digest.hex() for digest in self.task.earlier)]
        files = [path for stem in stems for path in paths.task_files(self.folders, stem)]
        for path in files if own is None else [own, *files]:
            try:
                store = self.use(path, write=False)
            except FileNotFoundError:
                continue
            except OSError as exc:  # its answers are paid again, which is no reason to refuse
                self.notes.append(f"{path} cannot be read ({exc.strerror or exc}) and is left out.")
                continue
            if store is written:
                self.give_back(store)
            else:
                others.append(store)
        return others

    def note_folder(self, written: Path, *, here: list[Path]) -> None:
        """Remember the folder that is written, and note it if it is a former directory's."""
        if self.folders[0] not in here and written.parent == self.folders[0]:
            self.notes.append(
                "This task began in another working directory: its answers are read from and "
                f"kept in {written}."
            )
        paths.remember_folder(written.parent)

    def note_lines(self, *, adopt: bool) -> None:
        """Note what the files contain other than whole lines of ours."""
        for store in self.opened:
            index = store.index
            if index.damaged:
                self.notes.append(
                    f"Damaged lines in {store.path}: {index.damaged}, skipped, their rows are "
                    f"asked again; whole answers: {len(index.answers)}."
                )
            # With a task in it the plain lines were taken over before, or left alone on purpose.
            if index.foreign and not index.tasks and not adopt:
                self.notes.append(
                    f"{store.path} holds {index.foreign} lines that llmframe did not write; they "
                    "are not used. adopt=True with id=<column> takes over lines of "
                    '{"id": ..., "<field>": ...}.'
                )
