"""From a row's rendered text to the text that leaves: redacted first, and not too long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.results import SKIPPED, Failure, RowResult
from llmframe.task.text import shows_nothing
from llmframe.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llmframe.system.processes import Processes

BYTES_PER_TOKEN = 4  # a fixed measure: what a model counts is known only after paying


@dataclass(frozen=True, slots=True)
class TextRules:
    """What is done to every text before it leaves.

    redact: the person's function, None for none; it may take any time. max_tokens: of a
    text, reckoned as UTF-8 bytes / 4, None for no bound. truncate: a longer text loses its
    end; otherwise its row fails. answered: the results of texts whose answers the person has
    given, which are not sent.
    """

    redact: Callable[[str], str] | None = None
    max_tokens: int | None = None
    truncate: bool = False
    answered: Mapping[str, RowResult] = field(default_factory=dict)

    def prepare(self, text: str | RowResult | None) -> str | RowResult:
        """The text to send, or the result of a row that is not sent; never raises.

        text: as rendered; None for a blank row, its result for one that has no text.
        """
        redacted = self.redacted(text)
        return self.unless_answered(self.fit(redacted) if isinstance(redacted, str) else redacted)

    def redacted(self, text: str | RowResult | None) -> str | RowResult:
        """The first step alone; it calls the person's function."""
        if text is None:
            return SKIPPED
        if self.redact is None or isinstance(text, RowResult):
            return text
        return _redact(self.redact, text)

    async def redacted_by(
        self, processes: Processes, texts: Sequence[str | RowResult | None]
    ) -> list[str | RowResult]:
        """The same for many texts, where other processes run the person's function."""
        outcomes = iter(await processes.map([(text,) for text in texts if isinstance(text, str)]))
        return [
            _sendable(*next(outcomes)) if isinstance(text, str) else text or SKIPPED
            for text in texts
        ]

    def fit(self, text: str) -> str | RowResult:
        """The second step alone: the text, its beginning, or the result of a row too long."""
        if not self.is_long(text):
            return text
        if self.truncate:
            kept = text.encode()[: BYTES_PER_TOKEN * (self.max_tokens or 0)].decode(errors="ignore")
            if not shows_nothing(kept):
                return kept
        tokens = -(-len(text.encode()) // BYTES_PER_TOKEN)
        message = (
            f"the text has about {tokens:,} tokens, more than max_input_tokens="
            f"{self.max_tokens:,}; nothing was sent"
        )
        return RowResult("failed", error=Failure("context_length", message))

    def unless_answered(self, text: str | RowResult) -> str | RowResult:
        """The last step alone: the text to send, or the result that the person has given."""
        return self.answered.get(text, text) if isinstance(text, str) else text

    def is_long(self, text: str) -> bool:
        """Whether a text has more tokens than it may."""
        most = self.max_tokens
        if most is None or len(text) * 4 <= BYTES_PER_TOKEN * most:  # a character: 4 bytes at most
            return False
        return len(text.encode()) > BYTES_PER_TOKEN * most


def _redact(redact: Callable[[str], str], text: str) -> str | RowResult:
    """The redacted text; fails closed: where there is none, nothing is sent."""
    try:
        redacted: object = redact(text)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # noqa: BLE001 - a panic of a library in Rust is no Exception
        return _unredacted(type(exc).__name__)
    return _sendable(redacted)


def _sendable(redacted: object, error: str = "") -> str | RowResult:
    """What the person's function returned, as a text to send; error: the name of what it raised."""
    if error:
        return _unredacted(error)
    if not isinstance(redacted, str):
        return _unredacted("TypeError")
    clean = clean_text(redacted)
    return SKIPPED if shows_nothing(clean) else clean


def _unredacted(error: str) -> RowResult:
    return RowResult("failed", error=Failure("redact", f"{error} in redact=; nothing was sent"))


NO_RULES = TextRules()
