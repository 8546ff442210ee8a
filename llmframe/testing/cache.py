"""A provider's cache of prompts: what begins as an earlier prompt did costs less."""

from __future__ import annotations

from zlib import crc32

BLOCK = 64  # tokens; a shorter rest is not cached, as at DeepSeek
_BYTES = 4 * BLOCK


class PromptCache:
    """The beginnings of the prompts that were answered, block by block."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def hits(self, prompt: str) -> int:
        """How many tokens at the prompt's beginning are cached."""
        tokens = 0
        for block in _blocks(prompt):
            if block not in self._seen:
                break
            tokens += BLOCK
        return tokens

    def remember(self, prompt: str) -> None:
        """The prompt was worked on."""
        self._seen.update(_blocks(prompt))


def _blocks(prompt: str) -> list[tuple[int, int]]:
    """Each whole block: its number, and the checksum of all from the beginning to its end."""
    data, checksum, blocks = prompt.encode("utf-8", "surrogatepass"), 0, []
    for number in range(len(data) // _BYTES):
        checksum = crc32(data[number * _BYTES : (number + 1) * _BYTES], checksum)
        blocks.append((number, checksum))
    return blocks
