"""A limit on the size of a reply: an endless one must not fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from llmframe.engine.wire.verdict import BadReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

MEGABYTE = 2**20
MOST = 32 * MEGABYTE  # bytes of a reply, unpacked
MOST_PACKED = 2 * MEGABYTE  # bytes of a compressed reply as it comes over the wire
FILE = "/content"  # ends a file's address; a file is written to the disk, part by part


async def limit_replies(response: httpx2.Response) -> None:
    """A client's hook: the same for every response but the content of a file."""
    if not response.request.url.path.endswith(FILE):
        await limit_size(response)


async def limit_size(response: httpx2.Response) -> None:
    """Make reading a response that is too large end in BadReply."""
    packing = response.headers.get("content-encoding")
    most = MOST if packing is None else MOST_PACKED
    check_length(response.headers.get("content-length", ""), most)
    if not isinstance(response.stream, httpx2.AsyncByteStream):
        return
    response.stream = _Limited(response.stream, most)
    if packing is not None:  # a small one may unpack to a thousand times as much
        response.stream = _Limited(_Unpacked(response.stream, packing), MOST)
        del response.headers["content-encoding"]


def check_length(length: str, most: int) -> None:
    """Raise BadReply if a reply's ``content-length`` says that it is too large."""
    if length.isdecimal() and int(length) > most:
        raise _too_much(most)


async def limited(parts: AsyncIterable[bytes], most: int) -> AsyncIterator[bytes]:
    """The parts of a body, up to so many bytes; then BadReply is raised."""
    left = most
    async for part in parts:
        left -= len(part)
        if left < 0:
            raise _too_much(most)
        yield part


class _Limited(httpx2.AsyncByteStream):
    """A stream of bytes that ends at its limit."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    def __aiter__(self) -> AsyncIterator[bytes]:
        return limited(self._stream, self._most)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


class _Unpacked(httpx2.AsyncByteStream):
    """What httpx2 unpacks from a packed stream, part by part."""

    def __init__(self, stream: httpx2.AsyncByteStream, packing: str) -> None:
        headers = {"content-encoding": packing}
        self._packed = httpx2.Response(200, headers=headers, stream=stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._packed.aiter_bytes()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._packed.aclose()


def _too_much(most: int) -> BadReply:
    return BadReply(f"the endpoint answered with more than {most // MEGABYTE} MB")
