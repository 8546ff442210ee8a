"""How long the long way is: ``LLMFRAME_SOAK``, the share of it that is gone; 1 if it is not set."""

import os

SHARE = float(os.environ.get("LLMFRAME_SOAK", "1"))


def times(whole: int, least: int = 1) -> int:
    """How many there are of what the whole way has so many of, but never less than least."""
    return max(least, round(whole * SHARE))
