"""Text of any origin made fit to be sent, stored and shown."""

from __future__ import annotations


def is_whole(text: str) -> bool:
    """Whether text can be encoded: it holds no lone surrogate."""
    if text.isascii():  # a flag of the string: most texts cost nothing more
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_text(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD.

    A lone surrogate cannot be sent, stored in parquet or held by pandas' text type.
    """
    if is_whole(text):
        return text
    # by way of UTF-16, because it joins two surrogates that make one character
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut(text: str, limit: int) -> str:
    """At most limit characters of text, ending in an ellipsis if some are left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
