"""A dead run's answers, read from its checkpoint without the frame that was tagged."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import CheckpointError, PlanError, warn
from llmframe.frame.columns import STATUSES
from llmframe.frame.typed_columns import builder, choices, floats, integers, texts
from llmframe.journal.paths import DEFAULT_FOLDER, beside, explicit_path
from llmframe.journal.reading import FoundTask, Reader
from llmframe.options.rules import holds_file_open
from llmframe.system.files import SYSTEM
from llmframe.task.fields import FieldSpec, Kind
from llmframe.task.trust.votes import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.journal.reading import Answers


def read_checkpoint(path: str | os.PathLike[str], task: str | None = None) -> pd.DataFrame:
    """See llmframe.read_checkpoint."""
    found, answers = read_task(path, task)
    if answers.hidden:
        warn(
            f"answers in {path} that are not shown: {answers.hidden}; their ids have a newer one "
            "(several rows have the same id, or a row's text has changed). Tag the frame again "
            "with the same call to have the answers of all its rows, at no cost"
        )
    return _frame(found, answers)


def read_task(
    path: str | os.PathLike[str], task: str | None, *, siblings: bool = False
) -> tuple[FoundTask, Answers]:
    """A task in a file or a folder, and its answers; damaged lines are warned of.

    task: its first digits, None for the newest. siblings: read what other kernels wrote beside a
    default file, too. Raises as llmframe.read_checkpoint.
    """
    if not (task is None or isinstance(task, str)):
        raise PlanError(f"task={task!r} is not valid; it takes the first digits of a task, as text")
    paths = _files(path)
    if siblings:
        paths = [one for path in paths for one in beside(path)]
    reader = Reader(paths, SYSTEM)
    try:
        tasks = reader.tasks()
        found = _choose(tasks, task, path)
        answers = reader.answers(found)
        answers.count_votes(partial(together, specs_of(found.settings)))
    except OSError as exc:
        raise CheckpointError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if not tasks and (reader.foreign or reader.damaged):
        raise PlanError(
            f"{path} is no checkpoint: it holds {reader.foreign} lines of JSON that llmframe did "
            f"not write and {reader.damaged} lines that are no JSON. "
            "pandas.read_json(path, lines=True) reads lines of JSON."
        )
    for file, reason in reader.left_out.items():
        warn(f"{file} cannot be read and is left out, or what follows: {reason}")
    if reader.damaged:
        warn(f"Damaged lines in {path}: {reader.damaged}, skipped; all others are in the frame")
    return found, answers


def _files(path: str | os.PathLike[str]) -> list[Path]:
    """The file, or all checkpoints of a folder, the one written last at the end."""
    names = ", ".join(sorted(str(file) for file in DEFAULT_FOLDER.glob("*.jsonl")))
    others = f"; here are: {names}" if names else ""
    is_path = isinstance(path, str | os.PathLike) and not holds_file_open(path)
    if not (is_path and os.fspath(path)):
        raise PlanError(f"path={path!r} names no checkpoint{others}")
    folder = Path(os.fsdecode(path)).expanduser()
    try:
        is_folder = folder.is_dir()
    except OSError:  # too long a name, for example: explicit_path reports it
        is_folder = False
    if not is_folder:
        file = explicit_path(path)
        if not file.exists():
            raise PlanError(f"there is no checkpoint {file}{others}")
        return [file]
    files = [file for file in folder.resolve().iterdir() if file.suffix.lower() == ".jsonl"]
    if not files:
        raise PlanError(f"the folder {folder} holds no checkpoint{others}")
    # the newest last: its task is the one that is shown without task=
    return sorted(files, key=lambda file: file.stat().st_mtime)


def _choose(tasks: Sequence[FoundTask], wanted: str | None, path: object) -> FoundTask:
    if wanted is None:
        return tasks[-1] if tasks else FoundTask("", {}, None)
    found = [task for task in tasks if wanted and task.digest.startswith(wanted.lower())]
    if len(found) == 1:
        return found[0]
    lines = []
    for task in reversed(tasks):
        day = task.begun and time.strftime(", %Y-%m-%d %H:%M", time.gmtime(task.begun))
        model = task.settings.get("model", "unknown")
        lines.append(f"\n  {task.digest[:12]}: {model}{day or ''}, {task.lines} lines")
    many = "more than one task begins" if found else "no task begins"
    listed = "".join(lines) or " none"
    raise PlanError(f"{many} with {wanted!r} in {path}, which holds, newest first:{listed}")


def _is_too_large(row_id: str | int | None) -> bool:
    return isinstance(row_id, int) and not -(2**63) <= row_id < 2**63


def _frame(task: FoundTask, answers: Answers) -> pd.DataFrame:
    rows = answers.rows
    # without the task's line the fields are known by name only: their values as they are
    specs = specs_of(task.settings) or [FieldSpec(name, kind=Kind.OBJECT) for name in answers.cells]
    fields = {spec.name for spec in specs}

    def take(cells: Sequence[Any]) -> list[Any]:
        return [cells[position] for _, position in rows]

    def column(name: str) -> str:
        return f"llm_{name}" if name in fields else name  # a field keeps its own name

    ids = [row_id for row_id, _ in rows]
    # an int beyond 64 bits has no place in Int64, where it would be a missing cell
    has_text = any(isinstance(row_id, str) or _is_too_large(row_id) for row_id in ids)
    texts_of_ids = [None if row_id is None else str(row_id) for row_id in ids]
    columns: dict[str, Any] = {column("id"): texts(texts_of_ids) if has_text else integers(ids)}
    nothing = [None] * len(answers.errors)
    for spec in specs:
        columns[spec.name] = builder(spec)(take(answers.cells.get(spec.name, nothing)))
    errors, usages = take(answers.errors), take(answers.usages)
    times = np.array(take(answers.times), "M8[s]")  # NumPy makes NaT of None
    service: dict[str, Any] = {
        "status": choices(STATUSES)(["failed" if error else "ok" for error in errors]),
        "error": texts(errors),
        "model": texts([task.settings.get("model")] * len(rows)),
        "tokens_in": integers([used.tokens_in for used in usages]),
        "tokens_cached": integers([used.tokens_cached for used in usages]),
        "tokens_out": integers([used.tokens_out for used in usages]),
        "cost": floats([used.cost for used in usages]),
        "time": pd.Series(times).dt.tz_localize("UTC"),
    }
    return pd.DataFrame(columns | {column(name): cells for name, cells in service.items()})


def specs_of(settings: dict[str, Any]) -> list[FieldSpec]:
    """The fields as the task's line describes them; empty if it is lost or was edited."""
    specs = []
    try:
        for field in settings["fields"]["fields"]:
            name, labels, unsure = field["name"], field.get("labels"), field.get("abstain")
            if not isinstance(name, str):
                return []
            if "evidence_of" in field:  # a quote counts only where it stands in the frame's text
                continue
            spec = FieldSpec(
                name,
                kind=Kind(field["kind"]),
                # what is stored for "unsure" is the missing cell, so that it is no category
                labels=None if labels is None else tuple(one for one in labels if one != unsure),
                abstain=unsure if isinstance(unsure, str) else None,
                nullable=bool(field.get("nullable")),
            )
            builder(spec)  # raises for labels that make no categories
            specs.append(spec)
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return specs
