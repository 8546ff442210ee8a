"""Everything that one run of the engine needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.rows.budget import Budget
from llmframe.providers.dialect import FULL_DIALECT

if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Sampling
    from llmframe.engine.asking.keys import KeyMaker
    from llmframe.engine.asking.outgoing import TextRules
    from llmframe.engine.row import Rows
    from llmframe.engine.rows.patience import Patience
    from llmframe.journal import Checkpoint
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.endpoint import Endpoint
    from llmframe.task.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Job:
    """Everything one run needs to know.

    concurrency: requests on the wire at most, "auto" finds its own, and begins with at_once
    where that is known. dialect: how requests are written at first. The rest: see the options of
    the same name.
    """

    rows: Rows
    keys: KeyMaker
    prompt: Prompt
    model: str
    sampling: Sampling
    patience: Patience
    endpoint: Endpoint
    endpoint_identity: str
    dialect: Dialect = FULL_DIALECT
    at_once: int | None = None
    concurrency: int | Literal["auto"] = "auto"
    rpm: float | None = None
    tpm: float | None = None
    budget: Budget = field(default_factory=Budget)
    checkpoint: Checkpoint | None = None
    reuse: bool = True
    rules: TextRules = NO_RULES
    store_input: bool = False
    raise_on_failure: bool = False
    hedge: bool = False
    keep_raw: bool = False

    @property
    def cap(self) -> int | None:
        """Requests on the wire at most; None finds its own."""
        return None if self.concurrency == "auto" else self.concurrency
