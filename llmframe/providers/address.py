"""The proxy of the environment: for which addresses there is one."""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit

from llmframe.errors import PlanError


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


_DEFAULT_PORTS = {"http": 80, "https": 443}


def endpoint_identity(base_url: str) -> str:
    """Scheme, host and path in lower case; on loopback the port, which changes, is dropped.

    Raises PlanError for a URL whose port is none.
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
