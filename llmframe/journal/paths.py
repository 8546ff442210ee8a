"""Paths of journal files: default folder, fallback, siblings, a person's own path."""

from __future__ import annotations

import contextlib
import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.options.layers import on_reset
from llmframe.system.files import NEW, FileOps, is_odd_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_FOLDER = Path(".llmframe")
_DEFAULT_NAME = re.compile(r"([0-9a-f]{32})(\.\d+(?:-\d+)?)?\.jsonl")
_DATABASES = {".db", ".sqlite", ".sqlite3"}


def explicit_path(where: str | os.PathLike[str]) -> Path:
    """A person's own path, real and absolute.

    Raises PlanError if no checkpoint can be written there; opens nothing.
    """
    text = os.fsdecode(where)
    if not text.strip() or "\0" in text:
        raise PlanError(f"checkpoint={text!r} is not a path; give a file such as 'answers.jsonl'")
    try:
        # Two names of one file must give one path: by it the process finds its open journal.
        path = Path(os.path.realpath(Path(text).expanduser()))
        is_folder = path.is_dir() or text.endswith(("/", os.sep))
        odd = is_odd_file(path)
    except (OSError, RuntimeError) as exc:  # RuntimeError: a ~ without a home
        raise PlanError(f"checkpoint={text!r} cannot be used: {exc}") from exc
    if is_folder:
        raise PlanError(
            f"checkpoint={text!r} is a folder; give a file in it, such as "
            f"{str(Path(text) / 'answers.jsonl')!r}"
        )
    if path.suffix.lower() in _DATABASES:  # they were SQLite files once
        raise PlanError(
            f"checkpoint={text!r} names a database, and a checkpoint is a file of lines: give one "
            f"such as {str(Path(text).with_suffix('.jsonl'))!r}"
        )
    if odd:
        raise PlanError(f"checkpoint={text!r} is not a regular file; give another path")
    return path


def make_parents(path: Path, ops: FileOps) -> None:
    """Make the missing folders above a file, for their owner only. Raises OSError."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        ops.mkdir(folder)
        sync_folder(folder.parent, ops)


def make_folder(folder: Path, ops: FileOps) -> None:
    """Make a folder of ours, hidden from version control. Raises OSError."""
    make_parents(folder / "file", ops)
    ignore = folder / ".gitignore"
    try:
        fd = ops.open(ignore, NEW)
    except FileExistsError:  # a person may have edited it, to commit the answers
        return
    try:
        ops.write(fd, b"*\n")
    except OSError:
        ignore.unlink()  # an empty one would hide nothing, and stay
        raise
    finally:
        ops.close(fd)


def cache_folder(folder: Path) -> Path | None:
    """The fallback for a default folder that cannot be written; None if there is no home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            return None
    # One cache for all projects: without the folder's hash they would share their files.
    return base / "llmframe" / blake2b(os.fsencode(folder), digest_size=8).hexdigest()


def default_folders(folder: Path) -> list[Path]:
    """The default folder and its fallback."""
    with contextlib.suppress(OSError):  # the working directory was deleted
        folder = folder.absolute()
    fallback = cache_folder(folder)
    return [folder] if fallback is None else [folder, fallback]


_used: dict[Path, None] = {}  # default folders in which this process has kept answers


def remember_folder(folder: Path) -> None:
    """Note a default folder, to find it again after the working directory has changed."""
    _used.pop(_real(folder), None)
    _used[_real(folder)] = None


def forget_folders() -> None:
    """Forget what this process has used so far."""
    _used.clear()


on_reset.append(forget_folders)


def task_folders(folder: Path, stems: Sequence[str]) -> list[Path]:
    """The default folders of a task, the one to write first.

    folder: the default folder; a relative one changes with the working directory, so where the
    task has no file there, those follow that this process has used before. stems: of the task's
    files.
    """
    here = default_folders(folder)
    if folder.is_absolute() or any(task_files(here, stem) for stem in stems):
        return here
    before = former_folders(here)
    return [*(used for used in before if any(task_files([used], stem) for stem in stems)), *here]


def former_folders(here: Sequence[Path]) -> list[Path]:
    """Default folders that this process has used before, newest first, without those here."""
    known = {_real(one) for one in here}
    return [used for used in reversed(_used) if used not in known]


def _real(folder: Path) -> Path:
    with contextlib.suppress(OSError):  # the working directory was deleted
        return folder.resolve()
    return folder


def default_files(folder: Path, stem: str) -> Iterator[Path]:
    """A task's file in a default folder, then the names to try while others hold it."""
    yield folder / f"{stem}.jsonl"
    yield folder / f"{stem}.{os.getpid()}.jsonl"
    for number in range(2, 100):
        yield folder / f"{stem}.{os.getpid()}-{number}.jsonl"


def beside(path: Path) -> list[Path]:
    """The files of a default file's task in its folder, or another file alone."""
    named = _DEFAULT_NAME.fullmatch(path.name)
    return [path] if named is None else task_files([path.parent], named[1]) or [path]


def files_here(folder: Path) -> list[list[Path]]:
    """The checkpoint files of a default folder and its fallback, those of one task together."""
    found: dict[tuple[Path, str], list[Path]] = {}
    for each in default_folders(folder):
        with contextlib.suppress(OSError):  # not there, or not ours to read
            for path in sorted(each.glob("*.jsonl")):
                named = _DEFAULT_NAME.fullmatch(path.name)
                found.setdefault((each, path.name if named is None else named[1]), []).append(path)
    return [*found.values()]


def task_files(folders: list[Path], stem: str) -> list[Path]:
    """All files of a task in the default folders, oldest name first."""
    name = re.compile(re.escape(stem) + r"(\.\d+(-\d+)?)?\.jsonl")
    found: list[Path] = []
    for folder in folders:
        try:
            found += sorted(file for file in folder.iterdir() if name.fullmatch(file.name))
        except OSError:  # not there, or not ours to read: nothing to reuse
            continue
    return found
