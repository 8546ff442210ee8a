"""What a failure that concerns every row means to the person: its cause, and the cure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmframe.options.presets import preset_of
from llmframe.providers.address import is_loopback

if TYPE_CHECKING:
    from llmframe.engine.wire.verdict import Verdict

NO_ANSWER = ("server", "timeout")  # kinds that end a run only where nothing was ever answered
_REFUSED = re.compile(r"refused|connect call failed|\\[errno (111|61)\\]|10061", re.I)
_NO_HOST = re.compile(r"name or service|nodename|getaddrinfo|name resolution|no address", re.I)
_NO_HTTP = re.compile(r"bad status line|bad http|invalid (http|constant)|expected http", re.I)
_NO_TLS = re.compile(r"wrong.version|record layer|unknown.protocol|http request", re.I)
_CALLED = re.compile(r"(/chat)?/completions$")  # what is added to the root for a request
_NO_TRUST = re.compile(r"certificate", re.I)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the requests went, for people.

    url: its address, or the words for it. key_source: where the key was found, if not given.
    keyless: none was found; key_source is then the variable that may hold one.
    """

    url: str
    model: str
    key_source: str = ""
    keyless: bool = False

    @property
    def is_here(self) -> bool:
        """Whether it is an address of this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")


def cause(verdict: Verdict, address: Address) -> str:
    """What is wrong, as the begin of a sentence."""
    url = address.url
    if _asks_for_key(verdict, address):
        return f"{url} asks for an API key, and none was given or found"
    if verdict.about:
        return {
            "model": f"{url} knows no model {address.model!r}",
            "address": f"there is no chat completions API at {url}",
            "page": f"{url} does not answer as an API",
            "gone": f"{url} has ended",
        }[verdict.about]
    if verdict.kind == "connection":
        return f"{url} cannot be reached"
    if verdict.kind in NO_ANSWER:
        return f"{url} has answered no request so far, for two minutes"
    if verdict.status is None:
        return "The first ten answers all failed in the same way, so it is the call, not the rows"
    causes = {
        401: f"{url} does not accept the API key",
        402: f"{url} says the account has no credit",
        403: f"{url} forbids the request",
        400: "The first ten requests were all refused in the same way",
        429: f"{url} says the account's quota is used up",
    }
    if is_redirect(verdict):
        return f"{url} is not the address of the API"
    return causes.get(verdict.status, f"{url} cannot go on for any row")


def cure(verdict: Verdict, address: Address) -> str:
    """What to do about it, in one sentence."""
    if _asks_for_key(verdict, address):
        name = address.key_source
        place = f", or set {name}, in the environment or in a .env file" if name else ""
        return f"Give api_key={place}."
    if verdict.about:
        return _cure_of_address(verdict, address)
    if verdict.kind == "connection":
        return _cure_of_connection(verdict.message, address)
    if verdict.kind == "timeout":
        return "If it is only slow, give a larger timeout=; else look at the server's log."
    if verdict.kind in NO_ANSWER:
        return "Look at the server's log or the provider's status page, and try another model."
    if verdict.status is None:
        return "Look at the instructions and fields, or take a model that can follow them."
    source = f" (it was taken from {address.key_source})" if address.key_source else ""
    cures = {
        400: "Check the options of the call against what the endpoint takes.",
        401: f"Give the right api_key= for this endpoint{source}.",
        402: "Add credit, or take another key or provider.",
        403: "Ask the provider what this key may do, or take another model.",
        429: "Raise the quota or add credit, or take another key.",
    }
    if is_redirect(verdict):
        return "Texts and key are sent nowhere else: if you trust it, give its root as base_url=."
    return cures.get(verdict.status, f"Check the settings for {address.url}.")


def _asks_for_key(verdict: Verdict, address: Address) -> bool:
    return verdict.status == 401 and not verdict.about and address.keyless


def _cure_of_address(verdict: Verdict, address: Address) -> str:
    if verdict.about == "model":
        return "Check model=, letter by letter; lf.check() lists what the endpoint serves."
    if verdict.about == "gone":
        return (
            "Run the cell again, which starts it anew; if it ends again, memory may be short: take "
            "a smaller file of weights."
        )
    root = _cure_of_root(address.url.rstrip("/"))
    if verdict.about == "page" and (verdict.status or 0) >= 500:
        return (
            "A gateway says so while its server is away: try again in a minute, and look at the "
            f"provider's status page. {root}"
        )
    if verdict.about == "page":
        return (
            f"{root} Perhaps a proxy or a sign-in page stands between, or something else listens."
        )
    return root


def _cure_of_root(url: str) -> str:
    if called := _CALLED.search(url):
        return f'Leave {called[0]} off, which is added to it: base_url="{url[: called.start()]}".'
    known = preset_of(url)
    if known is not None and known.base_url not in ("", url):
        return f'Check base_url: that of {known.title} is base_url="{known.base_url}".'
    if known is not None and known.name == "azure":
        parts = urlsplit(url)
        return f'Check base_url, mostly it is base_url="{parts.scheme}://{parts.netloc}/openai/v1".'
    if re.search(r"/v[0-9]", urlsplit(url).path):
        return "Check base_url."
    return f'Check base_url, mostly it ends in /v1: base_url="{url}/v1".'


def _cure_of_connection(said: str, address: Address) -> str:
    if _NO_TLS.search(said):
        return "Check base_url: that port may speak plain http:// instead of https://."
    if _NO_TRUST.search(said):
        return (
            "Check base_url; where a proxy stands between, let Python trust its certificate "
            "(SSL_CERT_FILE), or pass client= with an http_client of your own."
        )
    if _NO_HTTP.search(said):
        return "Check base_url: what listens there speaks no HTTP."
    if _NO_HOST.search(said):
        return "Check base_url: no such host is known, or the network is down."
    if address.is_here and _REFUSED.search(said):
        port = urlsplit(address.url).port
        return (
            f"Nothing listens on port {port} of this machine: start the server, or check base_url."
        )
    return "Check base_url, and that the server and the network are up."


def is_redirect(verdict: Verdict) -> bool:
    """Whether the endpoint sends requests on to another address."""
    return 300 <= (verdict.status or 0) < 400
