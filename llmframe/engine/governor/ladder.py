"""What an endpoint understands: response formats and parameters, found out once, not per row."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

ResponseFormat = Literal["json_schema", "json_object", "plain"]

_FORMATS: tuple[ResponseFormat, ...] = ("json_schema", "json_object", "plain")
_DROPPABLE = ("temperature", "seed", "logprobs")
_CAP = re.compile(r"max_completion_tokens", re.IGNORECASE)
_FORMAT = re.compile(r"response_format|json_schema|structured output|json mode", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"unsupported|not supported|unknown|unrecognized|unexpected|not (?:allowed|permitted)|invalid"
    r"|extra|does not (?:support|exist)|only the default",
    re.IGNORECASE,
)
STREAK = 3  # refusals in a row of what has worked before: then it is believed


@dataclass(frozen=True, slots=True)
class Rung:
    """How a request is written.

    response_format: how JSON is asked for. cap: the name of the output's cap.
    dropped: parameters that this endpoint does not take.
    """

    response_format: ResponseFormat = "json_schema"
    cap: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    dropped: frozenset[str] = frozenset()

    def below(
        self, param: str | None, said: str, given: frozenset[str] = frozenset()
    ) -> Rung | None:
        """The next rung after a refusal of a parameter; None if it named none of ours.

        param: the error's ``param``, else its message tells. given: parameters that the
        person gave, which are never dropped in silence.
        """
        about = f"{param or ''} {said}" if param or _UNKNOWN.search(said) else ""
        if self.cap == "max_completion_tokens" and _CAP.search(about):
            return replace(self, cap="max_tokens")
        for name in _DROPPABLE:
            if name not in self.dropped | given and re.search(rf"\b{name}\b", about):
                return replace(self, dropped=self.dropped | {name})
        if _FORMAT.search(about):
            return self.simpler()
        return None

    def simpler(self) -> Rung | None:
        """The same with the next simpler response format; None at the end."""
        at = _FORMATS.index(self.response_format)
        if at + 1 == len(_FORMATS):
            return None
        return replace(self, response_format=_FORMATS[at + 1])


TOP_RUNG = Rung()


class Ladder:
    """The rung of one endpoint and model; shared by its runs, called under the governor's lock."""

    def __init__(self) -> None:
        self.rung = Rung()
        self.known = False
        self._worked: set[Rung] = set()
        self._streak = 0
        self._server_errors = 0

    def begin_at(self, rung: Rung) -> None:
        """What is known before the first request; what was found out stays."""
        if self.rung == TOP_RUNG and not self.known:
            self.rung = rung

    def succeeded(self, rung: Rung) -> None:
        """A request written so was answered."""
        self.known = True
        self._worked.add(rung)
        self._streak = 0

    def refused(
        self, rung: Rung, param: str | None, said: str, given: frozenset[str] = frozenset()
    ) -> bool:
        """A request written so got a 400; tells whether to send it again, written anew.

        A request of an older rung is always sent again. What has worked before is given up
        only after three refusals in a row.
        """
        if rung != self.rung:
            return True
        lower = rung.below(param, said, given)
        if lower is None:
            return False
        self._streak += 1
        if rung in self._worked and self._streak < STREAK:
            return False
        self._streak = 0
        self.rung = lower
        return True

    def broke(self, rung: Rung) -> None:
        """The server answered a probe with a 5xx: the second under a schema tries without."""
        if self.known:
            return
        self._server_errors += 1
        if rung == self.rung and rung.response_format == "json_schema" and self._server_errors == 2:
            self.rung = replace(rung, response_format="json_object")
