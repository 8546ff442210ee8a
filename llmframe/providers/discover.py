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
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmframe.options.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 0.3  # seconds for all ports together
PATIENCE_FOR_ONE = 2.0  # seconds for a server that a call is going to use: it may be busy
MOST = 1 << 20  # bytes that are read of a list of models
# What tells models apart, and stays the same when their server starts again.
_STATED = ("id", "owned_by", "root")
_STATED_BY_META = ("size", "n_params", "n_vocab", "n_embd")
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


def served_model(
    base_url: str, model: str, *, patience: float = PATIENCE_FOR_ONE
) -> dict[str, Any] | None:
    """What a server on this machine tells about a model, to know it from another server's.

    None where no server answers, or where it lists several models and not this one. No key is
    sent. patience: seconds, for all of it.
    """
    found: list[dict[str, Any] | None] = []
    ask = threading.Thread(
        target=lambda: found.append(_described(base_url, model, patience)), daemon=True
    )
    ask.start()
    ask.join(patience)
    return found[0] if found else None


def are_different(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two descriptions cannot be of the same model: what only one tells shows nothing."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())


def _described(base_url: str, model: str, timeout: float) -> dict[str, Any] | None:
    listed = _entries(base_url, "/models", "data", timeout) or []
    named = [one for one in listed if one.get("id") == model] or listed
    if len(named) != 1:  # llama.cpp serves its one model under any name
        return None
    [entry] = named
    meta = entry.get("meta")  # llama.cpp's own
    stated = {name: entry.get(name) for name in _STATED}
    stated |= {name: meta.get(name) for name in _STATED_BY_META} if isinstance(meta, dict) else {}
    if entry.get("owned_by") == "library":  # Ollama lists digests at an address of its own
        root = base_url.rstrip("/").removesuffix("/v1")
        tags = _entries(root, "/api/tags", "models", timeout) or []
        names = (model, f"{model}:latest")
        digests = [one.get("digest") for one in tags if one.get("name") in names]
        stated["digest"] = digests[0] if digests else None
    return {name: value for name, value in stated.items() if isinstance(value, str | int)}


def _listed(base_url: str, timeout: float) -> tuple[str, ...] | None:
    """The models in the server's list; None if it gives none. timeout: seconds for each step."""
    listed = _entries(base_url, "/models", "data", timeout)
    if listed is None:
        return None
    return tuple(one["id"] for one in listed if isinstance(one.get("id"), str))


def _entries(base_url: str, path: str, name: str, timeout: float) -> list[dict[str, Any]] | None:
    """The objects in a list that a server has at a path; None if it gives none."""
    connection = http.client.HTTPConnection(*_host_and_port(base_url), timeout=timeout)
    try:
        connection.request("GET", f"{urlsplit(base_url).path.rstrip('/')}{path}")
        response = connection.getresponse()
        body = json.loads(response.read(MOST)) if response.status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    listed = body.get(name) if isinstance(body, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else None
