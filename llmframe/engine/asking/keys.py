"""Keys: a hash of what was asked, not of how it was sent.

A row's key names its answer in the checkpoint; a task's digest, the same without the
row's text, names the checkpoint's file. Whatever changes a key buys every answer again,
so what is not set adds nothing: later options must keep that.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from llmframe.errors import PlanError

KEY_BYTES = 16


class KeyMaker:
    """Keys of one task.

    asked: JSON-able description of all that is asked of every row: the prompt's version,
        fields, instructions, model, endpoint and the sampling parameters as given. Raises
        PlanError if it is no JSON.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        try:
            text = json.dumps(asked, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise PlanError(f"an option holds what JSON cannot: {exc}") from exc
        self._state = hashlib.blake2b(text.encode(), digest_size=KEY_BYTES)
        self.digest = self._state.digest()
        self._state.update(b"\n")  # JSON ends here; what follows is the row's text

    def key(self, text: str) -> bytes:
        """The key of a rendered row: 16 bytes."""
        state = self._state.copy()
        state.update(text.encode())
        return state.digest()
