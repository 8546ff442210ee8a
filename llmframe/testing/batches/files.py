"""The files that were uploaded and written, on disk: 120,000 rows are hundreds of megabytes."""

from __future__ import annotations

import itertools
import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmframe.testing.batches.clock import Clock

KEPT = 30 * 86_400  # seconds until a file expires, as at OpenAI


@dataclass(frozen=True, slots=True)
class Stored:
    """One file. shown: the object that the API returns. listed: from when on lists show it."""

    shown: dict[str, Any]
    path: Path
    listed: float


class Files:
    """Files by id, in the order of their creation; they go when the server does."""

    def __init__(self, clock: Clock) -> None:
        self.by_id: dict[str, Stored] = {}
        self._clock = clock
        self._numbers = itertools.count(1)
        self._folder = ""

    def new_path(self) -> Path:
        """A path to write a file to before it is added."""
        if not self._folder:
            self._folder = mkdtemp(prefix="llmframe-testing-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return Path(self._folder, f"{next(self._numbers)}")

    def add(self, path: Path, name: str, purpose: str, *, lag: float) -> Stored:
        """Enter a file that was written; lists show it after ``lag`` seconds."""
        now = self._clock.now()
        shown: dict[str, Any] = {
            "id": f"file-{int(path.name):08d}",
            "object": "file",
            "bytes": path.stat().st_size,
            "created_at": int(now),
            "expires_at": int(now) + KEPT,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        stored = self.by_id[shown["id"]] = Stored(shown, path, now + lag)
        return stored

    def remove(self, name: str) -> None:
        """Delete a file by its id."""
        self.by_id.pop(name).path.unlink(missing_ok=True)


def page(
    objects: Iterable[dict[str, Any]], query: Mapping[str, str], *, usual: int, most: int
) -> dict[str, Any]:
    """One page of a list, the newest object first; ``after`` and ``limit`` come with the query."""
    found = list(objects)
    if query.get("order") != "asc":
        found.reverse()
    if after := query.get("after"):
        ids = [each["id"] for each in found]
        found = found[ids.index(after) + 1 :] if after in ids else []
    limit = max(1, min(int(query.get("limit", usual)), most))
    shown = found[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(found) > limit,
    }
