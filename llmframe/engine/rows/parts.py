"""Everything that one run of the engine needs, and what its pipeline is wired from."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.halt import Halt
from llmframe.engine.rows.patience import Patience
from llmframe.providers.dialect import FULL_DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmframe.engine.asking.embedding import AnyAsker, Capacity
    from llmframe.engine.asking.outgoing import TextRules
    from llmframe.engine.asking.votes import Votes
    from llmframe.engine.events import Events
    from llmframe.engine.governor import Governor, Share
    from llmframe.engine.row import Row, Rows, Source
    from llmframe.engine.rows.claims import InFlight
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.endpoint import Endpoint
    from llmframe.providers.responses.scrubber import Scrubber
    from llmframe.results import ResultStore, RowResult
    from llmframe.system.processes import Processes
    from llmframe.task.keys import KeyMaker
    from llmframe.task.prompt import Prompt

SLICE = 512  # rows whose texts are rendered together
PIECE = 50  # the same of a sample: neighbours, since texts are rendered by the slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything one run needs to know: the call's settings, and what was made of them.

    source: where further rows come from, None for a frame, whose rows are all known.
    dialect: how requests are written at first. slots: requests that the server works on at
    once, where that is known; ``concurrency="auto"`` begins there. capacity: of a request for
    embeddings; None where each request is about one row. packed: functions of the person's that
    run in processes, by their options. votes: None where each row is asked once. remembers:
    answers that no checkpoint keeps stay in memory. streams: answers come as they are written.
    """

    settings: Settings
    rows: Rows
    keys: KeyMaker
    prompt: Prompt
    endpoint: Endpoint
    source: Source | None = None
    dialect: Dialect = FULL_DIALECT
    slots: int | None = None
    capacity: Capacity | None = None
    budget: Budget = field(default_factory=Budget)
    rules: TextRules = NO_RULES
    checkpoint: Checkpoint | None = None
    packed: Mapping[str, bytes] = field(default_factory=dict)
    votes: Votes | None = None
    remembers: bool = False
    streams: bool = False

    @property
    def model(self) -> str:
        """The model's name at the endpoint."""
        return str(self.settings.model)

    @property
    def cap(self) -> int | None:
        """Requests on the wire at most; None finds its own."""
        concurrency = self.settings.concurrency
        return None if concurrency == "auto" else concurrency

    def texts(self, most: int | None = None) -> Iterator[str | RowResult]:
        """The texts as they would be sent, or why they are not: of all rows, or of about so many.

        They are rendered by the slice, so that never all are in memory.
        """
        n, size, step = self.rows.n, SLICE, SLICE
        if most is not None and n > most:
            # pieces from the whole frame: one that is sorted has its long texts at one end
            size, step = PIECE, n * PIECE // most
        for start in range(0, n, step):
            yield from map(self.rules.prepare, self.rows.texts(start, min(start + size, n)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a pipeline is wired from; see their own modules.

    processes: for functions of the person's, by option; those that are not named run in threads.
    """

    job: Job
    store: ResultStore
    events: Events
    asker: AnyAsker
    share: Share
    governor: Governor
    backend: Backend
    in_flight: InFlight
    scrub: Scrubber
    processes: Mapping[str, Processes] = field(default_factory=dict)
    halt: Halt = field(default_factory=Halt)

    @property
    def patience(self) -> Patience:
        """How long and how often to try each row."""
        settings = self.job.settings
        return Patience(settings.timeout, settings.deadline, settings.max_attempts)

    @property
    def hurried(self) -> bool:
        """Whether the first row that fails for good halts the run, so that none is put off."""
        return self.job.settings.on_error == "raise"

    @property
    def most_rows(self) -> int:
        """Rows that the run may have; of a source nobody knows how many come."""
        return self.job.rows.n if self.job.source is None else sys.maxsize

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
