"""What happens in a run, as events for observers, which may fail without harm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.results import RowResult, Usage

Source = Literal["request", "shared", "checkpoint", "blank", "example"]

log = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A request was sent. repeated: the row had one before. hedge: that one is still out.

    reason: why it is repeated: the kind of failure and the HTTP status.
    """

    repeated: bool
    hedge: bool = False
    reason: tuple[str, int | None] = ("output", None)


@dataclass(frozen=True, slots=True)
class AnswerGrows:
    """A streamed answer has grown. position: of the row in the frame. text: all so far."""

    position: int
    text: str


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The provider refused a request (429, or 503 with Retry-After)."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RequestLost:
    """A request was lost: a server error, a time-out, a broken connection."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RowsDone:
    """Rows have their result, which the checkpoint holds, if there is one.

    positions: of the rows in the frame. source: where the result came from.
    text: as it was sent; None if nothing was. counted: what it took was counted vote by vote.
    """

    positions: Sequence[int]
    result: RowResult
    source: Source
    text: str | None = field(default=None, compare=False)
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Voted:
    """A vote of a row is in, which this run asked for and which is kept. usage: what it took."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class TextCut:
    """A row's text was too long and lost its end. position: of the row in the frame."""

    position: int


@dataclass(frozen=True, slots=True)
class RowsReused:
    """Rows have their own answers from the checkpoint. positions: of the rows in the frame."""

    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Spent:
    """Replies were paid for a row that stays pending."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Unread:
    """A request left, and no answer to it was read: the provider may charge for it all the same.

    usage: what it may have taken.
    """

    usage: Usage


@dataclass(frozen=True, slots=True)
class InBatches:
    """The run ends, and the provider goes on with batches. rows: of this run that are in them."""

    rows: int
    batches: int


@dataclass(frozen=True, slots=True)
class Planned:
    """Every row has been planned: from now on the counts are exact.

    rows: that a source has given so far, which may give more; None where all are known.
    """

    rows: int | None = None


Event = (
    RequestSent
    | AnswerGrows
    | RequestRefused
    | RequestLost
    | RowsDone
    | RowsReused
    | Voted
    | TextCut
    | Spent
    | Unread
    | InBatches
    | Planned
)


Observer = Callable[[Event], None]  # called on the run's loop: be quick, never block


class Events:
    """Passes events on to observers; one that raises gets no more."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def emit(self, event: Event) -> None:
        """Call every observer."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # an observer must never end a run
                log.exception("an observer failed and gets no more events")
                self._observers = [other for other in self._observers if other is not observer]
