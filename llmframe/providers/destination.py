"""Where a call's requests go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmframe.options.presets import Preset
from llmframe.providers.address import is_loopback
from llmframe.providers.dialect import Dialect
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.local.server import File
from llmframe.providers.prices import Prices, known_prices

if TYPE_CHECKING:
    from llmframe.options.settings import Settings


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call's requests go.

    settings: the options with what the provider sets. preset: what is known of the provider.
    identity: of the endpoint, for the checkpoint. endpoint: None for a local model before it
    is started. file: the weights of a local model. notes: what was set, for the person.
    """

    settings: Settings
    preset: Preset | None
    identity: str
    endpoint: Endpoint | None
    file: File | None = None
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> Endpoint:
        """The endpoint, once a local model was started."""
        assert self.endpoint is not None
        return self.endpoint

    @property
    def dialect(self) -> Dialect:
        """How requests are to be written, as far as it is known before the first."""
        lacks = self.preset.lacks if self.preset is not None else ()
        return Dialect(
            response_format="json_object" if "json_schema" in lacks else "json_schema",
            cap="max_tokens" if "max_completion_tokens" in lacks else "max_completion_tokens",
            dropped=frozenset({"logprobs"}) if "logprobs" in lacks else frozenset(),
        )

    @property
    def at_once(self) -> int | None:
        """Requests to begin with; None where nothing is known."""
        return self.preset.at_once if self.preset is not None else None

    @property
    def title(self) -> str:
        """The place, for people."""
        if self.file is not None:
            return f"the local model {self.file.name}"
        return self.endpoint.base_url if self.endpoint is not None else ""

    @property
    def priced_at(self) -> str:
        """The address that price lists know it by; "" for a server on this machine."""
        url = self.endpoint.base_url if self.endpoint is not None else ""
        if self.file is not None or is_loopback(urlsplit(url).hostname or ""):
            return ""
        return (self.preset.priced_as if self.preset is not None else "") or url

    @property
    def prices(self) -> Prices | None:
        """What tokens cost here: as given, else as far as it is known."""
        if self.settings.prices is not None:
            return Prices.of(self.settings.prices)
        return known_prices(str(self.settings.model), self.priced_at) if self.priced_at else None
