"""Find the model servers that listen on the usual ports of this machine.

Only loopback addresses are asked, concurrently, within a third of a second.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from llmframe.options.presets import PRESETS

PATIENCE = 0.3  # seconds for all ports together
MOST = 1 << 20  # bytes that are read of a list of models
USUAL = tuple(
    (preset.name, preset.base_url)
    for preset in PRESETS.values()
    if preset.base_url.startswith("http://localhost")
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers like the API. provider: by its port. models: those it lists."""

    provider: str
    base_url: str
    models: tuple[str, ...]


def find_servers(
    addresses: tuple[tuple[str, str], ...] = USUAL, *, patience: float = PATIENCE
) -> list[Server]:
    """The servers that answer, in the order of the addresses: (provider, base_url).

    patience: seconds, for all of them together.
    """
    found: dict[str, Server] = {}

    def ask(provider: str, base_url: str) -> None:
        models = _listed(base_url, patience)
        if models is not None:
            found[provider] = Server(provider, base_url, models)

    threads = [threading.Thread(target=ask, args=each, daemon=True) for each in addresses]
    end = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:  # a server may send one byte at a time: its thread is left behind
        thread.join(max(0.0, end - time.monotonic()))
    return [found[provider] for provider, _ in addresses if provider in found]


def list_models(base_url: str, *, patience: float = PATIENCE) -> tuple[str, ...] | None:
    """The models that a server on this machine lists; None if there is no such server.

    patience: seconds, for all of it. No key is sent.
    """
    found = find_servers((("", base_url),), patience=patience)
    return found[0].models if found else None


def is_listening(base_url: str, *, patience: float = PATIENCE) -> bool:
    """Whether anything accepts connections there."""
    try:
        socket.create_connection(_host_and_port(base_url), timeout=patience).close()
    except OSError:
        return False
    return True


def _host_and_port(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    # "localhost" may try IPv6 first, where a refusal can take longer than our patience
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    return host, parts.port or 80


def _listed(base_url: str, timeout: float) -> tuple[str, ...] | None:
    """The models in the server's list; None if it gives none. timeout: seconds for each step."""
    connection = http.client.HTTPConnection(*_host_and_port(base_url), timeout=timeout)
    try:
        connection.request("GET", f"{urlsplit(base_url).path.rstrip('/')}/models")
        response = connection.getresponse()
        body = json.loads(response.read(MOST)) if response.status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return None
    names = (model.get("id") for model in listed if isinstance(model, dict))
    return tuple(name for name in names if isinstance(name, str))
