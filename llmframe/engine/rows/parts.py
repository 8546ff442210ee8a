"""What a pipeline is wired from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Asker
    from llmframe.engine.asking.keys import KeyMaker
    from llmframe.engine.events import Events
    from llmframe.engine.governor import Governor, Share
    from llmframe.engine.rows.budget import Budget
    from llmframe.engine.rows.in_flight import InFlight
    from llmframe.engine.rows.result_store import ResultStore, Rows
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.scrubber import Scrubber
    from llmframe.journal import Checkpoint


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is wired from; see their own modules."""

    rows: Rows
    keys: KeyMaker
    book: ResultStore
    events: Events
    asker: Asker
    share: Share
    governor: Governor
    backend: Backend
    checkpoint: Checkpoint | None
    in_flight: InFlight
    scrub: Scrubber
    budget: Budget
