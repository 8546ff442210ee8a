"""One batch as a run carries it: its rows, and how far it has come."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from llmframe.engine.batch.state import Progress

if TYPE_CHECKING:
    from llmframe.engine.batch.state import Remote
    from llmframe.engine.row import Row
    from llmframe.engine.rows.budget import Reservation
    from llmframe.journal.batches import StoredBatch


def new_nonce() -> str:
    """A name for a batch that nobody else gives."""
    return secrets.token_hex(8)


@dataclass(eq=False, slots=True, kw_only=True)
class Part:
    """One batch of a run.

    keys: of all its rows, in the order of its lines. rows: those of them that this run waits for.
    stored: as an earlier call left it, None for a batch of this run. input: the file that is to be
    uploaded. file, id, unsure, remote, cancel: as in Progress. since: when it may have been
    created, unix seconds. due: when to go on, by the run's clock. tries: failed calls in a row.
    failing: why the last of them failed. reservation: of the budget. was_going: it was seen at
    work by this run.
    """

    keys: tuple[bytes, ...]
    nonce: str = field(default_factory=new_nonce)
    rows: dict[bytes, Row] = field(default_factory=dict)
    stored: StoredBatch | None = None
    input: IO[bytes] | None = None
    file: str = ""
    id: str = ""
    unsure: bool = False
    remote: Remote | None = None
    cancel: bool = False
    since: float = 0.0
    due: float = 0.0
    began: float = 0.0
    tries: int = 0
    failing: str = ""
    reservation: Reservation | None = None
    was_going: bool = False

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(
            resumed=self.stored is not None,
            file=self.file,
            id=self.id,
            unsure=self.unsure,
            remote=self.remote,
            cancel=self.cancel,
        )

    @property
    def is_there(self) -> bool:
        """Whether the provider has it and is not done with it."""
        return bool(self.id) and (self.remote is None or self.remote.is_going)

    @property
    def may_exist(self) -> bool:
        """Whether the provider has it, or may have it."""
        return bool(self.id) or self.unsure

    def close(self) -> None:
        """Drop what it holds beside its rows."""
        self.close_input()
        if self.reservation is not None:
            self.reservation.settle()  # of a batch whose answers are counted it is settled already

    def close_input(self) -> None:
        """Drop the file that was to be uploaded."""
        if self.input is not None:
            self.input.close()
            self.input = None


def resumed(stored: StoredBatch, now: float) -> Part:
    """A batch that an earlier call began; where its id is not known, it may have been created.

    It was not where no file is noted, by a process that is gone: a batch is made of a file.
    """
    return Part(
        keys=stored.keys,
        nonce=stored.nonce,
        stored=stored,
        file=stored.file,
        id=stored.id,
        unsure=not stored.id and bool(stored.file or not stored.owned),
        since=float(stored.since),
        began=now,
    )
