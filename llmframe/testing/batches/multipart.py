"""The parts of an upload's body, which lies on disk: aiohttp's reader warns, and is slow."""

from __future__ import annotations

import mmap
from email import message_from_bytes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLANK = b"\r\n\r\n"  # ends a part's headers


def parts(body: Path, content_type: str) -> Iterator[tuple[str, str, memoryview]]:
    """Each part's name, its filename ("" without one), and its content while it is the current one.

    Raises ValueError where the body is not multipart, or not whole.
    """
    boundary = message_from_bytes(b"Content-Type: " + content_type.encode()).get_boundary()
    if boundary is None:
        raise ValueError("this is not multipart/form-data")
    mark = b"--" + boundary.encode()
    with body.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        at = _find(raw, mark, 0) + len(mark)
        while raw[at : at + 2] != b"--":
            blank = _find(raw, BLANK, at)
            end = _find(raw, b"\r\n" + mark, blank)
            head = message_from_bytes(raw[at + 2 : blank + 2])
            name = str(head.get_param("name", "", header="content-disposition"))
            filename = str(head.get_param("filename", "", header="content-disposition"))
            with memoryview(raw) as whole, whole[blank + len(BLANK) : end] as content:
                yield name, filename, content
            at = end + 2 + len(mark)


def _find(raw: mmap.mmap, wanted: bytes, at: int) -> int:
    """Where bytes are found first from ``at`` on; ValueError where they are not."""
    if (found := raw.find(wanted, at)) < 0:
        raise ValueError("the body is cut off")
    return found
