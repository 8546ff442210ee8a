"""Where a review is shown: in a widget, or on the line."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError
from llmframe.notebook import hosts

if TYPE_CHECKING:
    from llmframe.notebook.review.question import Reviewing

POLL = 0.1  # seconds between two looks whether all rows are judged
NOBODY = (
    "nobody can be asked here: this is neither a notebook nor a terminal. With a column of labels "
    'that are right, no review is needed: df.llm.score("intent", truth="gold")'
)
KEYS_WAIT = (
    "while a cell waits, this notebook's keys do not reach the kernel: judge the rows first, then "
    "run the next cell"
)


def open_view(review: Reviewing) -> Any | None:
    """Show the review here: by a widget in a notebook, on the line in a terminal.

    Returns the widget, None where there is none.
    """
    if hosts.kernel() is not None and hosts.has_ipywidgets():
        from llmframe.notebook.review.widget import ReviewWidget

        view = ReviewWidget(review)
        view.open()
        return view
    if _can_ask():
        from llmframe.notebook.review.lines import ask_on_the_line

        ask_on_the_line(review)
    return None


def _can_ask() -> bool:
    """Whether a question on the line reaches a person."""
    if hosts.kernel() is not None or hosts.marimo() is not None:
        return True
    return all(one is not None and one.isatty() for one in (sys.stdin, sys.stdout))


def wait_for(review: Reviewing, timeout: float | None = None) -> bool:
    """Wait until all rows are judged; False if the time is over. PlanError where nobody can."""
    end = None if timeout is None else time.monotonic() + timeout
    if not review.question().has_row:
        return True
    kernel = hosts.kernel()
    if kernel is None or not hosts.has_ipywidgets():
        if not _can_ask():
            raise PlanError(NOBODY)
        open_view(review)
        return not review.question().has_row
    # the waiting cell holds the main shell: only in a subshell can keys be handled meanwhile
    if not hosts.has_subshell(kernel):
        raise PlanError(KEYS_WAIT)
    while review.question().has_row:
        if end is not None and time.monotonic() >= end:
            return False
        time.sleep(POLL)
    return True
