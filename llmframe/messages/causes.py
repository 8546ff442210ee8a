"""Why a run cannot go on for any row: each cause with its cure."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from llmframe.options.presets import PRESETS, preset_of
from llmframe.providers.address import is_loopback
from llmframe.system.host import what_to_repeat

if TYPE_CHECKING:
    from llmframe.engine.wire.verdict import Verdict

_REFUSED = re.compile(r"refused|connect call failed|\[errno (111|61)\]|10061", re.I)
_BY_MESSAGE = {  # of the errors of TLS, HTTP and socket libraries, on every platform
    "wrong.version|record layer|unknown.protocol|http request": "that port may speak plain http://",
    "bad status line|bad http|invalid (http|constant)|expected http": "that port speaks no HTTP",
    "name or service|nodename|getaddrinfo|name resolution|no address": "no such host is known",
    "certificate": "if a proxy is in between, make Python trust its certificate (SSL_CERT_FILE), "
    "or pass client= with your own http_client",
}
_CALLED = re.compile(
    r"((/chat)?/completions|/responses|/embeddings)$"
)  # the SDK appends this to base_url

_APIS = {  # by api=: its name, and what helps where the endpoint has the other one
    "chat": ("chat completions", 'If it serves /v1/responses alone, give api="responses".'),
    "responses": ("responses", 'If it serves chat completions, leave out api="responses".'),
    "embeddings": ("embeddings", "Perhaps it serves chat models alone: ask another endpoint."),
}
_WAY_OUT = (
    "Check the options of the call against what the endpoint accepts: "
    'extra_body={{"name": value}} sets any parameter of the request, and None leaves it out.'
)
_BY_STATUS = {  # of an HTTP answer; None: the answers were no use
    None: (
        "The first ten answers all failed in the same way, so the call is wrong, not the rows",
        "Check the instructions and fields, or use a model that can follow them.",
    ),
    400: ("{} rejects every request, a harmless one too", _WAY_OUT),
    422: ("{} rejects every request, a harmless one too", _WAY_OUT),
    401: ("{} does not accept the API key", "Give the right api_key= for this endpoint{source}."),
    402: ("{} says the account has no credit", "Add credit, or use another key or provider."),
    403: ("{} forbids the request", "Ask the provider what this key may do, or use another model."),
    429: (
        "{} says the account's quota is used up",
        "Raise the quota, add credit, or use another key.",
    ),
}
_BY_ABOUT = {  # of the Batch API
    "batches": (
        "{} has no batches (/files and /batches)",
        'Leave out mode="batch", or give batch_fallback="live" to ask all rows live, at the live '
        "price. Nothing was asked, and nothing is paid.",
    ),
    "batch": (
        "{} does not show a batch of this task",
        "Give the api_key= that it was started with. To pay for its rows anew instead, give "
        "another checkpoint=.",
    ),
    "batch_refused": (
        "{} does not run this batch",
        'Check model=, and whether the provider has it in batches; without mode="batch" the same '
        "call asks live. " + _WAY_OUT,
    ),
    "results": (
        "{} does not give out what its batches answered",
        "These rows have been in two batches, and no more are sent: ask the provider where the "
        'results are, or leave out mode="batch" to ask live.',
    ),
}
_OTHER = (
    "{} rejects every request, a harmless one too",
    "Check model=, and what the provider lets this account use (regions, privacy settings). "
    + _WAY_OUT,
)


@dataclass(frozen=True, slots=True)
class Address:
    """The endpoint, as messages name it.

    url: its URL, or words for a local model. key_source: where the key was found, if it was not
    given. keyless: no key was found; key_source is then the variable that may hold one.
    api: that the requests are for.
    """

    url: str
    _: KW_ONLY
    model: str
    key_source: str = ""
    keyless: bool = False
    api: Literal["chat", "responses", "embeddings"] = "chat"

    @property
    def is_here(self) -> bool:
        """Whether the endpoint is on this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")


