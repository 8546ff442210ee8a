"""What happens in a run, told to observers; they may fail without harm."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.wire.verdict import Verdict
    from llmframe.results import RowResult, Usage

Source = Literal["request", "shared", "checkpoint", "blank"]

log = logging.getLogger("llmframe")


@dataclass(frozen=True, slots=True)
class RequestSent:
    """A request left. repeated: it is not the row's first. hedge: the first is still out."""

    repeated: bool
    hedge: bool = False


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The provider refused a request (429, or 503 with Retry-After)."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RowsDone:
    """Rows have their result; the checkpoint's line, if any, is written.

    positions: of the rows in the frame. source: what the result came from.
    """

    positions: Sequence[int]
    result: RowResult
    source: Source


@dataclass(frozen=True, slots=True)
class TextCut:
    """A row's text was too long and lost its end. position: of the row in the frame."""

    position: int


@dataclass(frozen=True, slots=True)
class RowsReused:
    """Rows have their answer from the checkpoint, each its own.

    positions: of the rows in the frame.
    """

    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class BoundBy:
    """Something else binds the run from now on."""

    cause: str


@dataclass(frozen=True, slots=True)
class Spent:
    """Replies were paid for a row that stays pending."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Planned:
    """Every row has been looked at: the counts are exact from here on."""


Event = RequestSent | RequestRefused | RowsDone | RowsReused | TextCut | BoundBy | Spent | Planned


class Observer(Protocol):
    """Called with every event, on the run's loop: be quick, never block."""

    def __call__(self, event: Event) -> None:
        """Take note."""


class Events:
    """Tells observers; one that raises is told nothing more."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def emit(self, event: Event) -> None:
        """Tell every observer."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # an observer must never end a run
                log.exception("an observer failed and is told nothing more")
                self._observers = [other for other in self._observers if other is not observer]
