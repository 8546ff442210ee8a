"""Decide where a call's requests go: provider, address, model, key and client."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmframe.engine.wire.client import check_client, make_client
from llmframe.errors import PlanError, warn
from llmframe.messages.first_steps import AZURE_EXAMPLE, first_run, no_key, no_model, no_server
from llmframe.notebook import announced
from llmframe.options.layers import OPENAI_URL, default_address, is_same_endpoint
from llmframe.options.presets import PRESETS, Preset, preset_of
from llmframe.options.rules import URL_IS, is_url, url_cure
from llmframe.options.variables import AZURE_ENDPOINT, Found, find_variable
from llmframe.providers.address import endpoint_identity, is_loopback
from llmframe.providers.destination import Destination
from llmframe.providers.discover import is_listening, list_models
from llmframe.providers.endpoint import KEYLESS, Endpoint
from llmframe.providers.keys import DEFAULT_VARIABLE, FoundKey, find_key, key_in
from llmframe.providers.local.server import find_file, serve
from llmframe.runs.session import registry
from llmframe.runs.thread import loop_thread
from llmframe.secret import Key, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.options.settings import Settings


class NoServerError(PlanError):
    """No server listens at an address of this machine whose model is to be found out."""

    def __init__(self, address: str, cure: str) -> None:
        super().__init__(f"nothing answers at {address}: {cure}")
        self.address = address
        self.cure = cure


def find_destination(settings: Settings, *, own_loop: bool) -> Destination:
    """Settle where the requests go; nothing is started or sent.

    own_loop: the call runs on llmframe's loop, else on the caller's.
    Raises PlanError if no model or key is named or found, with what can be done.
    """
    named = PRESETS[settings.provider] if settings.provider else None
    if settings.client is not None:
        return _of_client(settings, named, own_loop=own_loop)
    if named is not None and named.name == "local":
        return _of_file(settings, named)
    address = _address(settings, named)
    url = address.value
    preset = named or preset_of(url)
    # The key before the model: without any configuration the first steps are the better error.
    key = _key(settings, address, preset)
    filled, notes = _filled(settings, named, address, key)
    _warn_of_plain_http(url, filled, key.key)
    endpoint = Endpoint(url, key.key, api=settings.api, key_source=key.source)
    return Destination(filled, preset, endpoint_identity(url), endpoint, notes=notes)


def start_local(destination: Destination, *, need: Callable[[], int]) -> Destination:
    """The destination with its server running, if it is a local model; else as it is.

    need: returns the tokens of the longest prompt with its answer.
    """
    if destination.file is None:
        return destination

    # A longer prompt restarts the server with a larger context, but never under a live run.
    def in_use(base_url: str) -> bool:
        runs = registry.alive()
        return any(run.execution.job.endpoint.base_url == base_url for run in runs)

    server, started = serve(
        destination.file,
        need=need(),
        in_use=in_use,
        announced=partial(announced, destination.settings.progress),
    )
    endpoint = Endpoint(
        server.base_url, server.key, api=destination.endpoint.api, is_alive=server.is_alive
    )
    settings = destination.settings
    if settings.concurrency == "auto":  # more requests would only queue there, and time out
        settings = replace(settings, concurrency=server.sizes.slots)
    took = f"; started in {server.seconds:.1f} s" if started else ""
    notes = (*destination.notes, f"{server.describe()}{took}.")
    return replace(destination, settings=settings, endpoint=endpoint, notes=notes)


def _of_client(settings: Settings, named: Preset | None, *, own_loop: bool) -> Destination:
    """The destination of the person's own client, which has its address and its key."""
    defaults = _defaults(settings, named, "the client's")
    settings = replace(settings, **defaults)
    _check(settings, named)
    check_client(settings.client, private_loop=own_loop)
    client, is_ours = make_client(settings.client, loop_thread().call if own_loop else None)
    url = hide_secrets(str(client.base_url))
    given = settings.base_url
    if given is not None and not _is_address_of(client, given):
        raise PlanError(
            f"client= asks {url}, but base_url= is {given}; a client knows its own address: leave "
            "one of the two out"
        )
    endpoint = Endpoint(url, Key(client.api_key), client, api=settings.api, owned=is_ours)
    _warn_of_plain_http(url, settings, endpoint.api_key)
    set_by_provider = ", ".join(f"{name} {value}" for name, value in defaults.items())
    notes = (f"{named.title}: {set_by_provider}.",) if named and set_by_provider else ()
    preset = named or preset_of(url)
    return Destination(settings, preset, endpoint_identity(url), endpoint, notes=notes)


def _is_address_of(client: Any, base_url: str) -> bool:
    import httpx2

    # The client writes its own address without the default port and in punycode: do the same.
    with contextlib.suppress(httpx2.InvalidURL):  # no client can have that address
        base_url = str(client.base_url.join(base_url))
    return is_same_endpoint(base_url, str(client.base_url))


def _of_file(settings: Settings, preset: Preset) -> Destination:
    """The destination of a model on this machine, whose weights must be here."""
    if settings.base_url is not None:
        raise PlanError(
            'provider="local" starts a server of its own; leave base_url= out, or provider= for a '
            "server that runs already"
        )
    settings = replace(settings, **_defaults(settings, preset, ""))
    file = find_file(str(settings.model))
    settings = replace(settings, model=file.name)
    # start_local gives it the server's address and key
    not_started = Endpoint("", Key(KEYLESS), api=settings.api)
    return Destination(settings, preset, file.identity, not_started, file)


