"""The two ways of a request: prepared once where that can be, or built by the SDK every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from llmframe.engine.wire import backend

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BY_SDK = """
from llmframe.engine.wire import backend
async def nothing(*_, **__): return None
backend.prepare_requests = nothing
"""  # the same in a program of its own


def let_the_sdk_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing is prepared."""

    async def nothing(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(backend, "prepare_requests", nothing)


def on_both_ways(call: Callable[[], T]) -> tuple[T, T]:
    """What a call returns with prepared requests, and with those of the SDK."""
    prepared = call()
    with pytest.MonkeyPatch.context() as patch:
        let_the_sdk_send(patch)
        return prepared, call()
