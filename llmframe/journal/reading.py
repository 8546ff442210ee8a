"""Read the tasks and answers in checkpoint files, without a lock and without a frame."""

from __future__ import annotations

import contextlib
from binascii import unhexlify
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

from llmframe.journal import lines
from llmframe.journal.index import FOREIGN, Scan
from llmframe.results import LABEL, RowResult
from llmframe.system.files import READ, FileOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from llmframe.results import Usage

_OF_ROWS = (lines.ANSWER, lines.FAILURE, lines.ID)
_LATEST = 253_402_300_799  # unix s, the last second of the year 9999


@dataclass(slots=True)
class FoundTask:
    """A task in a file.

    digest: 32 hex digits, or the first 12 if the task's own line is lost. settings: readable,
    empty if lost. begun: unix s, None if lost. lines: how many are about its rows. form: of the
    input, {} where it is not noted. prompts: field -> hash, {} where they are not noted.
    answered, failed: the keys of such rows, as their lines have them; a key may be in both.
    latest: the newest line that has a time.
    """

    digest: str
    settings: dict[str, Any]
    begun: int | None
    lines: int = 0
    form: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    answered: set[bytes] = field(default_factory=set)
    failed: set[bytes] = field(default_factory=set)
    latest: bytes = b""

    @property
    def written(self) -> int | None:
        """When its newest line was written, unix s; None where that is not known."""
        time = (lines.read(self.latest) or {}).get("t")
        return time if type(time) is int and 0 <= time <= _LATEST else self.begun

    def count(self, line: bytes) -> None:
        """Note an intact line of the task."""
        sort = line[lines.SORT]
        self.lines += sort != lines.SETTINGS
        if sort == lines.ANSWER and not lines.is_later_vote(line):
            self.answered.add(line[lines.KEY])
        elif sort == lines.FAILURE:
            self.failed.add(line[lines.KEY])
        if sort != lines.ID:
            self.latest = line


class Answers:
    """One task's rows as columns; ok beats failed, else the newest line of a key counts.

    cells: a column for each field. errors: a failure's kind, None if ok. times: unix s.
    confidences: field -> probability, None where there is none; of rows with several votes the
    share of the votes that agree.
    """

    def __init__(self) -> None:
        self.cells: dict[str, list[Any]] = {}
        self.errors: list[str | None] = []
        self.usages: list[Usage] = []
        self.confidences: list[dict[str, float] | None] = []
        self.times: list[int | None] = []
        self._positions: dict[bytes, int] = {}
        self._ids: dict[str, tuple[int | str, bytes]] = {}
        self._named: set[bytes] = set()
        self._later_votes: dict[bytes, dict[int, RowResult]] = {}

    @property
    def rows(self) -> list[tuple[int | str | None, int]]:
        """Each row's id and its position in the columns: rows with an id first, then the rest."""
        # Several ids may share one answer, and a row whose text changed has its newest only.
        positions = self._positions
        rows: list[tuple[int | str | None, int]] = [
            (row_id, positions[key]) for row_id, key in self._ids.values() if key in positions
        ]
        return rows + [(None, at) for key, at in positions.items() if key not in self._named]

    @property
    def has_votes(self) -> bool:
        """Whether some rows were asked several times."""
        return bool(self._later_votes)

    @property
    def hidden(self) -> int:
        """Answers that are under no row: their id has a newer one."""
        shown = {key for _, key in self._ids.values()}
        return len((self._named & self._positions.keys()) - shown)

    def result(self, at: int | None) -> RowResult | None:
        """The answer at a position; None for a failure, or without a position."""
        if at is None or self.errors[at] is not None:
            return None
        values = {name: cells[at] for name, cells in self.cells.items()}
        return RowResult("ok", values, None, 0, self.usages[at], confidence=self.confidences[at])

    def of_key(self, key: bytes) -> int | None:
        """The position of a key's row."""
        return self._positions.get(key)

    def of_id(self, row_id: object) -> int | None:
        """The position of the row with this id, compared as text."""
        _, key = self._ids.get(lines.id_text(row_id), (None, b""))
        return self._positions.get(key)

    def add(self, line: bytes) -> bool:
        """Add an intact line about a row; False if it is forged."""
        content = lines.read(line)
        try:
            key = unhexlify(line[lines.KEY])
        except ValueError:
            return False
        if content is None:
            return False
        if line[lines.SORT] != lines.ID:
            result = lines.to_result(content, key) or lines.to_failure(content, key)
            if result is None:
                return False
            if "vote" in content:
                self._keep_vote(content, result)
                return True
            self._keep(key, result, content.get("t"))
        row_id = content.get("id")
        if isinstance(row_id, (int, str)):
            self._ids[lines.id_text(row_id)] = (row_id, key)
            self._named.add(key)
        return True

    def count_votes(self, together: Callable[[Sequence[RowResult]], RowResult]) -> None:
        """Give every row that was asked several times what its votes say together."""
        for key, later in self._later_votes.items():
            at = self._positions.get(key)
            first = self.result(at)
            if first is not None:
                result = together([first, *(later[vote] for vote in sorted(later))])
                self._keep(key, result, self.times[at or 0])

    def _keep_vote(self, content: dict[str, Any], result: RowResult) -> None:
        """Keep a vote after the first; what failed, or is forged, is no vote."""
        vote, of = content["vote"], content.get("of")
        if result.status == "ok" and isinstance(vote, int) and isinstance(of, str):
            with contextlib.suppress(ValueError):  # no key
                self._later_votes.setdefault(unhexlify(of), {})[vote] = result

    def _keep(self, key: bytes, result: RowResult, time: Any) -> None:
        at = self._positions.get(key)
        if at is None:
            at = self._positions[key] = len(self.errors)
            columns: list[list[Any]] = [self.errors, self.times, *self.cells.values()]
            for column in (*columns, self.usages, self.confidences):
                column.append(None)
        elif result.status == "failed" and self.errors[at] is None:
            # A later run failed at a row that an earlier one has answered: the answer stands.
            return
        self.errors[at] = None if result.error is None else result.error.kind
        self.usages[at], self.confidences[at] = result.usage, result.confidence
        self.times[at] = time if type(time) is int and 0 <= time <= _LATEST else None
        values = result.values or {}
        for name in values:
            if name not in self.cells:
                self.cells[name] = [None] * len(self.errors)
        # All columns, not only its own fields: an older answer may have had others.
        for name, cells in self.cells.items():
            value = values.get(name)
            if type(value) is str and len(value) <= LABEL:
                value = intern(value)  # one text for all rows
            cells[at] = value


