"""Where an endpoint's key is: given, in the environment, or in a ``.env`` file; never shown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.option_rules import KEY_IS, is_sendable_key
from llmframe.presets import PRESETS, Preset, preset_of
from llmframe.secret import Key

KEYLESS = "no-key-needed"  # what a server gets that asks for none
DEFAULT_VARIABLE = "OPENAI_API_KEY"  # of an endpoint that nobody knows, as in the SDK


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key. source: where it was found, for people; "" where none is needed."""

    key: Key
    source: str = ""


def find_key(base_url: str, preset: Preset | None = None, *, needed: bool = True) -> FoundKey:
    """The key of an endpoint, from the environment or a ``.env`` file.

    preset: the provider that the person named; else the address may tell. needed: without
    one there is a PlanError that names the variable which was looked for.
    """
    preset = preset or preset_of(base_url)
    variable = DEFAULT_VARIABLE if preset is None else preset.variable
    found = look_up(variable) if variable else None
    if found is not None:
        return found
    if needed and not (preset is not None and preset.keyless):
        raise PlanError(_not_found(variable, base_url, preset))
    return FoundKey(Key(KEYLESS))


def look_up(variable: str) -> FoundKey | None:
    """The key in a variable of the environment, else of the ``.env`` file; None without one."""
    for value, source in (
        (os.environ.get(variable), f"the environment variable {variable}"),
        (_from_file(variable), f"{variable} in the .env file"),
    ):
        key = (value or "").strip()
        if key and not is_sendable_key(key):
            raise PlanError(f"{source} holds no API key: {KEY_IS}")
        if key:
            return FoundKey(Key(key), source)
    return None


def keys_found() -> list[str]:
    """The providers whose key is there, by name."""
    presets = (preset for preset in PRESETS.values() if preset.variable)
    return [preset.name for preset in presets if look_up(preset.variable) is not None]


def _from_file(variable: str) -> str | None:
    """From the ``.env`` file here or in a folder above, where python-dotenv is installed."""
    try:
        from dotenv import dotenv_values, find_dotenv
    except ImportError:
        return None
    path = find_dotenv(usecwd=True)
    try:
        return dotenv_values(path, interpolate=False).get(variable) if path else None
    except (OSError, UnicodeDecodeError):  # a file that cannot be read holds no key for us
        return None


def _not_found(variable: str, base_url: str, preset: Preset | None) -> str:
    host = urlsplit(base_url).hostname or base_url
    if preset is not None and preset.base_url == base_url:
        where = f'provider="{preset.name}"'
    else:
        where = f'base_url="{base_url}"'
    return (
        f"no API key for {host}: give api_key=, or set {variable}, in the environment or in a "
        f".env file{_dotenv_hint()}. In a notebook, without showing it: import getpass, "
        f'llmframe; llmframe.configure({where}, api_key=getpass.getpass("API key: ")). A server '
        'on this machine needs none: base_url="http://localhost:.../v1"'
    )


def _dotenv_hint() -> str:
    """A ``.env`` file that nobody can read here is told of."""
    try:
        import dotenv  # noqa: F401 - only whether it is there
    except ImportError:
        beside = Path(".env").is_file()
        return " (there is one, which pip install python-dotenv lets be read)" if beside else ""
    return ""
