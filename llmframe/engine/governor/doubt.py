"""Whether a refusal that may be one row's is everybody's: a health probe decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.governor.share import Share

SEVERAL = 3  # rows refused without an answer in between, where requests were answered before


class Doubt:
    """Rows whose refusal may concern all rows, until something is answered.

    is_on: the next request is a health probe, and nothing else leaves until it is back.
    owner: the run whose probe it has to be, None for any.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.owner: Share | None = None
        self._rows = 0
        self._since = 0.0  # when the first of them came back
        self._enough = SEVERAL
        self._on_wire = False

    @property
    def is_asking(self) -> bool:
        """Whether the probe is on the wire: all others wait for it."""
        return self.is_on and self._on_wire

    def suspect(self, now: float, *, answered: bool) -> None:
        """One more row was refused; answered: other requests have been answered before."""
        if not self._rows:
            self._since = now
        self._rows += 1
        if self._rows >= (self._enough if answered else 1):
            self.is_on = True

    def ask(self, owner: Share) -> None:
        """This run wants its own probe: only that one's answer shows what it has to know."""
        self.is_on, self.owner = True, owner

    def sent(self, *, probe: bool) -> None:
        """A request leaves."""
        self._on_wire = self._on_wire or probe

    def taken_off(self, *, probe: bool) -> None:
        """A request is off the wire, whatever came of it."""
        if probe:
            self._on_wire = False

    def answered(self, sent_at: float, *, probe: bool) -> None:
        """A request was answered: what was refused before it left was the rows' own fault."""
        if sent_at < self._since and not probe:
            return
        self._rows = 0
        if self.is_on and (probe or self.owner is None):
            self._enough *= 2  # the same again: probes must not cost more and more
            self.is_on, self.owner = False, None

    def drop(self, owner: Share) -> None:
        """The run leaves: nobody waits for its probe any more."""
        if self.owner is owner:
            self.is_on, self.owner = False, None
