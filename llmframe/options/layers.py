"""Layers of options: the call over what ``configure`` has set over the defaults.

The provider's entry and the environment fill in later what none of them gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.options.presets import PRESETS, preset_of, provider_name
from llmframe.options.rules import URL_IS, is_int, is_url, to_whole, url_cure
from llmframe.options.settings import LONGEST, OPTIONS, Settings, shown
from llmframe.options.short_tracebacks import short_tracebacks
from llmframe.options.synonyms import unknown_options
from llmframe.options.variables import AZURE_ENDPOINT, BASE_URL, Found, find_variable
from llmframe.secret import hide_secrets, mask_key
from llmframe.text import cut

OPENAI_URL = "https://api.openai.com/v1"
ENDPOINT = frozenset(name for name, option in OPTIONS.items() if option.of_endpoint)


class Configuration(dict[str, Any]):
    """A copy of what ``configure`` has set; printing it masks the key.

    left: the provider that another address has replaced.
    """

    def __init__(self, values: Mapping[str, Any], left: str | None = None) -> None:
        super().__init__(values)
        self._left = left

    def __repr__(self) -> str:
        comment = "; ".join(self._comments())
        return f"lf.configure({shown(self)})" + (f"  # {comment}" if comment else "")

    def _comments(self) -> Iterator[str]:
        """What follows from the values and is not seen in them."""
        preset = PRESETS.get(self.get("provider") or "")
        if self._left is not None:
            yield f"base_url= leaves {PRESETS[self._left].title}, its key and what it sets"
        if preset is None:
            return
        if sets := shown(preset.defaults(self)):
            yield f"{preset.title} sets {sets}"
        if preset.variable and not self.get("api_key"):
            found = next(filter(None, map(find_variable, preset.variables)), None)
            unset = "" if found or preset.keyless else ", which is not set"
            yield f"key: {found.source if found else preset.variable}{unset}"


_configured: dict[str, Any] = {}
on_reset: list[Callable[[], None]] = []  # what else a reset forgets


def _refuse_positions(args: tuple[Any, ...], _: Mapping[str, Any]) -> None:
    """PlanError for values without their options' names; they may be keys, and are not shown."""
    if args:
        known = args[0] if isinstance(args[0], str) and args[0] in PRESETS else "deepseek"
        raise PlanError(
            f'every option is given by its name: lf.configure(provider="{known}", api_key=...)'
        )


@functools.partial(short_tracebacks, check=_refuse_positions)
def configure(*, reset: bool = False, **defaults: Any) -> Configuration:
    """Set defaults for every later call of this process.

    >>> lf.configure(provider="deepseek", concurrency=50)

    defaults: any option of ``tag``, such as ``provider=``, ``model=``, ``api_key=``.
    reset: forget what was set before, and in which folders this process has kept answers.

    Returns all that is set now. Printed, it masks the key and shows what the provider sets.
    When the endpoint changes, nothing that belongs to the old one is kept, above all its key.
    Raises PlanError for an unknown option or a value that cannot be right.
    """
    global _configured
    upper = check_layer(defaults)
    lower = {} if reset else _configured
    for forget in on_reset if reset else ():
        forget()
    values = merge_layers(lower, upper)
    _configured = values  # a new dict, never changed: other threads read it without a lock
    stays = "provider" in values or "provider" in upper
    return Configuration(values, left=None if stays else lower.get("provider"))


def settle(
    given: Mapping[str, Any], *, without: Collection[str] = (), call: str = "this call"
) -> Settings:
    """The options of one call: those it gives, else the configured ones, else the defaults.

    without: options that the call does not take. They keep their defaults, whatever is
    configured for other calls. call: what does not take them, in words. Raises PlanError for
    such an option that is given, for an unknown one, or for a wrong value.
    """
    for name in without:
        if name in given:
            raise PlanError(f"{name}= has no meaning for {call}; leave it out")
    merged = merge_layers(_configured, check_layer(given))
    taken = {name: value for name, value in merged.items() if name not in without}
    return Settings(**taken, given=frozenset(taken))


def whole_number(name: str, value: Any, *, least: int) -> int:
    """A number that a call takes beside its options, in plain Python; PlanError for another."""
    whole = to_whole(value)
    if not is_int(whole, least):
        raise PlanError(f"{name}={value!r} is not valid; it takes a whole number from {least}")
    return int(whole)


