"""Addresses: their name in keys, their proxy, and whether they are of this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmframe.errors import PlanError
from llmframe.options.presets import preset_of

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_DEFAULT_PORTS = {"http": 80, "https": 443}
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 - nothing is bound


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for an address; None for a server on this machine."""
    import urllib.request  # it takes a tenth of our import, and no import needs it

    parts = urlsplit(base_url)
    host = parts.hostname or ""
    # a proxy on another machine could not reach our loopback, and would get to see the texts
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def endpoint_identity(base_url: str) -> str:
    """Scheme, host, port and path in lower case: the endpoint's part of every row's key.

    All spellings of one address have one identity: the names of this machine, a provider's
    several hosts, its address without the path that it always has, doubled slashes, Unicode
    or punycode. On loopback the port is left out, as a server gets another at each start.
    An identity is its own identity. Raises PlanError for an invalid port.
    """
    parts = urlsplit(base_url.lower())
    if parts.scheme not in _DEFAULT_PORTS:  # the weights of a local model
        return base_url
    host = _host_name(parts.hostname or "")
    path = re.sub("//+", "/", parts.path).rstrip("/")
    preset = preset_of(f"{parts.scheme}://{host}")
    if preset is not None and preset.hosts:
        known = next(one for one in preset.hosts if host.endswith(one))
        host = host.removesuffix(known) + preset.hosts[0]
        path = path or urlsplit(preset.base_url).path
    elif is_loopback(host):
        host = "127.0.0.1" if host in _THIS_MACHINE else host
        path = path or "/v1"
    return f"{parts.scheme}://{_with_port(parts, host)}{path}"


def earlier_identity(base_url: str) -> str:
    """The identity that version 0.1 gave to an address: every spelling had its own."""
    parts = urlsplit(base_url.lower())
    return f"{parts.scheme}://{_with_port(parts, parts.hostname or '')}{parts.path.rstrip('/')}"


def _with_port(parts: SplitResult, host: str) -> str:
    """The host, with the port where that tells servers apart."""
    try:
        port = parts.port
    except ValueError as exc:
        raise PlanError(f"base_url={parts.geturl()!r}: {exc}") from exc
    shown = f"[{host}]" if ":" in host else host
    tells_apart = port and port != _DEFAULT_PORTS.get(parts.scheme) and not is_loopback(host)
    return f"{shown}:{port}" if tells_apart else shown


def _host_name(host: str) -> str:
    """A host's name without the dot at its end, in ASCII; an address in its shortest form."""
    host = host.removesuffix(".")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address)
    with contextlib.suppress(UnicodeError):  # no name that a resolver knows: left as it is
        return host.encode("idna").decode()
    return host


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
