"""Layers of options: the call over what ``configure`` set over the defaults."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.options.presets import PRESETS, preset_of, provider_name
from llmframe.options.rules import CHECKS, SECRET, URL_IS, fits, is_url, plain
from llmframe.options.settings import DEFAULTS, LONGEST, Settings, _shown
from llmframe.options.short_tracebacks import short_tracebacks
from llmframe.options.variables import AZURE_ENDPOINT, BASE_URL, Found, find_variable
from llmframe.secret import hide_secrets, mask_key
from llmframe.text import cut

OPENAI_URL = "https://api.openai.com/v1"


ENDPOINT = ("provider", "base_url", "api_key", "client")


class Configuration(Mapping[str, Any]):
    """What ``configure`` has set; printing it masks the key."""

    def __init__(self, values: Mapping[str, Any], left: str | None = None) -> None:
        self._values = dict(values)
        self._left = left  # the provider that another address has left behind

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        told = "; ".join(self._told())
        return f"lf.configure({_shown(self._values)})" + (f"  # {told}" if told else "")

    def _told(self) -> Iterator[str]:
        """What is to be known beside the values."""
        preset = PRESETS.get(self._values.get("provider") or "")
        if self._left is not None:
            yield f"base_url= leaves {PRESETS[self._left].title}, its key and what it sets"
        if preset is None:
            return
        if sets := _shown(preset.defaults(self._values)):
            yield f"{preset.title} sets {sets}"
        if preset.variable and not self._values.get("api_key"):
            found = find_variable(preset.variable)
            unset = "" if found or preset.keyless else ", which is not set"
            yield f"key: {found.source if found else preset.variable}{unset}"


_configured: dict[str, Any] = {}


@short_tracebacks
def configure(*, reset: bool = False, **defaults: Any) -> Configuration:
    """Set defaults for every later call of this process.

    defaults: any option of ``tag``, such as ``provider=``, ``model=``, ``api_key=``.
    reset: forget what was set before. Returns all that is set now; printed it masks the key,
    and says what the provider's entry sets beside it. Another endpoint than before takes
    nothing over from it, its key least of all.
    Raises PlanError for an unknown option or a value that cannot be right.
    """
    global _configured
    defaults = _checked(defaults)
    lower = {} if reset else dict(_configured)
    values = _laid_over(lower, defaults)
    _configured = values  # at once: other threads settle their calls by it
    stays = "provider" in values or "provider" in defaults
    return Configuration(values, left=None if stays else lower.get("provider"))


def settle(given: Mapping[str, Any], *, without: Collection[str] = ()) -> Settings:
    """The options of one call: what it gives, else what is configured, else the defaults.

    without: options that the call does not take; they keep their defaults, whatever is
    configured for other calls. Raises PlanError for an unknown option or a wrong value.
    """
    merged = _laid_over(_configured, _checked(given))
    taken = {name: value for name, value in merged.items() if name not in without}
    return Settings(**taken, given=frozenset(taken))


def _checked(layer: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of options in plain Python, the key masked: first of all, as they are compared.

    Raises PlanError for an unknown option, or a value that cannot be right.
    """
    check_names(layer)
    values = {name: plain(name, value) for name, value in layer.items()}
    mask_key(values)
    for name, value in values.items():
        if not fits(name, value):
            wanted = CHECKS[name][1]
            raise PlanError(f"{name}={_echo(name, layer[name])} cannot be; it takes {wanted}")
    return values


def _laid_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of options over another.

    An endpoint is one thing: where the upper names another one, nothing of the lower's is
    left, least of all its key; nor its model, where the upper names a provider.
    A provider where everybody has an address of their own is not left by telling it.
    """
    values = dict(lower)
    if "provider" in upper:
        upper = {**upper, "provider": provider_name(upper["provider"])}
    if _moves(lower, upper):
        if "provider" in upper and any(lower.get(name) for name in ENDPOINT):
            values.pop("model", None)
        for name in set(ENDPOINT) - _kept(lower, upper):
            values.pop(name, None)
    return values | dict(upper)


def _kept(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> set[str]:
    """What of the endpoint stays where the upper names an address."""
    preset = PRESETS.get(lower.get("provider") or "")
    if preset is None or preset.base_url or not preset.hosts or "provider" in upper:
        return set()
    if preset_of(str(upper.get("base_url") or "")) not in (None, preset):
        return set()
    had_one = lower.get("base_url") or find_variable(AZURE_ENDPOINT)
    return {"provider"} if had_one else {"provider", "api_key"}


def _moves(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> bool:
    """Whether the upper layer names another endpoint than the lower."""
    if upper.get("provider", lower.get("provider")) != lower.get("provider"):
        return True
    if lower.get("client") is not None and any(upper.get(name) for name in ENDPOINT):
        return True  # a client knows its own address and key
    if upper.get("client") is not None:
        return True
    if "base_url" not in upper:
        return False
    return not is_same_endpoint(*(_meant(layer.get("base_url"), lower) for layer in (upper, lower)))


def _meant(base_url: str | None, layer: Mapping[str, Any]) -> str:
    """The address that is meant where this one, or none, is given."""
    preset = PRESETS.get(layer.get("provider") or "")
    if base_url:
        return base_url
    return preset.base_url if preset is not None else default_address().value


def is_same_endpoint(one: str, other: str) -> bool:
    """Whether two addresses are of one endpoint.

    One that is a part of the other is: with its /v1, and without. A login is no part of it.
    """
    there, here = map(_alike, (one, other))
    return there.startswith(here) or here.startswith(there)


def _alike(base_url: str) -> str:
    """An address without what may be written otherwise; it ends in a slash."""
    parts = urlsplit(base_url)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/')}/"


def default_address() -> Found:
    """The endpoint that is used where none is named, as in the SDK, and where that stands."""
    found = find_variable(BASE_URL) or Found(OPENAI_URL)
    if not is_url(found.value):
        raise PlanError(f"{found.source} is {hide_secrets(found.value)!r}; it takes {URL_IS}")
    return found


def check_names(given: Mapping[str, Any]) -> None:
    """PlanError for an option that does not exist, with the nearest that does."""
    for name in given:
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, n=3)
            hint = (
                f"; did you mean {' or '.join(near)}?"
                if near
                else f"; there are {', '.join(DEFAULTS)}"
            )
            raise PlanError(f"there is no option {name!r}{hint}")


def _echo(name: str, value: object) -> str:
    """A wrong value, for people; of a wrong key or client no more than what it is."""
    if name in SECRET and isinstance(value, str):
        return "***" if value.strip() else '""'
    if name in SECRET:
        return type(value).__name__
    try:
        told = repr(hide_secrets(value))
    except Exception:  # noqa: BLE001 - a stranger's repr, a huge int, a dict that holds itself
        return type(value).__name__
    return type(value).__name__ if "\n" in told else cut(told, LONGEST)