def check_layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one layer in plain Python, the key masked.

    Raises PlanError for an unknown option, with what to write instead, or for a value that cannot
    be right. It comes before everything else: layers are compared, and a column among the
    values would fail there with a message that nobody understands.
    """
    if unknown := unknown_options(layer):
        raise PlanError(unknown)
    values = {name: OPTIONS[name].rule.convert(value) for name, value in layer.items()}
    mask_key(values)
    for name, value in values.items():
        if not OPTIONS[name].accepts(value):
            wrong = _printed(name, layer[name])
            cure = OPTIONS[name].rule.cure(values[name]) or f"it takes {OPTIONS[name].takes}"
            raise PlanError(f"{name}={wrong} is not valid; {cure}")
    return values


def merge_layers(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """One layer of options over another.

    An endpoint is one thing. Where the upper layer names another endpoint, nothing that
    describes the lower one is left, above all its key.
    """
    values = dict(lower)
    if "provider" in upper:
        upper = {**upper, "provider": provider_name(upper["provider"])}
    if _changes_endpoint(lower, upper):
        # a model's name belongs to its provider; one set without any endpoint is meant for all
        if "provider" in upper and any(lower.get(name) for name in ENDPOINT):
            values.pop("model", None)
        for name in ENDPOINT - _kept_of_endpoint(lower, upper):
            values.pop(name, None)
    return values | dict(upper)


def _changes_endpoint(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> bool:
    """True where the upper layer names another endpoint than the lower."""
    if upper.get("provider", lower.get("provider")) != lower.get("provider"):
        return True
    # a client has its own address and key, so configured ones must not stay
    if upper.get("client") is not None:
        return True
    if lower.get("client") is not None and any(upper.get(name) for name in ENDPOINT):
        return True
    if "base_url" not in upper:
        return False
    preset = PRESETS.get(lower.get("provider") or "")
    # without an address the provider's counts, and without a provider the environment's
    old, new = (
        layer.get("base_url") or (preset.base_url if preset else default_address().value)
        for layer in (lower, upper)
    )
    return not is_same_endpoint(old, new)


def _kept_of_endpoint(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> set[str]:
    """The options of the lower endpoint that stay where the upper layer gives an address.

    With a provider without a shared base URL (Azure) the address completes what is there,
    and leaves it only where it is known to be another provider's.
    """
    preset = PRESETS.get(lower.get("provider") or "")
    if preset is None or preset.base_url or not preset.hosts or "provider" in upper:
        return set()
    if preset_of(str(upper.get("base_url") or "")) not in (None, preset):
        return set()
    # the key was given for the address that was set before, if one was
    had_address = lower.get("base_url") or find_variable(AZURE_ENDPOINT)
    return {"provider"} if had_address else {"provider", "api_key"}


def is_same_endpoint(one: str, other: str) -> bool:
    """True where one address is the beginning of the other, as with and without its /v1."""

    def comparable(base_url: str) -> str:
        parts = urlsplit(base_url)
        host = parts.netloc.rpartition("@")[2].lower()  # a login is no part of the endpoint
        # the slash at the end keeps .../v1 from being the beginning of .../v10
        return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/')}/"

    here, there = comparable(one), comparable(other)
    return there.startswith(here) or here.startswith(there)


def default_address() -> Found:
    """The endpoint that is used where none is named, as in the SDK, and where it was found."""
    found = find_variable(BASE_URL) or Found(OPENAI_URL)
    if not is_url(found.value):
        cure = url_cure(found.value) or f"it takes {URL_IS}"
        raise PlanError(f"{found.source} is {hide_secrets(found.value)!r}; {cure}")
    return found


def _printed(name: str, value: object) -> str:
    """A wrong value for the error; of a wrong key or client only its type."""
    kind = type(value).__name__
    if OPTIONS[name].secret:
        # an empty key is the usual mistake, and shows nothing
        return kind if not isinstance(value, str) else "***" if value.strip() else '""'
    try:
        text = repr(hide_secrets(value))
    except Exception:  # noqa: BLE001 - a foreign repr, a huge int, a dict that contains itself
        return kind
    return kind if "\n" in text else cut(text, LONGEST)