def _address(settings: Settings, named: Preset | None) -> Found:
    """The address, and where it was found if nobody has given it."""
    import httpx2

    if named is not None and named.name == "azure":
        found = _azure_address(settings.base_url)
    elif settings.base_url is not None:
        found = Found(settings.base_url)
    else:
        found = Found(named.base_url) if named is not None else default_address()
    try:
        httpx2.URL(found.value)  # what the SDK would do, but only at the first request
    except httpx2.InvalidURL as exc:
        name = found.source or "base_url"
        raise PlanError(f"{name} is {found.value!r}, where no host can be: {exc}") from exc
    return found


def _azure_address(given: str | None) -> Found:
    """The root of the version 1 API of the person's own resource."""
    found = Found(given) if given else find_variable(AZURE_ENDPOINT)
    example = f'base_url="{AZURE_EXAMPLE}"'
    if found is None:
        raise PlanError(
            f'provider="azure" needs the address of your own resource: {example}, or the '
            f"variable {AZURE_ENDPOINT}, in the environment or in a .env file"
        )
    url = found.value
    if not is_url(url):
        cure = url_cure(url) or f"it takes {URL_IS}"
        raise PlanError(f"{found.source} is {hide_secrets(url)!r}; {cure}")
    # People paste the resource's address, or the one of a deployment that the portal shows.
    path = urlsplit(url).path.rstrip("/")
    if "/deployments" in path:
        raise PlanError(
            f"{url} is an address of the old kind, one for each deployment; give the resource "
            f"alone, {example}, and the deployment's name as model="
        )
    missing = {"": "/openai/v1", "/openai": "/v1"}
    return replace(found, value=url.rstrip("/") + missing.get(path, ""))


def _key(settings: Settings, address: Found, preset: Preset | None) -> FoundKey:
    """The key; PlanError with the first steps if nothing at all is configured."""
    if settings.api_key is not None:
        return FoundKey(Key(settings.api_key))
    url = address.value
    # Without any configuration the first steps help more than an error about one provider's key.
    nothing_named = settings.provider is None and settings.base_url is None and url == OPENAI_URL
    if nothing_named and key_in(DEFAULT_VARIABLE) is None:
        raise PlanError(first_run() if settings.model is None else no_key(url))
    named = preset if settings.provider else None
    known = preset_of(url)
    is_providers_own = known is not None and known.base_url.startswith("https://")
    return find_key(
        url,
        named,
        needed=not is_loopback(urlsplit(url).hostname or ""),
        # A .env file may lie in any folder above. An address that only the file names must not
        # send the environment's key to a foreign host, unless it is the provider's own address.
        only_file=address.in_file and not is_providers_own,
    )


def _filled(
    settings: Settings, named: Preset | None, address: Found, key: FoundKey
) -> tuple[Settings, tuple[str, ...]]:
    """The options with what the provider or the environment sets, and a note about it."""
    url = address.value
    defaults = _defaults(settings, named, url)
    # Asking the server for its models costs a request: only if nothing else names one.
    only_model = _only_model(settings, named, url) if "model" not in defaults else None
    settings = replace(settings, **(defaults | ({"model": only_model} if only_model else {})))
    _check(settings, named)
    if named is None and not address.source:  # the person gave all of it: nothing to note
        return settings, ()
    origin = f" from {address.source}" if address.source else ""
    parts = [f"base_url {url}{origin}"] if settings.base_url != url else []
    parts += [f"{name} {value}" for name, value in defaults.items()]
    parts += [f"model {only_model}, the only one it serves"] if only_model else []
    parts += [f"the key from {key.source}"] if key.source and key.key != KEYLESS else []
    whose = f"{named.title}: " if named is not None else ""
    return settings, (f"{whose}{', '.join(parts)}.",) if parts else ()


def _defaults(settings: Settings, named: Preset | None, base_url: str) -> dict[str, Any]:
    """What the named provider sets, where nobody has set it; base_url: known already."""
    if named is None:
        return {}
    given = {name: getattr(settings, name) for name in settings.given}
    return named.defaults(given | {"base_url": base_url} if base_url else given)


def _only_model(settings: Settings, named: Preset | None, url: str) -> str | None:
    """The model of a server on this machine that serves just one, if no model is named.

    Raises PlanError if it serves more, if nobody named the provider, or if nothing answers.
    """
    if settings.model is not None or not is_loopback(urlsplit(url).hostname or ""):
        return None
    models = list_models(url)
    if models is None and not is_listening(url):
        raise NoServerError(url, no_server(named))
    if models is not None and len(models) == 1 and named is not None:
        return models[0]
    raise PlanError(no_model(named, models or ()))


def _check(settings: Settings, named: Preset | None) -> None:
    """Raise PlanError for a missing model, and for a seed that the provider calls otherwise."""
    if settings.model is None:
        raise PlanError(no_model(named))
    if settings.seed is not None and named is not None and named.seed_name != "seed":
        raise PlanError(
            f"{named.title} does not accept seed=; its own is called {named.seed_name}: "
            f'extra_body={{"{named.seed_name}": {settings.seed}}}'
        )


def _warn_of_plain_http(url: str, settings: Settings, key: str) -> None:
    # No key is at risk on this machine, or where the placeholder for no key is sent.
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or is_loopback(host) or settings.allow_http or key == KEYLESS:
        return
    warn(
        f"the API key goes to {host} over plain http, readable on the way; use https, or "
        "give allow_http=True if that network is yours",
    )
