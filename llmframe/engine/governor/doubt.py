"""Whether a refusal that may be one row's is everybody's: a health probe decides."""

from __future__ import annotations

# refusals without an answer in between, the last one of a health probe: it is not the rows
EVIDENCE = 3
EVIDENCE_AT_FIRST = 2  # the same where nothing was ever answered
MOST = 8  # rows refused in a row, until a probe is sent


class Doubt:
    """Rows whose refusal may concern all rows, until something is answered.

    is_on: the next request is a health probe, and nothing else leaves until it is back.
    owner: the share of the run whose probe it has to be, None for any.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.owner: object = None
        self._refused = 0
        self._since = 0.0  # when the first of them came back
        self._enough = 1  # rows refused, until a probe is sent
        self._on_wire = False

    @property
    def is_asking(self) -> bool:
        """Whether the probe is on the wire: all others wait for it."""
        return self.is_on and self._on_wire

    def suspect(self, now: float) -> None:
        """One more row was refused."""
        if not self._refused:
            self._since = now
        self._refused += 1
        if self._refused >= self._enough:
            self.is_on = True

    def probe_refused(self, *, answered: bool) -> bool:
        """A probe was refused like the rows; True if that is enough to say that all are.

        answered: other requests have been answered before. A gateway may refuse by chance.
        """
        self._refused += 1
        return self._refused >= (EVIDENCE if answered else EVIDENCE_AT_FIRST)

    def ask(self, owner: object) -> None:
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
        self._refused = 0
        if self.is_on and (probe or self.owner is None):
            # the same again: probes must not cost more and more, nor come too late
            self._enough = min(MOST, 2 * self._enough)
            self.is_on, self.owner = False, None

    def drop(self, owner: object) -> None:
        """The run sends nothing more, or pauses: nobody waits for its probe."""
        if self.owner is owner:
            self.is_on, self.owner = False, None
