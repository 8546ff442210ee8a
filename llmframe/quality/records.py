"""The durable record of reviews: ``.llmframe/reviews/<field>-<task>.jsonl``.

Lines of JSON that are only ever appended, each by one write: a header when rows are drawn, then
one line a key press. A judgement holds the hash of its text, never the text, and belongs to that
text: it counts for every later prompt. Several people and processes may write one file.

A header has ``draw`` (an id that all lines of the draw bear), ``order``, ``seed``, ``planned``,
``strata`` and ``rows``; a later one of the same draw, for more rows, replaces it. A line has
``turn`` (the row's place in ``rows``) and ``truth``, ``skip`` or ``undo``.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmframe.errors import CheckpointError
from llmframe.journal.paths import (
    DEFAULT_FOLDER,
    default_folders,
    former_folders,
    make_folder,
    remember_folder,
)
from llmframe.quality.reviewed import Cell, Part
from llmframe.system.files import APPEND, READ, SYSTEM, FileOps, write_all

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from llmframe.quality.reviewed import Role

FOLDER = "reviews"
SKIPS = 2  # a row that was put last this often is undecided


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """One row of a draw. key, occurrence: how it is found in any frame."""

    key: int
    occurrence: int
    stratum: int
    role: Role


@dataclass(frozen=True, slots=True)
class Given:
    """One judgement as it was given. who: "" if unnamed. session: of the process that wrote it."""

    key: int
    _: KW_ONLY
    truth: Hashable
    role: Role
    who: str = ""
    session: str = ""
    when: float = 0.0


@dataclass(slots=True)
class Draw:
    """One draw and all that was done about it.

    header: as it is recorded. labels: of the field at the draw. judged: the judgements of each
    turn, the oldest first. skipped: how often each turn was put last. done: of each person, what
    an undo takes back, the newest last.
    """

    id: str
    _: KW_ONLY
    header: dict[str, Any]
    rows: list[DrawnRow]
    labels: tuple[Hashable, ...]
    judged: dict[int, list[Given]] = field(default_factory=dict)
    skipped: dict[int, int] = field(default_factory=dict)
    done: dict[str, list[tuple[int, Given | None]]] = field(default_factory=dict)

    def parts(self, labels: tuple[Hashable, ...]) -> list[Part]:
        """Its strata; their cells have the codes of these labels."""
        code = {label: at for at, label in enumerate(labels)}
        return [
            Part(
                tuple(
                    # a label that is gone has no rows
                    Cell(code.get(label, len(labels)) if label is not None else -1, part, cut)
                    for label, part, cut in one["cells"]
                ),
                int(one["size"]),
                float(one["share"]),
                bool(one.get("complete")),
            )
            for one in self.header["strata"]
        ]

    def note(self, line: dict[str, Any]) -> None:
        """Take in a line of this draw. Raises KeyError, TypeError, ValueError if it is not ours."""
        turn, who = int(line["turn"]), str(line.get("who") or "")
        if turn < 0:
            raise ValueError(turn)
        row, mine = self.rows[turn], self.done.setdefault(who, [])
        if line.get("undo"):
            self._undo(mine)
        elif line.get("skip"):
            self.skipped[turn] = self.skipped.get(turn, 0) + 1
            mine.append((turn, None))
        else:
            hash(line["truth"])  # forged: a list
            session, when = str(line.get("session", "")), float(line.get("when", 0))
            given = Given(
                row.key,
                truth=line["truth"],
                role=row.role,
                who=who,
                session=session,
                when=when,
            )
            self.judged.setdefault(turn, []).append(given)
            mine.append((turn, given))

    def _undo(self, mine: list[tuple[int, Given | None]]) -> None:
        if not mine:  # forged
            return
        turn, given = mine.pop()
        if given is None:
            self.skipped[turn] -= 1
        else:
            # by identity: two people may have given equal judgements
            self.judged[turn] = [one for one in self.judged[turn] if one is not given]

    def judgements(self) -> Iterator[Given]:
        """All that stand."""
        for given in self.judged.values():
            yield from given


def read_header(line: dict[str, Any]) -> Draw:
    """The draw that a header begins. Raises KeyError, TypeError or ValueError if it is none."""
    rows = [
        DrawnRow(
            int(key, 16), int(occurrence), int(stratum), "learn" if role == "learn" else "measure"
        )
        for key, occurrence, stratum, role in line["rows"]
    ]
    draw = Draw(str(line["draw"]), header=line, rows=rows, labels=tuple(line["labels"]))
    draw.parts(draw.labels)
    if any(row.stratum >= len(line["strata"]) for row in rows):
        raise ValueError("a row of no stratum")
    return draw


class ReviewFile:
    """One file of reviews: what it holds, and lines added to it by anybody.

    Raises CheckpointError if it cannot be read.
    """

    def __init__(self, path: Path, ops: FileOps = SYSTEM) -> None:
        self.path = path
        self.draws: dict[str, Draw] = {}
        self._ops = ops
        self._read = b""  # all whole lines, to write them again if somebody deletes the file
        self._lock = threading.RLock()
        self.refresh()

    def append(self, line: dict[str, Any]) -> None:
        """Add a line by one write, and take it in. Raises CheckpointError if it is not saved.

        When this returns a killed process loses nothing; the disk has it a moment later.
        """
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str) + "\n"
        with self._lock:
            try:
                self._write(data.encode("utf-8", "replace"))
            except OSError as exc:
                raise CheckpointError(
                    f"{self.path} cannot be written ({exc.strerror or exc}), so this answer is not "
                    "saved; all earlier ones are. Make room or give write access, then answer again"
                ) from exc
            self.refresh()

    def _write(self, data: bytes) -> None:
        if not self.path.exists():
            make_folder(self.path.parent.parent, self._ops)  # hidden from version control
            self._ops.mkdir(self.path.parent)
            remember_folder(self.path.parent.parent)
            data = self._read + data
        fd = self._ops.open(self.path, APPEND)
        try:
            # a torn line is ended first, so that it does not spoil this one
            write_all(fd, b"\n" + data if self._is_torn() else data, self._ops)
        except BaseException:
            self._ops.close(fd)
            raise
        # the next row is drawn meanwhile: a slow disk must not make a person wait
        threading.Thread(target=self._sync, args=(fd,), name="llmframe-fsync", daemon=True).start()

    def _is_torn(self) -> bool:
        """Whether a killed process, or a full disk, has left half a line at the end."""
        fd = self._ops.open(self.path, READ)
        try:
            size = self._ops.size(fd)
            return size > 0 and self._ops.read_at(fd, 1, size - 1) != b"\n"
        finally:
            self._ops.close(fd)

    def _sync(self, fd: int) -> None:
        with contextlib.suppress(OSError):  # the line is written; more cannot be done for it
            self._ops.fsync(fd)
        with contextlib.suppress(OSError):
            self._ops.close(fd)

    def refresh(self) -> None:
        """Take in what anybody has written since the last time."""
        with self._lock:
            try:
                new = self._unread()
            except FileNotFoundError:
                return
            except OSError as exc:
                raise CheckpointError(f"{self.path} cannot be read: {exc.strerror or exc}") from exc
            whole = new[: new.rfind(b"\n") + 1]  # another process may be writing the rest
            self._read += whole
            for line in whole.splitlines():
                # half a line of a killed process, or whatever else stands there, is left out
                with contextlib.suppress(
                    ValueError, KeyError, TypeError, IndexError, RecursionError
                ):
                    self._take(json.loads(line))

    def _unread(self) -> bytes:
        fd = self._ops.open(self.path, READ)
        try:
            begin = len(self._read)
            return self._ops.read_at(fd, max(self._ops.size(fd) - begin, 0), begin)
        finally:
            self._ops.close(fd)

    def _take(self, line: dict[str, Any]) -> None:
        if "strata" not in line:
            self.draws[line["draw"]].note(line)
            return
        draw, old = read_header(line), self.draws.get(line["draw"])
        if old is None:
            self.draws[draw.id] = draw
        elif draw.rows[: len(old.rows)] == old.rows:  # the same draw goes on with more rows
            old.header, old.rows = draw.header, draw.rows


class Records:
    """All files of the reviews of one question.

    own: the file to write, that of the column's own task. Truth belongs to the text: what was
    judged under another prompt is in the other files. former: where the question has no review in
    the working directory, read those of the directories that this process has used before.
    """

    def __init__(
        self, question: str, name: str, *, folder: Path = DEFAULT_FOLDER, former: bool = False
    ) -> None:
        here = default_folders(folder)
        self._question = question
        found = self._files([one / FOLDER for one in here])
        if former and not found:
            found = self._files([one / FOLDER for one in former_folders(here)])
        if found:  # to find it again after the working directory has changed
            remember_folder(found[0].path.parent.parent)
        # a review that was begun goes on in its file, wherever that is
        own = next((file for file in found if file.path.name == name), None)
        self.own = own or ReviewFile(_first_writable([one / FOLDER for one in here]) / name)
        self.others = [file for file in found if file is not own]

    def _files(self, folders: Sequence[Path]) -> list[ReviewFile]:
        """The files in these folders that hold a review of the question."""
        paths = [path for one in folders if one.is_dir() for path in sorted(one.glob("*.jsonl"))]
        return [file for file in map(ReviewFile, paths) if self._draws_of(file)]

    def _draws_of(self, file: ReviewFile) -> list[Draw]:
        return [one for one in file.draws.values() if one.header.get("question") == self._question]

    def draws(self) -> list[Draw]:
        """All draws, those of the column's own task last."""
        return [draw for file in (*self.others, self.own) for draw in self._draws_of(file)]

    def first(self) -> dict[int, Given]:
        """The first judgement of each text, by its hash."""
        found: dict[int, Given] = {}
        given = [one for draw in self.draws() for one in draw.judgements()]
        for one in sorted(given, key=lambda one: one.when):
            found.setdefault(one.key, one)
        return found


def _first_writable(folders: list[Path]) -> Path:
    for folder in folders:
        # the folder may not exist yet: then its nearest parent decides
        above = next(one for one in (folder, *folder.parents) if one.exists())
        if os.access(above, os.W_OK):
            return folder
    return folders[0]
