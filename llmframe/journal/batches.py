"""Batches at the provider, as the journal's lines tell of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmframe.journal import lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTED = ("file", "id", "end")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """One batch of a task, that some call began.

    nonce: its name, which the provider has in the batch's metadata. keys: of its rows, as it was
    meant before anything was sent. file, id: the provider's names, "" before they are known. end:
    why it needs nothing more, "" while it does. began, since: unix seconds of its first and its
    last line. owned: it stands in the file that this call writes, so whoever began it is gone.
    """

    nonce: str
    keys: tuple[bytes, ...] = ()
    file: str = ""
    id: str = ""
    end: str = ""
    began: int = 0
    since: int = 0
    owned: bool = False


def join_keys(keys: Iterable[bytes]) -> str:
    """Keys as a line has them."""
    return b"".join(keys).hex()


def read_batches(
    found: Iterable[bytes], task: str, *, owned: bool, known: dict[str, StoredBatch]
) -> None:
    """Add what lines say of the task's batches to what is known, by nonce."""
    for line in found:
        content = lines.read(line) or {}
        nonce = content.get("batch")
        if content.get("task") == task and isinstance(nonce, str):
            known[nonce] = _and(known.get(nonce) or StoredBatch(nonce=nonce), content, owned=owned)


def _and(batch: StoredBatch, content: dict[str, Any], *, owned: bool) -> StoredBatch:
    """The batch with what one more line says."""
    noted = {name: content[name] for name in _NOTED if isinstance(content.get(name), str)}
    at = content.get("t")
    at = at if isinstance(at, int) else 0
    if isinstance(content.get("keys"), str):
        noted["keys"] = _keys(content["keys"])
        batch = replace(batch, began=at, owned=owned)
    return replace(batch, since=max(at, batch.since), **noted)


def _keys(text: str) -> tuple[bytes, ...]:
    try:
        joined = bytes.fromhex(text)
    except ValueError:  # forged: its checksum is right
        return ()
    return tuple(joined[at : at + 16] for at in range(0, len(joined) - 15, 16))
