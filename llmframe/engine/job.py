"""Everything that one run of the engine needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.rows.budget import Budget
from llmframe.providers.dialect import FULL_DIALECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmframe.engine.asking.embedding import Capacity
    from llmframe.engine.asking.outgoing import TextRules
    from llmframe.engine.asking.votes import Votes
    from llmframe.engine.row import Rows, Source
    from llmframe.journal import Checkpoint
    from llmframe.options.settings import Settings
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.endpoint import Endpoint
    from llmframe.task.keys import KeyMaker
    from llmframe.task.prompt import Prompt


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
