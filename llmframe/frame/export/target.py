"""Paths of files to write and to read, checked before anything is written."""

from __future__ import annotations

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from llmframe.errors import PlanError
from llmframe.options.rules import holds_file_open

_WRITERS = ". Pandas' own writers take it: out.to_excel(writer, sheet_name=...), out.to_csv(handle)"
_WRITERS_OF = {
    ".csv": "to_csv",
    ".tsv": "to_csv",
    ".parquet": "to_parquet",
    ".jsonl": "to_jsonl",
    ".ndjson": "to_jsonl",
    ".xlsx": "to_excel",
}
LONGEST = 80  # characters of a path in a message


def needed(call: str, package: str, requirement: str) -> Any:
    """A package that only this call needs. PlanError with the command that installs it."""
    try:
        return import_module(package)
    except ImportError as exc:
        name = package.partition(".")[0]
        raise PlanError(
            f"{call} needs the package {name}, which is not installed here. Run "
            f'%pip install "{requirement}" in the notebook (python -m pip install '
            f'"{requirement}" elsewhere), then this call again; the frame is unharmed'
        ) from exc


def target_path(path: str | os.PathLike[str], *, call: str, suffix: str = "") -> Path:
    """The file that path means; ``~`` is the home folder.

    call: the one that writes. suffix: the end that its name must have. Raises PlanError
    unless it is the name of a file in an existing folder in which this user may write, and for
    the end of another format's names.
    """
    target = _local_path(path, writing=True)
    folder = target.parent
    try:
        if target.is_dir():
            raise PlanError(f"{target} is a folder; give the name of a file in it")
        if suffix and target.suffix.lower() != suffix:
            raise PlanError(f"{target.name!r} does not end in {suffix}, which programs go by")
        others = {_WRITERS_OF.get(end.lower(), call) for end in target.suffixes} - {call}
        if others:
            raise PlanError(
                f"{call} would write another format than the name {target.name!r} says; "
                f"out.llm.{others.pop()}({target.name!r}) writes that, or give another name"
            )
        if not folder.is_dir():
            raise PlanError(
                f"there is no folder {folder}; make it first: "
                f"pathlib.Path({str(folder)!r}).mkdir(parents=True), or give another path"
            )
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            raise PlanError(f"{target} is no ordinary file; give another path")
        # the folder must be writable, not only the file: a new file replaces the old one
        if not os.access(target.resolve().parent, os.W_OK | os.X_OK):
            raise PlanError(f"the folder {folder} may not be written by you; give another path")
    except OSError as exc:
        raise _unusable(target, exc) from exc
    return target


def existing_path(path: str | os.PathLike[str]) -> Path:
    """The file that path means. PlanError where there is none."""
    found = _local_path(path, writing=False)
    try:
        if found.is_dir():
            raise PlanError(f"{found} is a folder; give one file")
        if not found.exists():
            raise PlanError(f"there is no file {found}")
    except OSError as exc:
        raise _unusable(found, exc) from exc
    return found


def _unusable(path: Path, error: OSError) -> PlanError:
    return PlanError(f"the path {str(path)[:LONGEST]!r} cannot be used: {error.strerror or error}")


def _local_path(path: str | os.PathLike[str], *, writing: bool) -> Path:
    """A path of this machine. PlanError for all else, such as a buffer or an address."""
    kind = type(path).__name__
    if holds_file_open(path):
        raise PlanError(
            f"path is a {kind}, which holds a file open; give the name of a file of its own"
            f"{_WRITERS if writing else ''}"
        )
    if not isinstance(path, str | os.PathLike):
        raise PlanError(f"path is a {kind}; give the name of a file, as text or as a Path")
    text = os.fspath(path)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise PlanError(f"path={text!r} names no file")
    if "://" in text:
        raise PlanError(
            f"{text.partition('://')[0]}:// is not a place on this machine; write a file here "
            "and copy it, or use pandas' own writers, such as DataFrame.to_parquet"
        )
    if text.endswith(("/", os.sep)):
        raise PlanError(f"{text!r} is the name of a folder; give the name of a file in it")
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:  # "~name" of nobody here
        raise PlanError(f"the path {text[:LONGEST]!r} cannot be used: {exc}") from exc
