"""A reply has a size limit, announced or counted; more than that is not read."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib

import httpx2
import pytest

from llmframe.engine.wire.reply_size import MEGABYTE, MOST, MOST_PACKED, limit_size
from llmframe.engine.wire.verdict import BadReply


class Parts(httpx2.AsyncByteStream):
    """A body of the same part over and over, of a megabyte if nothing else is said."""

    def __init__(self, n, part=b" " * MEGABYTE):
        self.left, self.closed, self.part = n, False, part

    async def __aiter__(self):
        while self.left:
            self.left -= 1
            yield self.part

    async def aclose(self):
        self.closed = True


def read(parts, **headers):
    """The bytes of a body that were taken in, and its stream."""
    parts = Parts(parts) if isinstance(parts, int) else parts
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(200, headers=named, stream=parts)

    async def main():
        await limit_size(response)
        return len(await response.aread())

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
    noise = gzip.compress(random.Random(1).randbytes(MEGABYTE))
    assert read(Parts(1, noise), content_encoding="gzip")[0] == MEGABYTE
    with pytest.raises(BadReply, match="more than 2 MB"):
        read(Parts(3, noise), content_encoding="gzip")


@pytest.mark.parametrize("packing", ["gzip", "deflate", "gzip, gzip"])
def test_a_small_reply_that_unpacks_to_much_more_is_left_at_the_bound(packing):
    pack = zlib.compress if packing == "deflate" else gzip.compress
    bomb = pack(b" " * 64 * MEGABYTE)
    if packing == "gzip, gzip":
        bomb = gzip.compress(bomb)
    assert len(bomb) < MEGABYTE / 10
    with pytest.raises(BadReply, match="more than 32 MB"):
        read(Parts(1, bomb), content_encoding=packing)


def test_an_announced_length_is_believed():
    with pytest.raises(BadReply, match="more than 32 MB"):
        read(0, content_length=str(MOST + 1))
    assert read(0, content_length=str(MOST))[0] == 0


def test_a_stream_of_another_kind_is_left_alone():
    stream = httpx2.SyncByteStream()
    response = httpx2.Response(200, stream=stream)
    asyncio.run(limit_size(response))
    assert response.stream is stream
