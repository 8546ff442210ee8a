"""A limit on the size of a reply: an endless one must not fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from llmframe.engine.wire.verdict import BadReply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEGABYTE = 2**20
MOST = 32 * MEGABYTE  # bytes of a reply as it comes over the wire
MOST_PACKED = 2 * MEGABYTE  # the same of a compressed one, which may unpack to much more


async def limit_size(response: httpx2.Response) -> None:
    """A client's hook: reading a response that is too large ends in BadReply."""
    most = MOST_PACKED if "content-encoding" in response.headers else MOST
    size = response.headers.get("content-length", "")
    if size.isdecimal() and int(size) > most:
        raise _too_much(most)
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Limited(response.stream, most)


class _Limited(httpx2.AsyncByteStream):
    """A stream of bytes that ends at its limit."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for part in self._stream:
            left -= len(part)
            if left < 0:
                raise _too_much(self._most)
            yield part

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


def _too_much(most: int) -> BadReply:
    return BadReply(f"the endpoint answered with more than {most // MEGABYTE} MB")
