"""An endpoint: its address, its key, its client."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

from llmframe.secret import header_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

KEYLESS = "no-key-needed"  # sent as the key to a server that needs none


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    base_url: root of the API, with its ``/v1``. api_key: kept in memory only.
    client: the person's AsyncOpenAI, None for our own. owned: we close it.
    api: which of OpenAI's APIs it is asked by. key_source: where the key was found, for
    people. is_alive: whether a server that we started still runs; None for all others.
    """

    base_url: str
    api_key: str
    client: Any = None
    _: KW_ONLY
    api: Literal["chat", "responses", "embeddings"] = "chat"
    owned: bool = True
    key_source: str = ""
    is_alive: Callable[[], bool] | None = None

    def __repr__(self) -> str:  # without the key
        return f"Endpoint({self.base_url!r})"

    @property
    def is_keyless(self) -> bool:
        """Whether no key was given or found."""
        return self.api_key == KEYLESS

    @property
    def secrets(self) -> list[str]:
        """The keys that its requests carry, as far as they are known before sending."""
        headers = {} if self.client is None else self.client.default_headers
        return [self.api_key, *header_secrets(headers)]
