"""A dead run's answers, read from its checkpoint without the frame that was tagged."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import CheckpointError, PlanError, warn
from llmframe.frame import typed_columns
from llmframe.frame.columns import STATUSES
from llmframe.journal.places import DEFAULT_FOLDER, explicit_path
from llmframe.journal.reading import FoundTask, Reader
from llmframe.system.files import SYSTEM
from llmframe.task.fields import FieldSpec, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.journal.reading import Answers


def read_checkpoint(path: str | os.PathLike[str], task: str | None = None) -> pd.DataFrame:
    """See llmframe.read_checkpoint."""
    if not (task is None or isinstance(task, str)):
        raise PlanError(f"task={task!r} is not valid; it takes the first digits of a task, as text")
    paths = _files(path)
    reader = Reader(paths, SYSTEM)
    try:
        tasks = reader.tasks()
        found = _choose(tasks, task, path)
        answers = reader.answers(found)
    except OSError as exc:
        raise CheckpointError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if not tasks and (reader.foreign or reader.damaged):
        raise PlanError(
            f"{path} is no checkpoint: it holds {reader.foreign} lines of JSON that llmframe did "
            f"not write and {reader.damaged} that are none. pandas.read_json(path, lines=True) "
            "reads lines of JSON."
        )
    for file, reason in reader.left_out.items():
        warn(f"{file} cannot be read and is left out, or what follows: {reason}")
    if reader.damaged:
        warn(f"damaged lines in {path}: {reader.damaged}, skipped; all others are in the frame")
    return _frame(found, answers)


def _files(path: str | os.PathLike[str]) -> list[Path]:
    """The file, or all checkpoints of a folder, the one written last at the end."""
    if not (isinstance(path, str | os.PathLike) and os.fspath(path)):
        raise PlanError(f"path={path!r} names no checkpoint{_others()}")
    folder = Path(os.fsdecode(path)).expanduser()
    if not _is_folder(folder):
        file = explicit_path(path)
        if not file.exists():
            raise PlanError(f"there is no checkpoint {file}{_others()}")
        return [file]
    files = [file for file in folder.resolve().iterdir() if file.suffix.lower() == ".jsonl"]
    if not files:
        raise PlanError(f"the folder {folder} holds no checkpoint{_others()}")
    return sorted(files, key=lambda file: file.stat().st_mtime)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no name of a file either, which is told in a moment
        return False


def _others() -> str:
    """What could have been meant."""
    names = sorted(str(file) for file in DEFAULT_FOLDER.glob("*.jsonl"))
    return f"; here are: {', '.join(names)}" if names else ""


def _choose(tasks: Sequence[FoundTask], wanted: str | None, path: object) -> FoundTask:
    if wanted is None:
        return tasks[-1] if tasks else FoundTask("", {}, None)
    fitting = [task for task in tasks if wanted and task.digest.startswith(wanted.lower())]
    if len(fitting) != 1:
        listed = "".join(f"\n  {_told(task)}" for task in reversed(tasks)) or " none"
        many = "more than one task begins" if fitting else "no task begins"
        raise PlanError(f"{many} with {wanted!r} in {path}, which holds, newest first:{listed}")
    return fitting[0]


def _told(task: FoundTask) -> str:
    day = "" if task.begun is None else time.strftime(", %Y-%m-%d %H:%M", time.gmtime(task.begun))
    return f"{task.digest[:12]}: {task.settings.get('model', 'unknown')}{day}, {task.lines} lines"


def _frame(task: FoundTask, answers: Answers) -> pd.DataFrame:
    rows = answers.rows
    specs = _specs(task.settings) or [FieldSpec(name, kind=Kind.OBJECT) for name in answers.cells]
    fields = {spec.name for spec in specs}

    def take(cells: Sequence[Any]) -> list[Any]:
        return [cells[place] for _, place in rows]

    def column(name: str) -> str:
        return f"llm_{name}" if name in fields else name  # a field keeps its own name

    columns: dict[str, Any] = {column("id"): _ids([row_id for row_id, _ in rows])}
    nothing = [None] * len(answers.errors)
    for spec in specs:
        columns[spec.name] = typed_columns.builder(spec)(
            take(answers.cells.get(spec.name, nothing))
        )
    errors = take(answers.errors)
    service: dict[str, Any] = {
        "status": typed_columns.choices(STATUSES)(
            ["failed" if error else "ok" for error in errors]
        ),
        "error": typed_columns.texts(errors),
        "model": typed_columns.texts([task.settings.get("model")] * len(rows)),
        "tokens_in": typed_columns.integers(take(answers.tokens_in)),
        "tokens_out": typed_columns.integers(take(answers.tokens_out)),
        "cost": typed_columns.floats(take(answers.costs)),
        "time": _times(take(answers.times)),
    }
    return pd.DataFrame(columns | {column(name): cells for name, cells in service.items()})


def _ids(ids: list[int | str | None]) -> Any:
    if any(isinstance(row_id, str) for row_id in ids):
        return typed_columns.texts([None if row_id is None else str(row_id) for row_id in ids])
    return typed_columns.integers(ids)


def _times(times: list[int | None]) -> pd.Series[Any]:
    moments = np.array(times, "M8[s]")  # NumPy makes NaT of None
    return pd.Series(moments).dt.tz_localize("UTC")


def _specs(settings: dict[str, Any]) -> list[FieldSpec]:
    """The fields as the task's line describes them; empty where it is lost or forged."""
    try:
        specs = [_spec(field) for field in settings["fields"]["fields"]]
        for spec in specs:
            typed_columns.builder(spec)
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return specs


def _spec(field: dict[str, Any]) -> FieldSpec:
    labels = field.get("labels")
    if not isinstance(field["name"], str):
        raise TypeError("no name")
    return FieldSpec(
        field["name"],
        kind=Kind(field["kind"]),
        labels=None if labels is None else tuple(labels),
        nullable=bool(field.get("nullable")),
    )
