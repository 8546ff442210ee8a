"""Where a call's requests go: provider, address, model, key and client, settled and checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmframe.engine.wire.client import check_client, make_client
from llmframe.errors import PlanError, warn
from llmframe.messages.first_steps import AZURE_EXAMPLE, first_run, no_key, no_model, no_server
from llmframe.options.layers import OPENAI_URL, default_address, is_same_endpoint
from llmframe.options.presets import PRESETS, Preset, preset_of
from llmframe.options.rules import URL_IS, is_url
from llmframe.options.variables import AZURE_ENDPOINT, Found, find_variable
from llmframe.providers.address import endpoint_identity, is_loopback
from llmframe.providers.destination import Destination
from llmframe.providers.discover import is_listening, list_models
from llmframe.providers.endpoint import KEYLESS, Endpoint
from llmframe.providers.keys import DEFAULT_VARIABLE, FoundKey, find_key, look_up
from llmframe.providers.local.server import find_file, serve
from llmframe.runs.session import registry
from llmframe.runs.thread import loop_thread
from llmframe.secret import Key, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.options.settings import Settings


def find_destination(settings: Settings, *, own_loop: bool) -> Destination:
    """Settle where the requests go; nothing is started or sent.

    own_loop: the call runs on llmframe's loop, else on the caller's.
    Raises PlanError where no model or key is named or found, with what can be done.
    """
    named = PRESETS[settings.provider] if settings.provider else None
    if settings.client is not None:
        return _of_client(settings, named, own_loop=own_loop)
    if named is not None and named.name == "local":
        return _of_file(settings, named)
    address = _address(settings, named)
    url = address.value
    _check_host(address)
    preset = named or preset_of(url)
    key = _key(settings, address, preset)
    filled, notes = _filled(settings, named, address, key)
    _warn_of_plain_http(url, filled, key.key)
    endpoint = Endpoint(url, key.key, key_source=key.source)
    return Destination(filled, preset, endpoint_identity(url), endpoint, notes=notes)


def start_local(destination: Destination, *, need: Callable[[], int]) -> Destination:
    """The destination with its server running, if it is a local model; else as it is.

    need: returns the tokens of the longest prompt with its answer.
    """
    if destination.file is None:
        return destination

    def in_use(base_url: str) -> bool:
        runs = registry.alive()
        return any(run.execution.job.endpoint.base_url == base_url for run in runs)

    server, started = serve(destination.file, need=need(), in_use=in_use)
    endpoint = Endpoint(server.base_url, server.key, is_alive=server.is_alive)
    settings = destination.settings
    if settings.concurrency == "auto":  # more requests would only queue there, and time out
        settings = replace(settings, concurrency=server.sizes.slots)
    took = f"; started in {server.seconds:.1f} s" if started else ""
    notes = (*destination.notes, f"{server.describe()}{took}.")
    return replace(destination, settings=settings, endpoint=endpoint, notes=notes)


def _of_client(settings: Settings, named: Preset | None, *, own_loop: bool) -> Destination:
    """The person's own client; it knows its address and its key."""
    sets = _sets(settings, named, "the client's")
    settings = replace(settings, **sets)
    _check_model(settings, named)
    _check_seed(settings, named)
    check_client(settings.client, private_loop=own_loop)
    made = make_client(settings.client, loop_thread().call if own_loop else None)
    url = hide_secrets(str(made.base_url))
    _check_address(settings.base_url, made, url)
    endpoint = Endpoint(url, Key(made.api_key), made, owned=made is not settings.client)
    _warn_of_plain_http(url, settings, endpoint.api_key)
    told = ", ".join(f"{name} {value}" for name, value in sets.items())
    notes = (f"{named.title}: {told}.",) if named is not None and told else ()
    preset = named or preset_of(url)
    return Destination(settings, preset, endpoint_identity(url), endpoint, notes=notes)


def _check_address(base_url: str | None, client: Any, url: str) -> None:
    """PlanError where an address is given beside a client, and is not the client's own, url."""
    own = str(client.base_url)
    if base_url is None or is_same_endpoint(_as_written_by(client, base_url), own):
        return
    raise PlanError(
        f"client= asks {url}, but base_url= is {base_url}; a client knows its own address: leave "
        "one of the two out"
    )


def _as_written_by(client: Any, base_url: str) -> str:
    """An address as the client writes its own: without the default port, in punycode."""
    import httpx2

    try:
        return str(client.base_url.join(base_url))
    except httpx2.InvalidURL:  # no host has such a name; the client's own has been read
        return base_url


def _of_file(settings: Settings, preset: Preset) -> Destination:
    """A model on this machine: its weights must be here."""
    if settings.base_url is not None:
        raise PlanError(
            'provider="local" starts a server of its own; leave base_url= out, or provider= for a '
            "server that runs already"
        )
    settings = replace(settings, **preset.defaults(_given(settings)))
    file = find_file(str(settings.model))
    settings = replace(settings, model=file.name)
    # the server is started once the call is known to need it: see start_local
    return Destination(settings, preset, file.identity, Endpoint("", Key(KEYLESS)), file)


