"""A reply has a size limit, announced or counted; more than that is not read."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from llmframe.engine.wire.reply_size import MEGABYTE, MOST, MOST_PACKED, limit_size
from llmframe.engine.wire.verdict import BadReply


class Parts(httpx2.AsyncByteStream):
    """A body in parts of one megabyte."""

    def __init__(self, n):
        self.left, self.closed = n, False

    async def __aiter__(self):
        while self.left:
            self.left -= 1
            yield b" " * MEGABYTE

    async def aclose(self):
        self.closed = True


def read(megabytes, **headers):
    """The bytes of a body that were taken in, and its stream."""
    parts = Parts(megabytes)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(200, headers=named, stream=parts)

    async def main():
        await limit_size(response)
        return len(b"".join([part async for part in response.aiter_raw()]))

    return asyncio.run(main()), parts


def test_a_reply_of_a_sane_size_is_read_and_closed():
    taken, parts = read(3)
    assert taken == 3 * MEGABYTE
    assert parts.closed


def test_a_reply_without_end_is_left_at_the_bound():
    with pytest.raises(BadReply, match="more than 32 MB"):
        read(10**9)


def test_a_packed_reply_has_a_smaller_bound():
    assert MOST_PACKED < MOST
    with pytest.raises(BadReply, match="more than 2 MB"):
        read(3, content_encoding="gzip")


def test_an_announced_length_is_believed():
    with pytest.raises(BadReply, match="more than 32 MB"):
        read(0, content_length=str(MOST + 1))
    assert read(0, content_length=str(MOST))[0] == 0


def test_a_stream_of_another_kind_is_left_alone():
    stream = httpx2.SyncByteStream()
    response = httpx2.Response(200, stream=stream)
    asyncio.run(limit_size(response))
    assert response.stream is stream
