"""Where a call's requests go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmframe.options.presets import Preset
from llmframe.providers.address import is_loopback
from llmframe.providers.dialect import Dialect, ResponseFormat
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.local.server import File
from llmframe.providers.prices import Prices, known_prices

if TYPE_CHECKING:
    from llmframe.options.settings import Settings


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call's requests go.

    settings: the options with what the provider sets. preset: what is known about the provider.
    identity: the endpoint's name in keys. endpoint: of a local model not before it is started.
    file: the weights of a local model. notes: what was set, for the person.
    """

    settings: Settings
    preset: Preset | None
    identity: str
    endpoint: Endpoint
    file: File | None = None
    notes: tuple[str, ...] = ()

    @property
    def dialect(self) -> Dialect:
        """How to write requests, as far as it is known before the first."""
        if self.endpoint.api == "embeddings":  # no JSON is asked for, and nothing has a cap
            return Dialect(response_format="plain", cap="max_tokens")
        lacks = set(self.preset.lacks if self.preset is not None else ())
        if self.endpoint.api == "responses":  # it has one name for the cap: there is no other
            lacks.add("max_completion_tokens")
        if {"json_schema", "json_object"} <= lacks:  # accepted, and ignored without a word
            response_format: ResponseFormat = "plain"
        else:
            response_format = "json_object" if "json_schema" in lacks else "json_schema"
        return Dialect(
            response_format=response_format,
            cap="max_tokens" if "max_completion_tokens" in lacks else "max_completion_tokens",
            dropped=frozenset({"logprobs"}) if "logprobs" in lacks else frozenset(),
        )

    @property
    def slots(self) -> int | None:
        """Requests to begin with; None if unknown."""
        return self.preset.slots if self.preset is not None else None

    @property
    def title(self) -> str:
        """The endpoint, for people."""
        return f"the local model {self.file.name}" if self.file else self.endpoint.base_url

    @property
    def priced_at(self) -> str:
        """The address in price lists; "" for a server on this machine."""
        url = self.endpoint.base_url
        if self.file is not None or is_loopback(urlsplit(url).hostname or ""):
            return ""
        return (self.preset.priced_as if self.preset is not None else "") or url

    @property
    def is_free(self) -> bool:
        """Whether a model on this machine answers, for which nobody charges."""
        is_local = is_loopback(urlsplit(self.endpoint.base_url).hostname or "")
        keyless = self.preset is not None and self.preset.keyless
        return self.file is not None or (is_local and keyless)

    @property
    def prices(self) -> Prices | None:
        """What tokens cost here: as the person gave it, else as far as it is known."""
        if self.settings.prices is not None:
            return Prices.of(self.settings.prices)
        if not self.priced_at:
            return None
        return known_prices(str(self.settings.model), self.priced_at, self.settings.service_tier)
