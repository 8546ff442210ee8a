"""Loops that a test leaves behind in mid-run: what is on them is thrown away within that test.

What is collected later would be taken for another test's: its socket, its traceback.
"""

from __future__ import annotations

import gc
import logging
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILTERS = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning",  # as an error it would keep a transport from closing
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)


def leaves_a_loop(test):
    """Mark a test that does so."""
    return _FILTERS(pytest.mark.usefixtures("left_loops")(test))


def throwing_away() -> Iterator[None]:
    """While a test leaves loops behind nobody keeps a record of their end, and with it them."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    logging.getLogger("asyncio").disabled = True
    yield
    while gc.collect():  # what ends a collected run leaves more to collect
        pass
    logging.getLogger("asyncio").disabled = False
    sys.unraisablehook = before
