"""How a request is written so that an endpoint accepts it, and what to drop when it does not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

ResponseFormat = Literal["json_schema", "json_object", "plain"]

_FORMATS: tuple[ResponseFormat, ...] = ("json_schema", "json_object", "plain")  # best first
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

    response_format: how JSON is asked for. cap: the parameter that limits the output.
    dropped: parameters that this endpoint refuses.
    """

    response_format: ResponseFormat = "json_schema"
    cap: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    dropped: frozenset[str] = frozenset()

    def below(
        self, param: str | None, message: str, given: frozenset[str] = frozenset()
    ) -> Dialect | None:
        """The next simpler dialect after a refusal; None if it names none of our parameters.

        param, message: of the error. given: parameters that the person gave, which are kept.
        """
        # Without param= only a message that calls something unknown is about a parameter: others
        # may quote the row's text.
        refused = f"{param or ''} {message}" if param or _UNKNOWN.search(message) else ""
        if self.cap == "max_completion_tokens" and _CAP.search(refused):
            return replace(self, cap="max_tokens")
        for name in _DROPPABLE:
            if name not in self.dropped | given and re.search(rf"\b{name}\b", refused):
                return replace(self, dropped=self.dropped | {name})
        return self.simpler() if _FORMAT.search(refused) else None

    def simpler(self) -> Dialect | None:
        """The same with the next simpler response format; None at the end."""
        rest = _FORMATS[_FORMATS.index(self.response_format) + 1 :]
        return replace(self, response_format=rest[0]) if rest else None


FULL_DIALECT = Dialect()
