"""One batch as a run carries it: its rows, how far it has come, and what to do next for it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from llmframe.engine.batch.state import Remote
    from llmframe.engine.row import Row
    from llmframe.engine.rows.budget import Reservation
    from llmframe.journal.batches import StoredBatch


Step = Literal["drop", "match", "upload", "create", "cancel", "look", "take", "judge"]


@dataclass(eq=False, slots=True, kw_only=True)
class Part:
    """One batch of a run.

    keys: of all its rows, in the order of its lines. rows: those of them that this run waits for.
    stored: as an earlier call left it, None for a batch of this run. input: the file that is to be
    uploaded. file, id: the provider's names, "" before they are known. unsure: it may have been
    created without our hearing of it. remote: as it was seen last. cancel: it shall end now. since:
    when it may have been created, unix seconds. due: when to go on, by the run's clock. tries:
    failed calls in a row. failing: why the last of them failed. reservation: of the budget.
    was_going: it was seen at work by this run.
    """

    keys: tuple[bytes, ...]
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
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
    def next_step(self) -> Step:
        """What to do next for it."""
        if not self.id:
            # match before create, always: a second batch would be paid for a second time
            if self.unsure:
                return "match"
            if self.stored is not None:  # its rows go into another one
                return "drop"
            return "create" if self.file else "upload"
        remote = self.remote
        if remote is None:
            return "look"
        if remote.is_going:
            return "cancel" if self.cancel and remote.status != "cancelling" else "look"
        return "judge" if remote.status == "failed" else "take"

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
