"""What limits a run right now, in words, and what limited it over time."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.governor import Binding

SHORT = 20.0  # seconds of a wait that needs no reason
LONG = 600.0  # seconds of a wait whose end is worth knowing
DAY = 43200.0  # seconds, from which on the hour alone might be of another day


def cause(binding: Binding, *, cap: int | None, held: bool) -> str:
    """What limits the run right now; the words stay the same while the cause does.

    cap: requests the person allows at the same time, None for any. held: the person's pause.
    """
    if held:
        return "pause by you"
    if binding.outage:
        return "outage"
    if binding.pause > 0:
        return "provider pause"
    if binding.probing:
        return "the first answer"
    if max(binding.requests, binding.tokens) > 0:
        by = "header" if binding.named else "yours"
        if binding.tokens > binding.requests:
            return f"TPM {binding.tpm:,.0f} ({by})"
        return f"RPM {binding.rpm:,.0f} ({by})"
    limit = binding.limit if cap is None else min(binding.limit, cap)
    if binding.on_wire < limit:
        return "latency"
    if binding.is_cap and limit == binding.limit:
        return "the provider's cap"
    return f"concurrency {limit}" if limit == cap else "concurrency found so far"


def words(binding: Binding, *, cap: int | None, held: bool, refusal: str = "") -> str:
    """The cause with the figures that change from moment to moment.

    refusal: the provider's words on the last refusal, shown where the wait is worth a reason.
    """
    text = cause(binding, cap=cap, held=held)
    if text == "provider pause":
        why = f": {refusal}" if refusal and binding.pause > SHORT else ""
        return f"provider pause, {_span(binding.pause)} left{_until(binding.pause)}{why}"
    if text == "outage":
        wait = f"next check in {_span(binding.pause)}" if binding.pause else "checking"
        return f"outage, {wait}"
    if text == "the provider's cap":
        return f"{binding.limit} at once, the provider's cap"
    if text == "concurrency found so far":
        return f"concurrency {binding.limit}, found so far"
    return text


def _until(seconds: float) -> str:
    """When a long wait is over, by the clock of this machine."""
    if seconds < LONG:
        return ""
    end = datetime.now() + timedelta(seconds=seconds)
    return f", until {end:%H:%M}" if seconds < DAY else f", until {end:%d %B, %H:%M}"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class LimitHistory:
    """What limited a run for how many seconds, and how its own limit moved."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self.limits: list[tuple[float, int]] = []

    def note(self, cause: str, seconds: float, *, at: float, limit: int) -> None:
        """For so many seconds this was the cause; limit: concurrent requests allowed then."""
        self._seconds[cause] += seconds
        if not self.limits or self.limits[-1][1] != limit:
            self.limits.append((at, limit))

    @property
    def most(self) -> str:
        """What limited it for the longest; empty before anything was noted."""
        return max(self._seconds, key=self._seconds.__getitem__, default="")

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the time by what limited it, largest first; they sum to 1."""
        total = sum(self._seconds.values())
        ranked = sorted(self._seconds.items(), key=lambda item: -item[1])
        return {cause: seconds / total for cause, seconds in ranked} if total else {}
