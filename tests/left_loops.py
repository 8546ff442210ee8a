"""Loops that a test leaves behind in mid-run: what is on them is thrown away within that test."""

from __future__ import annotations

import gc

import pytest

LEAVES_A_LOOP = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed:ResourceWarning",  # as an error it would keep a transport from closing
)


def throw_away() -> None:
    """Collect what is left, to the last of it: a later test would be blamed for a socket."""
    while gc.collect():  # what ends a collected run leaves more to collect
        pass
