"""All checkpoints of a working directory as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import warn
from llmframe.frame.typed_columns import floats, integers, texts
from llmframe.journal.expenses import spent
from llmframe.journal.paths import DEFAULT_FOLDER, files_here
from llmframe.journal.reading import Reader
from llmframe.journal.stored_tasks import first_task
from llmframe.system.files import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmframe.journal.reading import FoundTask

TEXTS = ("checkpoint", "task", "prompt", "fields", "model")


def history() -> pd.DataFrame:
    """See llmframe.history."""
    found = [row for files in _files() for row in _rows_of(files)]
    found.sort(key=lambda row: row["date"] or 0, reverse=True)

    def column(name: str) -> list[Any]:
        return [row[name] for row in found]

    dates = np.array(column("date"), "M8[s]")  # NumPy makes NaT of None
    return pd.DataFrame(
        {name: texts(column(name)) for name in TEXTS}
        | {name: integers(column(name)) for name in ("rows", "failed")}
        | {"cost": floats(column("cost")), "currency": texts(column("currency"))}
        | {"date": pd.Series(dates).dt.tz_localize("UTC")}
    )


def _files() -> list[list[Path]]:
    """The files of the default folders, and a person's own in the working directory."""
    # any program may write .jsonl files: only those with a task's line are ours
    own = sorted(path for path in Path().glob("*.jsonl") if first_task(path) is not None)
    return [*files_here(DEFAULT_FOLDER), *([path] for path in own)]


def _rows_of(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """A row for each task in files that belong together."""
    reader = Reader(files, SYSTEM)
    try:
        tasks = reader.tasks()
        used = [spent(files, {task.digest[:12]}, SYSTEM).total for task in tasks]
    except OSError as exc:  # one bad file must not hide the others
        warn(f"{files[0]} cannot be read and is left out: {exc.strerror or exc}")
        return
    for task, usage in zip(tasks, used, strict=True):
        yield {
            "checkpoint": _short(files[0]),
            "task": task.digest[:12],
            "prompt": _text(task.settings.get("instructions")),
            "fields": ", ".join(_names(task)) or None,
            "model": _text(task.settings.get("model")),
            "rows": len(task.answered),
            # a row that failed and was answered later has not failed
            "failed": len(task.failed - task.answered),
            "cost": usage.cost,
            "currency": usage.currency or None,
            "date": task.written,
        }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None  # a lost or an edited line


def _names(task: FoundTask) -> list[str]:
    """The names of a task's fields; none where its own line is lost or was edited."""
    try:
        return [str(field["name"]) for field in task.settings["fields"]["fields"]]
    except (KeyError, TypeError):
        return []


def _short(path: Path) -> str:
    """A path as it can be given to llmframe.load: relative where it lies in this directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)
