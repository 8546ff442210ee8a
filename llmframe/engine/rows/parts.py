"""What a pipeline is wired from."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.engine.rows.halt import Halt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.engine.asking.embedding import AnyAsker
    from llmframe.engine.asking.votes import Votes
    from llmframe.engine.events import Events
    from llmframe.engine.governor import Governor, Share
    from llmframe.engine.row import Row, Rows, Source
    from llmframe.engine.rows.budget import Budget
    from llmframe.engine.rows.claims import InFlight
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.journal import Checkpoint
    from llmframe.providers.responses.scrubber import Scrubber
    from llmframe.results import ResultStore
    from llmframe.system.processes import Processes
    from llmframe.task.keys import KeyMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a pipeline is wired from; see their own modules.

    processes: for functions of the person's, by option; those that are not named run in threads.
    remembers: answers that no checkpoint keeps stay in memory.
    """

    rows: Rows
    keys: KeyMaker
    store: ResultStore
    events: Events
    asker: AnyAsker
    share: Share
    governor: Governor
    backend: Backend
    checkpoint: Checkpoint | None
    in_flight: InFlight
    scrub: Scrubber
    budget: Budget
    source: Source | None = None
    processes: Mapping[str, Processes] = field(default_factory=dict)
    halt: Halt = field(default_factory=Halt)
    remembers: bool = False
    votes: Votes | None = None

    @property
    def most_rows(self) -> int:
        """Rows that the run may have; of a source nobody knows how many come."""
        return self.rows.n if self.source is None else sys.maxsize

    def understood(self, row: Row) -> None:
        """The row's request was answered: its dialect is understood, and the row is no suspect."""
        self.governor.understood(row.dialect, row.tried, enums=self.asker.enums)
        row.tried, row.doubted = (), 0

    def rewrite(self, row: Row, verdict: Verdict, *, sure: bool = False) -> bool:
        """Whether a refused row may be accepted in a simpler request, in which it is sent next.

        sure: it is not the row's text that was refused.
        """
        if not verdict.may_be_dialect:
            return False
        lower = self.governor.rewrite(
            (*row.tried, row.dialect),
            verdict.param,
            verdict.text,
            features=self.asker.features(row),
            enums=self.asker.enums,
            sure=sure,
        )
        if lower is not None:
            row.rewrite(lower)
        return lower is not None
