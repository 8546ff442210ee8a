"""Messages of providers made fit to be shown: one line, short, and without keys."""

from __future__ import annotations

import re

from llmframe.errors import visible
from llmframe.text import cut

MESSAGE_LIMIT = 200  # characters of a provider's message that are kept
_SECRETS = re.compile(
    r"(?i)\b(?:bearer\s+\S+|(?:sk|pk|rk|gsk|key|xai)[-_][A-Za-z0-9_\-*.]{6,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,})"  # a token that a sign-in has given
)


class Scrubber:
    """Takes keys out of a provider's texts before anybody sees them."""

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = sorted({s for s in secrets if s and len(s) >= 6}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text in one line, without keys, cut to 200 characters."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        text = _SECRETS.sub("[key]", " ".join(text.split()))
        text = visible(text.encode("utf-8", "replace").decode())
        return cut(text, MESSAGE_LIMIT)
