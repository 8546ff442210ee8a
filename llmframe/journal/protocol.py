"""What a checkpoint asks of a file, whatever kind of file it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from llmframe.results import RowResult


class Store(Protocol):
    """A file of lines (see lines.py), of any number of tasks; all runs of a process share it.

    Thread-safe and synchronous. Once an append returns, the death of the process cannot lose its
    line; the disk has it a moment later. An answer beats a failure, the newest answer the others.
    path: the file. users: how many hold it. listeners: told, from another thread, when what was
    written could not be brought to the disk.
    Every call raises OSError where the file fails.
    """

    path: Path
    users: int
    listeners: list[Callable[[OSError], None]]

    @property
    def tasks(self) -> Collection[bytes]:
        """Digests of the tasks in the file, in order of appearance."""

    @property
    def answers(self) -> int:
        """How many keys have an answer, as far as is known."""

    @property
    def damaged(self) -> int:
        """How many lines were found damaged; they are skipped."""

    @property
    def foreign(self) -> int:
        """How many lines of JSON somebody else wrote."""

    @property
    def notes(self) -> list[str]:
        """What the person who writes the file should know of the place where it lies."""

    def is_current(self) -> bool:
        """Whether the file is still the one at its path; it may have been deleted or replaced."""

    def is_strange(self) -> bool:
        """Whether the file holds something, but nothing that a store of its kind wrote."""

    def start_writing(self) -> None:
        """Become a writer of the file. Raises LockHeldError where there can be only one."""

    def read_on(self) -> None:
        """Take in what other processes have added."""

    def content(self, key: bytes) -> dict[str, Any] | None:
        """The line of the newest answer to key as it was written; None without one."""

    def get(self, key: bytes) -> RowResult | None:
        """The newest answer to key (16 bytes), None without one."""

    def append(self, line: bytes, key: bytes, row_id: str | None) -> None:
        """Keep one line, with its newline; row_id: the id in it."""

    def append_task(self, line: bytes, digest: bytes) -> None:
        """Keep a task's line, unless the file has it."""

    def has_id(self, key: bytes, row_id: str) -> bool:
        """Whether a line says that the row of this id has this key."""

    def load_ids(self) -> None:
        """Read now what has_id needs, so that it never waits."""

    def all_lines(self) -> Iterator[bytes]:
        """Every line without its newline, in the order written; damaged and foreign ones too."""

    def flush(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until all lines are on the disk; False if they are not."""

    def close(self) -> None:
        """Bring all to the disk and give everything back."""

    def leave_to_parent(self) -> None:
        """In a forked child: writing is the parent's."""