def explain(verdict: Verdict, address: Address, *, name: str = "") -> tuple[str, str]:
    """The cause and the cure of a failure that concerns every row.

    The cause begins a sentence, the cure is a sentence by itself.

    name: what the cause calls the endpoint; its URL if empty.
    """
    name = name or address.url
    if verdict.about:
        return _wrong_address(verdict, address, name)
    if verdict.kind == "connection":
        return f"{name} cannot be reached", _cure_of_connection(verdict.message, address)
    if verdict.kind in ("server", "timeout"):  # they end a run only if no request ever succeeded
        cure = "Check the server's log or the provider's status page, or try another model."
        if verdict.kind == "timeout":
            cure = "If the server is only slow, give a larger timeout=; otherwise check its log."
        if (verdict.status or 0) == 200:  # it does answer, in a form that is no completion
            return f"{name} has given no usable answer for two minutes", cure
        return f"{name} has not answered any request for two minutes", cure
    if is_redirect(verdict):
        return (
            f"{name} redirects to another address",
            "llmframe does not send texts and keys elsewhere: if you trust the new address, give "
            "its root as base_url=.",
        )
    if verdict.status == 401 and address.keyless:
        source = address.key_source
        where = f", or set {source}, in the environment or in a .env file" if source else ""
        cause = f"{name} asks for an API key, and none was given or found"
        return cause, f"Give api_key={where}."
    # no money is no money, whatever the status
    status = 402 if verdict.kind == "rate_limit" and verdict.status != 429 else verdict.status
    cause, cure = _BY_STATUS.get(status, _OTHER)
    if status is None and address.api == "embeddings":
        cure = "Check model=, dimensions= and extra_body=."
    source = f" (it came from {address.key_source})" if address.key_source else ""
    other = _other_site(address.url) if status == 401 else ""
    return cause.format(name), cure.format(url=address.url, source=source) + other


def _other_site(url: str) -> str:
    """Advice for providers with two sites: a key of one looks like a wrong key at the other."""
    preset = preset_of(url)
    if preset is None or not preset.other_site:
        return ""
    other = PRESETS[preset.other_site]
    host = urlsplit(other.base_url).hostname
    return f' A key for {host} needs provider="{other.name}".'


def _wrong_address(verdict: Verdict, address: Address, name: str) -> tuple[str, str]:
    """An endpoint without this model, without this API, or without its server."""
    if verdict.about == "model":
        return (
            f"{name} has no model {address.model!r}",
            "Check model=, letter by letter; lf.check() lists the endpoint's models.",
        )
    if verdict.about == "gone":  # only a server that llmframe has started
        return (
            f"{name} has stopped",
            f"Run {what_to_repeat()} again to restart it; if it stops again, memory may be "
            "short: use a smaller model file.",
        )
    if verdict.about in _BY_ABOUT:
        cause, cure = _BY_ABOUT[verdict.about]
        return cause.format(name), cure.format()
    root = _cure_of_root(address.url.rstrip("/"))
    if verdict.about == "address":
        called, other = _APIS[address.api]
        return f"there is no {called} API at {name}", f"{root} {other}"
    cure = f"{root} A proxy, a sign-in page or another program may be answering instead."
    if (verdict.status or 0) >= 500:
        cure = (
            "A gateway answers like this while its server is down: try again in a minute, and "
            f"check the provider's status page. {root}"
        )
    return f"{name} does not answer like an API", cure


def _cure_of_root(url: str) -> str:
    if called := _CALLED.search(url):
        root = url[: called.start()]
        return f'Leave out {called[0]}, because llmframe adds it: base_url="{root}".'
    known = preset_of(url)  # by its host, whatever the path
    if known is not None and known.base_url not in ("", url):
        return f'Check base_url: for {known.title} it is base_url="{known.base_url}".'
    if known is not None and known.name == "azure":
        parts = urlsplit(url)
        return (
            f'Check base_url, usually it is base_url="{parts.scheme}://{parts.netloc}/openai/v1".'
        )
    if re.search(r"/v[0-9]", urlsplit(url).path):
        return "Check base_url."
    return f'Check base_url, usually it ends in /v1: base_url="{url}/v1".'


def _cure_of_connection(message: str, address: Address) -> str:
    for words, hint in _BY_MESSAGE.items():
        if re.search(words, message, re.I):
            return f"Check base_url: {hint}."
    if address.is_here and _REFUSED.search(message):  # elsewhere a firewall may refuse, too
        port = urlsplit(address.url).port
        return f"Nothing listens on port {port} here: start the server, or check base_url."
    return "Check base_url, and that the server and the network are up."


def is_redirect(verdict: Verdict) -> bool:
    """Whether the endpoint redirects to another address."""
    return 300 <= (verdict.status or 0) < 400
