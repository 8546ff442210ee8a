"""Text into a binary file: encoded, and compressed as the file's name says."""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from typing import TYPE_CHECKING, Any

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

_GZIP = 31  # zlib's word for gzip's own header and trailer
_PACKERS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.compressobj(6, zlib.DEFLATED, _GZIP),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
}
_OTHERS = (".zip", ".zst", ".7z", ".tar", ".tgz", ".rar")


def check_packing(path: Path) -> None:
    """PlanError for a suffix that promises a packing which is not done."""
    if path.suffix.lower() in _OTHERS:
        raise PlanError(f"{path.suffix} is not written; end the name in {', '.join(_PACKERS)}")


def check_encoding(encoding: str) -> None:
    """PlanError for an encoding that does not exist."""
    try:
        "".encode(encoding)
    except (LookupError, TypeError) as exc:
        raise PlanError(
            f"encoding={encoding!r} is none; utf-8-sig (which Excel knows by its mark) or utf-8"
        ) from exc


class TextFile:
    """What text is written to; ``finish`` writes what is held back."""

    def __init__(self, handle: BinaryIO, path: Path, encoding: str) -> None:
        self._handle = handle
        self._encoder = codecs.getincrementalencoder(encoding)()
        self._encoding = encoding
        packer = _PACKERS.get(path.suffix.lower())
        self._packer = packer() if packer else None

    def write(self, text: str) -> None:
        """Append text. PlanError where the encoding has no bytes for it."""
        try:
            data = self._encoder.encode(text)
        except UnicodeEncodeError as exc:
            sign = text[exc.start : exc.end]
            raise PlanError(
                f"encoding={self._encoding!r} has no {sign!r}; use utf-8-sig, which has all"
            ) from exc
        self._handle.write(self._packer.compress(data) if self._packer else data)

    def finish(self) -> None:
        """Write the end."""
        if self._packer:
            self._handle.write(self._packer.flush())
