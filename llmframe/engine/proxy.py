"""The proxy of the environment: for which addresses there is one."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

from llmframe.engine.identity import is_loopback


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for an address; none for a server on this machine.

    What is said to a server here would leave the machine, and could not come back.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
