"""Messages for a call without a model, a key or a server: which choices there are."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

from llmframe.options.presets import PRESETS, preset_of
from llmframe.options.variables import AZURE_ENDPOINT, find_variable
from llmframe.providers.discover import Server, find_servers
from llmframe.providers.keys import DEFAULT_VARIABLE, keys_found, not_found
from llmframe.providers.local.server import COMMANDS
from llmframe.task.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.options.presets import Preset

LONGEST = 80  # characters of a model's name
AZURE_EXAMPLE = "https://<your resource>.openai.azure.com"


def first_run() -> str:
    """What somebody who has configured nothing can do, the quickest first, a line each.

    Looks for servers on this machine, for a third of a second at most.
    """
    here = [line for line in (_with_found_keys(), _with_servers(find_servers())) if line]
    return "\n".join(("No model to ask: nothing is configured.", *(here or _from_nothing())))


def _with_found_keys() -> str:
    found = [PRESETS[name] for name in keys_found()]
    if not found:
        return ""
    others = "".join(f"; {other.variable} too: {_options(other)}" for other in found[1:])
    return f"{found[0].variable} is set: lf.configure({_options(found[0])}){others}"


def _with_servers(servers: Sequence[Server]) -> str:
    return "; ".join(
        f"{PRESETS[server.provider].title} answers on port {_port(server.base_url)}: "
        f"lf.configure({_options(PRESETS[server.provider], *server.models[:1])})"
        for server in servers
    )


def _from_nothing() -> tuple[str, ...]:
    """The ways where there is no key and no server."""
    missing = [command for name, command in COMMANDS.items() if find_spec(name) is None]
    install = f" (first: {', and '.join(missing)})" if missing else ""
    return (
        f'Without a key, a small model on this machine: lf.configure(provider="local"){install}',
        "With a key: import getpass; "
        'lf.configure(provider="deepseek", api_key=getpass.getpass("API key: ")), or set '
        'OPENAI_API_KEY and give model="..."',
        'With a server of your own: lf.configure(base_url="http://localhost:<port>/v1", '
        'model="...")',
    )


def _options(preset: Preset, model: str = "...") -> str:
    """The options that a provider needs, as code."""
    given = [f'provider="{preset.name}"']
    if preset.name == "azure" and find_variable(AZURE_ENDPOINT) is None:
        given.append(f'base_url="{AZURE_EXAMPLE}"')
    if preset.model is None:  # no name that stays good while its models change
        given.append(f"model={json.dumps(model[:LONGEST], ensure_ascii=False)}")
    return ", ".join(given)


def _port(base_url: str) -> str:
    return base_url.rpartition(":")[2].partition("/")[0]


def no_key(base_url: str) -> str:
    """The message for a call with a model, but without a provider or a key."""
    servers = find_servers()
    here = f"\nWith a server on this machine: {_with_servers(servers)}" if servers else ""
    return not_found(DEFAULT_VARIABLE, base_url, preset_of(base_url)) + here


def no_model(preset: Preset | None, models: Sequence[str] = ()) -> str:
    """The message for a call without a model. models: those that the endpoint serves."""
    if models:
        return f"no model is named; this server has {listing(tuple(models))}: give one as model="
    if preset is None:
        return (
            'no model is named: give model="..." in the call, or once for all calls with '
            'lf.configure(model="...")'
        )
    note = f" ({preset.note})" if preset.name == "azure" else ""
    return (
        f'provider="{preset.name}" sets no model{note}: give model="..." in the call, or once for '
        f"all calls with lf.configure({_options(preset)})"
    )


def no_server(preset: Preset | None) -> str:
    """What to do where a local server does not answer that is to name its model."""
    server = preset.title if preset is not None else "the server"
    return f"start {server}, or give base_url= if it listens on another address"
