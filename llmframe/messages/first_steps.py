"""Messages for a call without a model, a key or a server: which choices there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llmframe.options.presets import PRESETS, preset_of
from llmframe.options.variables import AZURE_ENDPOINT, find_variable
from llmframe.providers.discover import USUAL, Server, find_servers
from llmframe.providers.keys import DEFAULT_VARIABLE, keys_found, not_found
from llmframe.providers.local.server import COMMANDS
from llmframe.task.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.options.presets import Preset

LONGEST = 80  # characters of a model's name
AZURE_EXAMPLE = "https://<your resource>.openai.azure.com"


def first_run() -> str:
    """The choices for somebody who has configured nothing, in three lines.

    Looks for servers on this machine, for a third of a second at most.
    """
    local = (
        'With neither: lf.configure(provider="local") runs a small model here; install it once: '
        + ", and ".join(COMMANDS.values())
    )
    return "\n".join((_with_key(), _with_server(find_servers()), local))


def _with_key() -> str:
    begin = "No model to ask: nothing is configured. With a key: "
    found = [PRESETS[name] for name in keys_found()]
    if found:
        others = "".join(f"; {other.variable} too: {_options(other)}" for other in found[1:])
        return f"{begin}{found[0].variable} is set: lf.configure({_options(found[0])}){others}"
    return (
        f'{begin}set OPENAI_API_KEY and give model="...", or set DEEPSEEK_API_KEY and call '
        'lf.configure(provider="deepseek"); in a notebook: import getpass; '
        'lf.configure(provider="deepseek", api_key=getpass.getpass("API key: "))'
    )


def _with_server(servers: Sequence[Server]) -> str:
    begin = "With a server on this machine: "
    if not servers:
        usual = ", ".join(f"{PRESETS[name].title} {_port(url)}" for name, url in USUAL)
        return (
            f"{begin}none answers on its usual port ({usual}); for another port: "
            'lf.configure(base_url="http://localhost:<port>/v1", model="...")'
        )
    return begin + "; ".join(
        f"{PRESETS[server.provider].title} answers on port {_port(server.base_url)}: "
        f"lf.configure({_options(PRESETS[server.provider], *server.models[:1])})"
        for server in servers
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
    here = f"\n{_with_server(servers)}" if servers else ""
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


def no_server(preset: Preset | None, base_url: str) -> str:
    """The message for a call that takes its model from a local server that does not answer."""
    server = preset.title if preset is not None else "the server"
    return (
        f"nothing answers at {base_url}: start {server}, or give base_url= if it listens on "
        "another address"
    )
