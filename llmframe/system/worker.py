"""What a process of ``Processes`` runs: one function, called with whatever comes in.

It is started as a file of its own, so that it loads the function and what that needs, and nothing
of llmframe: a process takes 10 MB instead of 90.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Outcome = tuple[Any, str]
"""What a function returned and ""; or None and the error's name, never its words: they may quote
what the function was to keep secret."""


def main() -> None:
    """Load the function, say how that went, then answer every list of arguments."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints must not come between the replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    requests = sys.stdin.buffer
    try:
        sys.path[:] = pickle.load(requests)  # noqa: S301 - as above
        function, failure = pickle.load(requests), ""  # noqa: S301 - as above
    except BaseException as exc:  # noqa: BLE001 - modules of the person's are run by it
        function, failure = None, f"{type(exc).__name__}: {exc}"
    _send(failure, replies)
    lists: queue.SimpleQueue[Sequence[Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, lists), daemon=True).start()
    while True:
        _send([_attempt(function, arguments) for arguments in lists.get()], replies)


def _receive(requests: BinaryIO, lists: queue.SimpleQueue[Sequence[Any]]) -> None:
    """Read requests until the parent closes the pipe or dies, which ends a busy process, too."""
    try:
        while True:
            lists.put(pickle.load(requests))  # noqa: S301 - as above
    finally:
        os._exit(0)


def _attempt(function: Callable[..., Any] | None, arguments: Sequence[Any]) -> Outcome:
    try:
        assert function is not None
        result = function(*arguments)
        if isinstance(result, str):
            result = str.__str__(result)  # a class of the person's may not exist in the parent
        pickle.dumps(result)
    except BaseException as exc:  # noqa: BLE001 - also SystemExit, and a Rust library's panic
        return None, type(exc).__name__
    return result, ""


def _send(reply: object, replies: BinaryIO) -> None:
    pickle.dump(reply, replies)
    replies.flush()


if __name__ == "__main__":
    main()