class Reader:
    """Reads files, oldest first, which other processes may write meanwhile.

    damaged: lines that the last reading skipped. foreign: lines of JSON that are not ours.
    left_out: the files that cannot be read, each with the reason.
    Each reading raises OSError if no file can be read.
    """

    def __init__(self, paths: Sequence[Path], ops: FileOps) -> None:
        self._paths = paths
        self._ops = ops
        self.damaged = 0
        self.foreign = 0
        self.left_out: dict[Path, str] = {}

    def tasks(self) -> list[FoundTask]:
        """The tasks in the files, the one that was written to last at the end."""
        found: dict[bytes, FoundTask] = {}
        newest: dict[bytes, int] = {}
        for number, line in enumerate(self._lines()):
            short = line[lines.TASK]
            newest[short] = number
            task = found.get(short)
            if task is None:
                task = found[short] = FoundTask(short.decode(errors="replace"), {}, None)
            task.count(line)
            if line[lines.SORT] != lines.SETTINGS:
                continue
            content = lines.read(line) or {}
            settings, begun = content.get("settings"), content.get("t")
            if isinstance(settings, dict):  # else forged: as if the line were lost
                task.digest = line[lines.KEY].decode(errors="replace")
                task.settings = settings
                form, prompts = content.get("input"), content.get("prompts")
                task.form = form if isinstance(form, dict) else {}
                task.prompts = prompts if isinstance(prompts, dict) else {}
                task.begun = begun if type(begun) is int and 0 <= begun <= _LATEST else None
        return [found[short] for short in sorted(newest, key=newest.__getitem__)]

    def answers(self, task: FoundTask) -> Answers:
        """The task's rows."""
        answers, short = Answers(), task.digest[:12].encode()
        for line in self._lines():
            if line[lines.TASK] == short and line[lines.SORT] in _OF_ROWS:
                self.damaged += not answers.add(line)
        return answers

    def _lines(self) -> Iterator[bytes]:
        """The intact lines of ours."""
        self.damaged = self.foreign = 0
        self.left_out = {}
        for path in self._paths:
            try:
                fd = self._ops.open(path, READ)
                try:
                    scan = Scan(self._ops, fd)
                    for _, sort, line in scan:
                        if sort == FOREIGN:
                            self.foreign += 1
                        else:
                            yield line
                    self.damaged += scan.damaged
                finally:
                    self._ops.close(fd)
            except OSError as exc:
                # One bad file must not hide the answers in the others.
                self.left_out[path] = exc.strerror or str(exc)
                if len(self.left_out) == len(self._paths):
                    raise
