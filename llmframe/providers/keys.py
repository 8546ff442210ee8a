"""Find an endpoint's key: in the environment, or in a ``.env`` file; it is never shown."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.options.presets import PRESETS, Preset, preset_of
from llmframe.options.rules import KEY_IS, is_sendable_key
from llmframe.options.variables import file_trouble, find_variable
from llmframe.providers.endpoint import KEYLESS
from llmframe.secret import Key

DEFAULT_VARIABLE = "OPENAI_API_KEY"  # of an unknown endpoint, as in the SDK


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key. source: where it was found, for people; of KEYLESS, the variable that was empty."""

    key: Key
    source: str = ""


def find_key(
    base_url: str, preset: Preset | None = None, *, needed: bool = True, only_file: bool = False
) -> FoundKey:
    """The key of an endpoint, from the environment or a ``.env`` file.

    preset: the provider that the person named, else the address decides. needed: raise
    PlanError without a key. only_file: only the ``.env`` file names the address, so no other
    key may go there.
    """
    preset = preset or preset_of(base_url)
    variables = (DEFAULT_VARIABLE,) if preset is None else preset.variables
    for variable in variables:
        found = key_in(variable, only_file=only_file)
        if found is not None:
            return found
    first = variables[0] if variables else ""
    if needed and not (preset is not None and preset.keyless):
        raise PlanError(not_found(first, base_url, preset, only_file=only_file))
    return FoundKey(Key(KEYLESS), first)


def key_in(variable: str, *, only_file: bool = False) -> FoundKey | None:
    """The key in a variable of the environment, else of the ``.env`` file; None without one."""
    found = find_variable(variable, only_file=only_file)
    if found is None:
        return None
    if not is_sendable_key(found.value):
        raise PlanError(f"{found.source} holds no API key: {KEY_IS}")
    return FoundKey(Key(found.value), found.source)


def keys_found() -> list[str]:
    """The names of the providers whose key is set; a value that cannot be a key does not count."""
    # Only a provider's own variable speaks for it: a GOOGLE_API_KEY may be for something else.
    variables = ((preset.name, preset.variable) for preset in PRESETS.values() if preset.variable)
    held = ((name, find_variable(variable)) for name, variable in variables)
    return [name for name, found in held if found is not None and is_sendable_key(found.value)]


def not_found(
    variable: str, base_url: str, preset: Preset | None, *, only_file: bool = False
) -> str:
    """The message where no key was found; only_file: see find_key."""
    host = urlsplit(base_url).hostname or base_url
    if preset is not None and preset.base_url == base_url:
        where = f'provider="{preset.name}"'
    else:
        where = f'base_url="{base_url}"'
    if only_file and find_variable(variable) is not None:
        return (
            f"no API key for {host}: only the .env file names this address, so {variable} of the "
            f"environment is not sent there. Put the key into that file, too, or give {where}"
        )
    trouble = file_trouble()
    return (
        f"no API key for {host}: give api_key=, or set {variable}, in the environment or in a "
        f".env file{f' ({trouble})' if trouble else ''}. In a notebook, without showing it: "
        f'import getpass; lf.configure({where}, api_key=getpass.getpass("API key: ")). A server '
        'on this machine needs none: base_url="http://localhost:.../v1"'
    )
