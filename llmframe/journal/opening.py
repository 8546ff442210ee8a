"""Opening a checkpoint: which file is written, which are read, and what the person should know."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmframe.errors import CheckpointError, PlanError
from llmframe.journal import places
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
    folder: Path = places.DEFAULT_FOLDER,
    ids: bool = False,
    adopt: bool = False,
    texts: bool = False,
    read_only: bool = False,
    ops: FileOps = SYSTEM,
) -> Checkpoint | None:
    """Open a task's checkpoint; ``.notes`` says what the person should know.

    where: True for the default file, a path (written; the default files are read too), False
    for none. folder: the default folder. ids: has_id is going to be asked; what it needs is
    read now. adopt: plain lines are going to be taken over, so that no note says that they
    could be. texts: an own file takes over the rows' texts, too, where the default files have
    them. read_only: nothing is made or locked.
    Raises PlanError if the place cannot be used, CheckpointError if another process writes a
    person's own path or a file that must be read cannot be.
    """
    if where is False:
        return None
    if where is not True and not isinstance(where, (str, os.PathLike)):
        raise PlanError(f"checkpoint must be True, False or a path, not {where!r}")
    own = None if where is True else places.explicit_path(where)
    opening = _Opening(task, places.default_folders(folder), ops)
    try:
        checkpoint = opening.open(own, adopt=adopt, texts=texts, read_only=read_only)
        if ids:
            checkpoint.load_ids()
    except BaseException:
        for store in opening.opened:
            close_store(store)
        raise
    return checkpoint


class _Opening:
    """The steps, with what they have opened and noted so far."""

    def __init__(self, task: TaskInfo, folders: list[Path], ops: FileOps) -> None:
        self.task = task
        self.stem = task.digest.hex()
        self.folders = folders
        self.ops = ops
        self.notes: list[str] = []
        self.opened: list[Journal] = []

    def open(self, own: Path | None, *, adopt: bool, texts: bool, read_only: bool) -> Checkpoint:
        """own: the person's path, None for the default file."""
        peeked = None if own is None else self.peek(own)
        written = None
        if not read_only:
            written = self.write_default() if own is None else self.write_own(own)
            self.notes += written.notes
        read = self.read_others(own, written)
        if peeked is not None:
            # Not before: the writer reuses what the peek has indexed.
            self.give_back(peeked)
        path = own or self.folders[0] / f"{self.stem}.jsonl"
        path = path if written is None else written.path
        checkpoint = Checkpoint(
            self.task, path, written, read, complete=own is not None, texts=texts
        )
        for store in self.opened:
            self.note_lines(store, adopt=adopt)
        checkpoint.notes += self.notes
        return checkpoint

    def give_back(self, store: Journal) -> None:
        """Return what was opened once too often."""
        self.opened.remove(store)
        close_store(store)

    def use(self, path: Path, *, write: bool) -> Journal:
        """Raises OSError, LockHeldError."""
        store = open_store(path, self.ops, write=write)
        self.opened.append(store)
        return store

    def peek(self, path: Path) -> Journal | None:
        """A person's table must not get our lines only because a path was mistyped."""
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
        """A person's own path, or an error."""
        try:
            if path.parent == self.folders[0]:
                places.make_folder(path.parent, self.ops)
            places.make_parents(path, self.ops)
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
        """The default file; another name where it is held; the cache folder as the last."""
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
        """Raises OSError if the folder cannot be used."""
        places.make_folder(folder, self.ops)
        held: list[LockHeldError] = []
        for path in places.default_files(folder, self.stem):
            try:
                store = self.use(path, write=True)
            except LockHeldError as exc:
                held.append(exc)
                continue
            if held:
                self.notes.append(
                    f"{held[0].path} is being written by {held[0].holder}; this run writes "
                    f"{path.name} beside it and reads both."
                )
            return store
        raise OSError(f"all files of the task are held, the first by {held[0].holder}")

    def read_others(self, own: Path | None, written: Journal | None) -> list[Journal]:
        """Every other file that may hold answers to this task."""
        others: list[Journal] = []
        paths = places.task_files(self.folders, self.stem)
        for path in paths if own is None else [own, *paths]:
            try:
                store = self.use(path, write=False)
            except FileNotFoundError:
                continue
            except OSError as exc:
                self.notes.append(f"{path} cannot be read ({exc.strerror or exc}) and is left out.")
                continue
            if store is written:
                self.give_back(store)
            else:
                others.append(store)
        return others

    def note_lines(self, store: Journal, *, adopt: bool) -> None:
        """Note what a file holds beside whole lines of ours."""
        index = store.index
        if index.damaged:
            self.notes.append(
                f"damaged lines in {store.path}: {index.damaged}, skipped, their rows are "
                f"asked again; whole answers: {len(index.answers)}."
            )
        if index.foreign and not index.tasks and not adopt:
            self.notes.append(
                f"{store.path} holds {index.foreign} lines that llmframe did not write; they "
                "are not used. adopt=True with id=<column> takes over lines of "
                '{"id": ..., "<field>": ...}.'
            )
