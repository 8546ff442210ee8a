"""The head of a GGUF file: how large a context the model was made for, and what one costs.

Read is what stands before the vocabulary: the magic, the counts and the first few values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
MOST = 1 << 20  # bytes of one text, and values in one array, that can be true
_STRING, _ARRAY = 8, 9
_FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
CACHE_BYTES = 2  # of one number in the cache, which is in half precision


@dataclass(frozen=True, slots=True)
class Weights:
    """What a file of weights says of itself.

    context: tokens of the longest text that the model was made for, None where it does not
    say. token_bytes: memory that one token of context takes while the model works.
    """

    context: int | None
    token_bytes: int | None


def read_head(path: Path) -> Weights:
    """What the file says of itself. ValueError if it is no GGUF file, OSError if unreadable."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ValueError("it does not begin as a GGUF file does")
        try:
            values = _read_values(file)
        except (struct.error, KeyError, UnicodeDecodeError) as exc:
            raise ValueError(f"its head cannot be read: {exc}") from exc
    return _weights(values)


def _weights(values: dict[str, Any]) -> Weights:
    kind = values.get("general.architecture")

    def number(name: str) -> int | None:
        value = values.get(f"{kind}.{name}")
        if isinstance(value, list):  # one for each layer
            value = max(value, default=None)
        return value if isinstance(value, int) and value > 0 else None

    layers, heads = number("block_count"), number("attention.head_count")
    width = number("attention.key_length")
    if width is None and heads is not None:
        width = (number("embedding_length") or 0) // heads
    cached = number("attention.head_count_kv") or heads
    if not (layers and cached and width):
        return Weights(number("context_length"), None)
    return Weights(number("context_length"), 2 * layers * cached * width * CACHE_BYTES)


def _read_values(file: BinaryIO) -> dict[str, Any]:
    """The values by name, up to those of the vocabulary, which are many and come last."""
    _, _, count = struct.unpack("<IQQ", file.read(20))
    values: dict[str, Any] = {}
    for _ in range(count):
        name = _string(file)
        if name.startswith("tokenizer."):
            break
        values[name] = _value(file, _number(file, "<I"))
    return values


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _number(file, _FORMATS[kind])
    inner, length = _number(file, "<I"), _number(file, "<Q")
    if length > MOST:
        raise KeyError(f"an array of {length} values")
    return [_value(file, inner) for _ in range(length)]


def _string(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > MOST:
        raise KeyError(f"a text of {length} bytes")
    return file.read(length).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]
