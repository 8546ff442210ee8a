"""The child process of a server: it serves until its parent leaves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import threading
from typing import Any

from aiohttp import web

from llmframe.testing.endpoint import Endpoint
from llmframe.testing.options import Options
from llmframe.testing.server import listen

PARENT_CHECK = 1.0  # seconds between two checks that the parent is alive


class Control:
    """An endpoint with a private path for the parent: ledger, clear, update, advance."""

    def __init__(self, endpoint: Endpoint, private: str) -> None:
        self.endpoint = endpoint
        self.private = private

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a private request here, any other at the endpoint."""
        if not request.path.startswith(self.private):
            return await self.endpoint(request)
        value = json.loads(await request.content.read())
        answer = self.obey(request.path.rpartition("/")[2], value)
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

    def obey(self, what: str, value: dict[str, Any]) -> object:
        """Do what the parent asks, and the answer for it."""
        ledger = self.endpoint.ledger
        if what == "ledger":
            return [dataclasses.astuple(call) for call in ledger.calls[value["since"] :]]
        if what == "objects":
            found = ledger.objects
            return [found.files, found.batches, found.steps]
        if what == "clear":
            ledger.clear()
        elif what == "advance":
            self.endpoint.batches.clock.advance(value["seconds"])
        else:
            self.endpoint.apply(self.endpoint.options.changed(value))
        return None


def run_child() -> None:
    """Read the order from stdin, tell the port on stdout, serve until stdin ends."""
    order = json.loads(sys.stdin.readline())
    if order["cpu"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order["cpu"]})
    endpoint = Endpoint(Options().changed(order["options"]))
    control = Control(endpoint, order["private"])
    try:
        asyncio.run(_serve(control, order["port"]))
    except (OSError, OverflowError) as exc:
        _say({"failed": str(exc)})


async def _serve(control: Control, port: int) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(listen(control, port, lambda bound: _say({"port": bound})))
    threading.Thread(target=_await_end, args=(loop, serving), daemon=True).start()
    parent = os.getppid()
    while not serving.done():
        await asyncio.wait([serving], timeout=PARENT_CHECK)
        if os.getppid() != parent:  # a fork of the parent may hold our stdin open
            serving.cancel()
    if not serving.cancelled():
        serving.result()


def _await_end(loop: asyncio.AbstractEventLoop, serving: asyncio.Future[None]) -> None:
    """The thread: wait until the parent closes our stdin or dies."""
    while os.read(0, 4096):
        continue
    loop.call_soon_threadsafe(serving.cancel)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
