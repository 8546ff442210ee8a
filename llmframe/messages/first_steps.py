"""What the person is told where it is not clear whom to ask."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llmframe.options.presets import PRESETS, preset_of
from llmframe.options.variables import AZURE_ENDPOINT, find_variable
from llmframe.providers.discover import USUAL, Server, find_servers
from llmframe.providers.keys import DEFAULT_VARIABLE, keys_found, not_found
from llmframe.providers.local.server import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.options.presets import Preset

MOST = 8  # names of models in one message
LONGEST = 80  # characters of one
AZURE_EXAMPLE = "https://<your resource>.openai.azure.com"


def first_run() -> str:
    """The choices of somebody who has configured nothing, in three lines.

    Looks for servers on this machine, for a third of a second at most.
    """
    return "\n".join((_by_key(), _by_server(find_servers()), _by_local()))


def no_key(base_url: str) -> str:
    """What is said where a model is named, but neither a provider nor a key is there."""
    servers = find_servers()
    here = f"\n{_by_server(servers)}" if servers else ""
    return not_found(DEFAULT_VARIABLE, base_url, preset_of(base_url)) + here


def _by_key() -> str:
    begin = "No model to ask: nothing is configured. With a key: "
    found = [PRESETS[name] for name in keys_found()]
    if found:
        others = "".join(f"; {other.variable} too: {_names(other)}" for other in found[1:])
        return f"{begin}{found[0].variable} is set: lf.configure({_names(found[0])}){others}"
    return (
        f'{begin}set OPENAI_API_KEY and give model="...", or DEEPSEEK_API_KEY and '
        'lf.configure(provider="deepseek"); in a notebook: import getpass; '
        'lf.configure(provider="deepseek", api_key=getpass.getpass("API key: "))'
    )


def _by_server(servers: Sequence[Server]) -> str:
    begin = "With a server on this machine: "
    if not servers:
        usual = ", ".join(f"{PRESETS[name].title} {_port(url)}" for name, url in USUAL)
        return (
            f"{begin}none answers on its usual port ({usual}); one elsewhere: "
            'lf.configure(base_url="http://localhost:<port>/v1", model="...")'
        )
    return begin + "; ".join(
        f"{PRESETS[server.provider].title} answers on port {_port(server.base_url)}: "
        f"lf.configure({_names(PRESETS[server.provider], *server.models[:1])})"
        for server in servers
    )


def _names(preset: Preset, model: str = "...") -> str:
    """What must be given for a provider."""
    given = [f'provider="{preset.name}"']
    if preset.name == "azure" and find_variable(AZURE_ENDPOINT) is None:
        given.append(f'base_url="{AZURE_EXAMPLE}"')
    if preset.model is None:
        given.append(f"model={json.dumps(model[:LONGEST], ensure_ascii=False)}")
    return ", ".join(given)


def _by_local() -> str:
    return (
        'With neither: lf.configure(provider="local") runs a small model here; once: '
        + ", and ".join(COMMANDS.values())
    )


def _port(base_url: str) -> str:
    return base_url.rpartition(":")[2].partition("/")[0]


def no_model(preset: Preset | None, models: Sequence[str] = ()) -> str:
    """What is said where no model is named. models: that the endpoint serves."""
    if models:
        listed = ", ".join(repr(name[:LONGEST]) for name in models[:MOST])
        more = f" and {len(models) - MOST} more" if len(models) > MOST else ""
        return f"no model is named; this server has {listed}{more}: give one as model="
    if preset is None:
        return (
            'no model is named: give model="..." in the call, or once for all with '
            'lf.configure(model="...")'
        )
    note = f" ({preset.note})" if preset.name == "azure" else ""
    return (
        f'provider="{preset.name}" sets no model{note}: give model="..." in the call, or once for '
        f"all with lf.configure({_names(preset)})"
    )


def nobody_there(preset: Preset | None, base_url: str) -> str:
    """What is said where a server on this machine is to tell its model, and nothing answers."""
    server = preset.title if preset is not None else "the server"
    return (
        f"nothing answers at {base_url}: start {server}, or give base_url= where it listens "
        "elsewhere"
    )
