"""How a request is written so that an endpoint understands it."""

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


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a request is written.

    response_format: how JSON is asked for. cap: the name of the output's cap.
    dropped: parameters that this endpoint does not take.
    """

    response_format: ResponseFormat = "json_schema"
    cap: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    dropped: frozenset[str] = frozenset()

    def below(
        self, param: str | None, said: str, given: frozenset[str] = frozenset()
    ) -> Dialect | None:
        """The next dialect after a refusal of a parameter; None if it named none of ours.

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

    def simpler(self) -> Dialect | None:
        """The same with the next simpler response format; None at the end."""
        at = _FORMATS.index(self.response_format)
        if at + 1 == len(_FORMATS):
            return None
        return replace(self, response_format=_FORMATS[at + 1])


FULL_DIALECT = Dialect()
