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
    from llmframe.engine.row import Rows, Source
    from llmframe.engine.rows.budget import Budget
    from llmframe.engine.rows.claims import InFlight
    from llmframe.engine.wire.backend import Backend
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
