"""The handle of a running test server."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Self, Unpack

from llmframe.testing.options import Changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from llmframe.testing.ledger import Ledger

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    Call = Callable[[Callable[[], None]], object]

HOST = "127.0.0.1"


class Server(abc.ABC):
    """A running server. A context manager: leaving the block closes it.

    url: the base URL for a client, ``http://127.0.0.1:PORT/v1``.
    ledger: every request for a chat completion so far.
    """

    url: str

    @property
    @abc.abstractmethod
    def ledger(self) -> Ledger:
        """Every request for a chat completion so far."""

    @abc.abstractmethod
    def update(self, **changes: Unpack[Changes]) -> None:
        """Change options from the next request on; the rest stay. ValueError as in ``serve``."""

    @abc.abstractmethod
    def advance(self, seconds: float) -> None:
        """Move the clock ahead that files and batches live by."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop serving; requests under way are cut off. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
