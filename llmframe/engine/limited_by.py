"""What limits a run right now, in words, and what limited it over time."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from llmframe.text import cut

if TYPE_CHECKING:
    from llmframe.engine.governor import Binding
    from llmframe.engine.wire.verdict import Verdict

BATCH = "batch"  # the cause while the provider has the rows in batches
SHORT = 20.0  # seconds of a wait that needs no reason
LONG = 600.0  # seconds of a wait whose end is worth knowing
OWN = 90  # characters of the endpoint's own words on an outage
DAY = 43200.0  # seconds, from which on the hour alone might be of another day


class Bounds(TypedDict):
    """What is allowed beside the provider's limits, as keyword arguments of ``cause``."""

    cap: int | None
    own: bool
    held: bool


def cause(binding: Binding, *, cap: int | None, held: bool, own: bool = True) -> str:
    """What limits the run right now; the words stay the same while the cause does.

    cap: requests allowed at the same time, None for any. own: by the person, else by the server
    on this machine. held: the person's pause.
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
    if limit != cap:
        return "concurrency found so far"
    return f"concurrency {limit}" if own else "the server's slots"


def words(
    binding: Binding, *, cap: int | None, held: bool, refusal: str = "", own: bool = True
) -> str:
    """The cause with the figures that change from moment to moment.

    refusal: the provider's words on the last refusal, shown where the wait is worth a reason.
    own: as in cause.
    """
    text = cause(binding, cap=cap, held=held, own=own)
    if text == "provider pause":
        why = f": {refusal}" if refusal and binding.pause > SHORT else ""
        return f"provider pause, {span(binding.pause)} left{_until(binding.pause)}{why}"
    if text == "outage":
        wait = f"next check in {span(binding.pause)}" if binding.pause else "checking"
        return f"outage, {wait}"
    if text == "the provider's cap":
        return f"{binding.limit} at once, the provider's cap"
    if text == "concurrency found so far":
        return f"concurrency {binding.limit}, found so far"
    return text


def pace(
    binding: Binding,
    *,
    cap: int | None,
    held: bool,
    refusal: str = "",
    lost: Verdict | None = None,
    own: bool = True,
) -> str:
    """What sets the pace right now, or holds the run up, in a plain sentence.

    refusal, own: as in words. lost: the last failure of a request, by which an outage is described.
    """
    text = cause(binding, cap=cap, held=held, own=own)
    if text == "outage":
        return _outage(binding.pause, lost)
    if text == "provider pause":
        why = f" ({refusal})" if refusal and binding.pause > SHORT else ""
        wait = f"{span(binding.pause)} left{_until(binding.pause)}"
        return f"the provider asked for a pause{why}: {wait}; nothing is lost"
    if text.startswith(("RPM", "TPM")):
        unit, number = ("requests", binding.rpm) if text[0] == "R" else ("tokens", binding.tpm)
        whose = "the provider allows" if binding.named else "you allow"
        return f"{whose} {number:,.0f} {unit} a minute"
    return {
        "pause by you": "paused by you; nothing new is sent until it goes on",
        "the first answer": "waiting for the first answer before more is sent",
        "latency": "how fast the model answers sets the pace",
        "the provider's cap": f"the provider takes {binding.limit:,} requests at a time",
        "the server's slots": f"{cap or 0:,} requests at a time, as many as the server works on",
        "concurrency found so far": (
            f"{binding.limit:,} requests at a time; more are tried as long as the provider takes "
            "them"
        ),
    }.get(text, f"{cap or 0:,} requests at a time, the most that concurrency= allows")


def _outage(pause: float, lost: Verdict | None) -> str:
    """``the provider is down, HTTP 503 ("overloaded"): tried again in 4 s; nothing is lost``."""
    state, own = "the provider is down", ""
    if lost is not None:
        silent = {"timeout": "does not answer", "connection": "cannot be reached"}
        if lost.status:
            state += f", HTTP {lost.status}"
        else:
            state = f"the provider {silent.get(lost.kind, 'is down')}"
        own = f' ("{cut(lost.message, OWN)}")' if lost.message else ""
    again = f"tried again in {span(pause)}" if pause >= 1 else "being tried again now"
    return f"{state}{own}: {again}; nothing is lost"


def _until(seconds: float) -> str:
    """When a long wait is over, by the clock of this machine."""
    if seconds < LONG:
        return ""
    end = datetime.now() + timedelta(seconds=seconds)
    return f", until {end:%H:%M}" if seconds < DAY else f", until {end:%d %B, %H:%M}"


def span(seconds: float) -> str:
    """Seconds, minutes or hours, in a few words."""
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
