"""What an endpoint is and can do: one small request, told line by line, with cures."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Unpack

from llmframe.calls.destination import find_destination, start_local
from llmframe.engine.asking.asking import Asker, Sampling
from llmframe.engine.governor import governor_for
from llmframe.engine.probe import Finding, Probe
from llmframe.engine.wire.backend import open_backend
from llmframe.engine.wire.scrubber import Scrubber
from llmframe.messages.check_lines import CAP, Line, check_lines
from llmframe.options.layers import settle
from llmframe.options.settings import Options
from llmframe.options.signature import with_options
from llmframe.providers.destination import Destination
from llmframe.runs.thread import loop_thread, refuse_own_thread
from llmframe.task.fields import resolve_fields
from llmframe.task.prompt import Prompt

if TYPE_CHECKING:
    from llmframe.notebook.check_view import Check
    from llmframe.options.settings import Settings

if TYPE_CHECKING:
    from llmframe.options.settings import Settings

PATIENCE = 10.0  # seconds, for all of it, where no other timeout= is given
TEXT = "The kettle arrived a day early and works well."
FIELDS = {"tone": ["positive", "negative"]}
INSTRUCTIONS = "Say what tone the review has."


def look(settings: Settings, *, timeout: float | None = None) -> tuple[str, tuple[Line, ...]]:
    """Ask the endpoint one small thing; returns its title and what was found, in order.

    timeout: seconds, as the person gave them; None for PATIENCE.
    Raises PlanError where it is not even clear whom to ask.
    """
    refuse_own_thread()
    place = find_destination(settings, own_loop=True)
    place = start_local(place, need=lambda: 0)
    timeout = PATIENCE if timeout is None else timeout
    asking = asyncio.run_coroutine_threadsafe(_ask(place, timeout), loop_thread().loop)
    try:
        finding = asking.result()
    except BaseException:  # an interrupt, most of all
        asking.cancel()
        raise
    title = place.title if place.file else f"{place.title}, {place.settings.model}"
    return title, check_lines(place, finding)


async def _ask(place: Destination, timeout: float) -> Finding:  # noqa: ASYNC109 - it ends with a verdict
    settings, endpoint = place.settings, place.ready
    backend = open_backend(endpoint, connections=1)
    try:
        probe = Probe(
            backend,
            _asker(settings),
            text=TEXT,
            timeout=timeout,
            scrub=Scrubber(*endpoint.secrets),
        )
        finding = await probe.run(place.dialect)
    finally:
        await backend.close()
    if finding.reply is not None:  # the next run need not find out again
        base_url, model = endpoint.base_url.rstrip("/"), str(settings.model)
        governor_for(base_url, endpoint.api_key, model, dialect=finding.dialect)
    return finding


def _asker(settings: Settings) -> Asker:
    prompt = Prompt(settings.instructions or INSTRUCTIONS, resolve_fields(FIELDS, into="tone"))
    sampling = Sampling(
        temperature=settings.temperature,
        seed=settings.seed,
        max_output_tokens=settings.max_output_tokens or CAP,
        extra_body=settings.extra_body,
        logprobs=True,
    )
    return Asker(prompt, str(settings.model), sampling, nonce=secrets.token_hex(4))


OF_CHECK = (
    "provider", "base_url", "api_key", "client", "allow_http", "model",
    "instructions", "temperature", "seed", "max_output_tokens", "extra_body", "prices", "timeout",
)  # fmt: skip


@with_options(only=OF_CHECK)
def check(**options: Unpack[Options]) -> Check:
    """Ask the endpoint one small thing and show what it is and can do, line by line.

    It costs one request of about 200 tokens in and at most 256 out; another is sent only
    where a way of asking is refused (which is not charged). What is wrong comes with its cure;
    what could not be seen has neither yes nor no. It looks like this::

        llmframe: https://api.example.com/v1, small-model
          reachable           yes  it answers
          key accepted        yes  from the environment variable OPENAI_API_KEY
          model               yes  small-model
          response format     yes  json_schema, and the answer follows it
          logprobs                 yes
          rate-limit headers       600 requests, 90,000 tokens a minute
          latency                  0.74 s
          price                    1,000 rows like this one cost 0.137, in the currency of the
                                   prices (127 tokens in, 5 out each)

    Of the options, which are explained at ``tag``, it uses these, given here or by ``configure``:

    provider, base_url, api_key, client, allow_http, model: whom to ask.
    instructions, temperature, seed, max_output_tokens, extra_body: how to ask; the record is
        its own, and without max_output_tokens the answer may have 256 tokens.
    prices: what the price is reckoned by.
    timeout: seconds, for all of it; 10 where it is not given. A local model's start is not
        counted.

    All others may be given, too, and change nothing. Returns what it shows: ``.ok`` (nothing
    was found wrong), ``.lines``. Raises PlanError where nothing is configured.
    """
    from llmframe.calls.check import look
    from llmframe.notebook.check_view import Check

    settings = settle(options)
    timeout = settings.timeout if "timeout" in settings.given else None
    check = Check(*look(settings, timeout=timeout))
    check.show()
    return check
