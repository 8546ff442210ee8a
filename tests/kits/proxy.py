"""A TCP proxy before a loopback server, which does to connections what networks do.

with testing.serve() as server, Proxy(server.url) as proxy:
    ...                       # point a client at proxy.url
    proxy.do("drop")          # until proxy.do("pass")

pass      bytes go through
drop      open connections are reset, new ones too, as soon as they are accepted
refuse    open connections are reset, and nobody listens any more
stall     connections stay open and nothing comes through; what was held goes on later
trickle   so many bytes a second come back (``rate``, 1 of them by default)
reset     each connection is reset after so many bytes of its answers (``after``)
half      the same with an orderly end: the server seems to have said all
deaf      what is sent is swallowed, and the connection ends after ``rate`` seconds
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

Mode = Literal["pass", "drop", "refuse", "stall", "trickle", "reset", "half"]
HOST = "127.0.0.1"
CHUNK = 65536


class Proxy:
    """A proxy in a thread of its own; a context manager.

    target: address of the server, with its path. url: the same through the proxy.
    accepted: ``time.monotonic()`` of each connection that was accepted.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        self._target = parts.hostname, parts.port or 80
        self._mode: Mode = "pass"
        self._rate, self._after = 1.0, 0
        self.accepted: list[float] = []
        self._pipes: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._live, name="proxy", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        self.url = f"{parts.scheme}://{HOST}:{self.port}{parts.path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def do(self, mode: Mode, *, rate: float = 1.0, after: int = 0) -> float:
        """From now on do this to every connection; ``time.monotonic()`` when it was in force."""
        assert mode in get_args(Mode)
        asyncio.run_coroutine_threadsafe(self._change(mode, rate, after), self._loop).result(10)
        return time.monotonic()

    def cut(self) -> None:
        """Reset the connections that are open now; new ones go as before."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def close(self) -> None:
        """End the proxy and all its connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    # -- on the proxy's loop ------------------------------------------------------------

    def _live(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end, self._moved = asyncio.Event(), asyncio.Event()
        self.port = 0
        await self._listen()
        self._ready.set()
        await self._end.wait()
        self._listener.close()
        await self._cut()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, HOST, self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _change(self, mode: Mode, rate: float, after: int) -> None:
        self._mode, self._rate, self._after = mode, rate, after
        self._moved.set()
        self._moved = asyncio.Event()
        if mode in ("drop", "refuse"):
            await self._cut()
        if mode == "refuse":
            self._listener.close()
        elif not self._listener.is_serving():
            await self._listen()

    async def _cut(self) -> None:
        for pipe in list(self._pipes):
            _reset(pipe)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(time.monotonic())
        self._pipes.add(writer)
        with contextlib.suppress(OSError):
            if self._mode != "drop":
                await self._join(reader, writer)
        self._pipes.discard(writer)
        _reset(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until either side ends."""
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.ensure_future(self._pump(reader, inner_writer, back=False)),
            asyncio.ensure_future(self._pump(inner_reader, writer, back=True)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        inner_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        passed = 0
        while data := await reader.read(CHUNK):
            while self._mode == "stall":
                await self._moved.wait()
            if back and self._mode in ("reset", "half"):
                data = data[: max(0, self._after - passed)]
                writer.write(data)
                await writer.drain()
                if passed + len(data) >= self._after:
                    await self._finish(writer)
                    return
            elif back and self._mode == "trickle":
                await self._trickle(writer, data)
            else:
                writer.write(data)
                await writer.drain()
            passed += len(data)

    async def _trickle(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for i in range(len(data)):
            writer.write(data[i : i + 1])
            await writer.drain()
            await asyncio.sleep(1 / self._rate)

    async def _finish(self, writer: asyncio.StreamWriter) -> None:
        """The end of a connection in the middle of an answer."""
        await asyncio.sleep(0.01)  # what was written arrives first
        if self._mode == "half":
            writer.write_eof()
            await asyncio.sleep(0.2)  # the other side has seen it, and may still send


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a lost network does, not with an orderly end."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
