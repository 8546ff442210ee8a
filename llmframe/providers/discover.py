"""Servers on this machine: which of the usual ports answer, and with which models.

Asked are loopback addresses only, all at once and for a third of a second together.
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

PATIENCE = 0.3  # seconds, for all ports together
MOST = 1 << 20  # bytes of a list of models that are read
USUAL = tuple(
    (preset.name, preset.base_url)
    for preset in PRESETS.values()
    if preset.base_url.startswith("http://localhost")
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers like the API. provider: by its port. models: what it lists."""

    provider: str
    base_url: str
    models: tuple[str, ...]


def find_servers(
    places: tuple[tuple[str, str], ...] = USUAL, *, patience: float = PATIENCE
) -> list[Server]:
    """The servers that answer, in the order of the places: (provider, base_url).

    Never waits for longer than patience, in seconds.
    """
    found: dict[str, Server] = {}

    def ask(provider: str, base_url: str) -> None:
        models = _listed(base_url, patience)
        if models is not None:
            found[provider] = Server(provider, base_url, models)

    threads = [threading.Thread(target=ask, args=place, daemon=True) for place in places]
    end = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [found[provider] for provider, _ in places if provider in found]


def list_models(base_url: str, *, patience: float = PATIENCE) -> tuple[str, ...] | None:
    """The models that a server on this machine lists; None if it is none.

    patience: seconds, for all of it. No key is sent.
    """
    found = find_servers((("", base_url),), patience=patience)
    return found[0].models if found else None


def is_listening(base_url: str, *, patience: float = PATIENCE) -> bool:
    """Whether anything accepts connections there."""
    host, port = _host(base_url), urlsplit(base_url).port
    try:
        socket.create_connection((host, port or 80), timeout=patience).close()
    except OSError:
        return False
    return True


def _host(base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    return "127.0.0.1" if host == "localhost" else host


def _listed(base_url: str, patience: float) -> tuple[str, ...] | None:
    """The same; patience: seconds for each step on the wire."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(_host(base_url), parts.port, timeout=patience)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/models")
        response = connection.getresponse()
        told = json.loads(response.read(MOST)) if response.status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    listed = told.get("data") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        return None
    names = (model.get("id") for model in listed if isinstance(model, dict))
    return tuple(name for name in names if isinstance(name, str))