def _address(settings: Settings, named: Preset | None) -> Found:
    """The address, and where it stands if nobody has given it."""
    if named is not None and named.name == "azure":
        return _azure_address(settings.base_url)
    if settings.base_url is not None:
        return Found(settings.base_url)
    return Found(named.base_url) if named is not None else default_address()


def _check_host(address: Found) -> None:
    """PlanError for a host that the SDK could not write into a request."""
    import httpx2

    try:
        httpx2.URL(address.value)
    except httpx2.InvalidURL as exc:
        name = address.source or "base_url"
        raise PlanError(f"{name} is {address.value!r}, where no host can be: {exc}") from exc


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
        raise PlanError(f"{found.source} is {hide_secrets(url)!r}; it takes {URL_IS}")
    path = urlsplit(url).path.rstrip("/")
    if "/deployments" in path:
        raise PlanError(
            f"{url} is an address of the old kind, one for each deployment; give the resource "
            f"alone, {example}, and the deployment's name as model="
        )
    ends = {"": "/openai/v1", "/openai": "/v1"}
    return replace(found, value=url.rstrip("/") + ends.get(path, ""))


def _key(settings: Settings, address: Found, preset: Preset | None) -> FoundKey:
    """The key; where nothing at all is configured the error says what the choices are.

    To an address that stands in a ``.env`` file alone, which may lie in any folder above, goes
    only a key of that file or one that was given; the environment's only where the address is
    known to be the provider's own.
    """
    if settings.api_key is not None:
        return FoundKey(Key(settings.api_key))
    url = address.value
    nothing_named = settings.provider is None and settings.base_url is None and url == OPENAI_URL
    if nothing_named and look_up(DEFAULT_VARIABLE) is None:
        raise PlanError(first_run() if settings.model is None else no_key(url))
    needed = not is_loopback(urlsplit(url).hostname or "")
    named = preset if settings.provider else None
    known = preset_of(url)
    theirs = known is not None and known.base_url.startswith("https://")
    return find_key(url, named, needed=needed, only_file=address.in_file and not theirs)


def _filled(
    settings: Settings, named: Preset | None, address: Found, key: FoundKey
) -> tuple[Settings, tuple[str, ...]]:
    """The options with what the provider or the environment sets, and a sentence that tells."""
    url = address.value
    sets = _sets(settings, named, url)
    found = _only_model(settings, named, url) if "model" not in sets else None
    settings = replace(settings, **(sets | {"model": found} if found else sets))
    _check_model(settings, named)
    _check_seed(settings, named)
    if named is None and not address.source:
        return settings, ()
    origin = f" from {address.source}" if address.source else ""
    told = [f"base_url {url}{origin}"] if settings.base_url != url else []
    told += [f"{name} {value}" for name, value in sets.items()]
    told += [f"model {found}, the only one it serves"] if found else []
    told += [f"the key from {key.source}"] if key.source and key.key != KEYLESS else []
    whose = f"{named.title}: " if named is not None else ""
    return settings, (f"{whose}{', '.join(told)}.",) if told else ()


def _sets(settings: Settings, named: Preset | None, base_url: str) -> dict[str, Any]:
    """What the provider sets where the address is known."""
    return {} if named is None else named.defaults(_given(settings) | {"base_url": base_url})


def _given(settings: Settings) -> dict[str, Any]:
    """What somebody has set, which a provider does not."""
    return {name: getattr(settings, name) for name in settings.given}


def _only_model(settings: Settings, named: Preset | None, url: str) -> str | None:
    """The model of a server on this machine that serves but one, where none is named.

    Raises PlanError with those it serves if they are more, or nobody has said what it is; and
    where nothing answers there.
    """
    if settings.model is not None or not is_loopback(urlsplit(url).hostname or ""):
        return None
    models = list_models(url)
    if models is None and not is_listening(url):
        raise PlanError(no_server(named, url))
    if models is not None and len(models) == 1 and named is not None:
        return models[0]
    raise PlanError(no_model(named, models or ()))


def _check_model(settings: Settings, named: Preset | None) -> None:
    if settings.model is None:
        raise PlanError(no_model(named))


def _check_seed(settings: Settings, named: Preset | None) -> None:
    if settings.seed is not None and named is not None and named.seed_name != "seed":
        raise PlanError(
            f"{named.title} refuses seed=; its own is called {named.seed_name}: "
            f'extra_body={{"{named.seed_name}": {settings.seed}}}'
        )


def _warn_of_plain_http(url: str, settings: Settings, key: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or is_loopback(host) or settings.allow_http or key == KEYLESS:
        return
    warn(
        f"the API key goes to {host} over plain http, readable on the way; use https, or "
        "give allow_http=True if that network is yours",
    )
