"""Addresses: their name in keys, their proxy, and whether they are of this machine."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit

from llmframe.errors import PlanError

_DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for an address; None for a server on this machine."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    # a proxy on another machine could not reach our loopback, and would get to see the texts
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def endpoint_identity(base_url: str) -> str:
    """Scheme, host, port and path in lower case: the endpoint's part of every row's key.

    On loopback the port is left out, as a server gets another at each start. Raises PlanError
    for an invalid port.
    """
    parts = urlsplit(base_url.lower())
    host = parts.hostname or ""
    try:
        port = parts.port
    except ValueError as exc:
        raise PlanError(f"base_url={base_url!r}: {exc}") from exc
    shown = f"[{host}]" if ":" in host else host
    if port and port != _DEFAULT_PORTS.get(parts.scheme) and not is_loopback(host):
        shown += f":{port}"
    return f"{parts.scheme}://{shown}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
