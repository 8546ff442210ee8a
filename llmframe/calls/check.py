"""``check``: find out what an endpoint is and can do, with one small request."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from llmframe.options.layers import settle
from llmframe.options.settings import OPTIONS, Options
from llmframe.options.signature import with_options
from llmframe.runs.thread import loop_thread, refuse_own_thread

# The rest is imported by the functions: `import llmframe` loads this module, and must be quick.
if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Asker
    from llmframe.engine.probe import Finding
    from llmframe.notebook.check_view import Check
    from llmframe.options.settings import Settings
    from llmframe.providers.destination import Destination

PATIENCE = 10.0  # seconds for all of it, unless timeout= is given
TEXT = "The kettle arrived a day early and works well."
FIELDS = {"tone": ["positive", "negative"]}
INSTRUCTIONS = "Say what tone the review has."
TAKEN = [name for name, each in OPTIONS.items() if each.of_one_request or each.group == "Endpoint"]


@with_options(only=TAKEN)
def check(**options: Unpack[Options]) -> Check:
    """Send the endpoint one small request and show what it is and can do, line by line.

    >>> lf.check(base_url="https://api.example.com/v1", model="small-model")
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

    It costs about 200 tokens in and at most 256 out. It sends a second request only if the
    endpoint refuses a parameter, and refusals are not charged. A line with "no" comes with its
    cure; a line with neither yes nor no could not be tested.

    {options}

    It uses these options, given here or by ``configure``, and ignores all others. For
    this call ``timeout`` means seconds for everything but the start of a local model, 10
    by default; without ``max_output_tokens`` the answer may have 256 tokens.

    Returns what it shows: ``.ok`` (nothing is wrong) and ``.lines``; ``print(lf.check())`` shows
    it once, too. Raises PlanError where nothing is configured.
    """
    from llmframe.calls.destination import NoServerError, find_destination, start_local
    from llmframe.messages.check_lines import check_lines, unreachable_lines
    from llmframe.notebook.check_view import Check

    refuse_own_thread()
    settings = settle(options)
    timeout = settings.timeout if "timeout" in settings.given else PATIENCE
    # A local server takes its smallest context: the probe's text is short.
    try:
        destination = start_local(find_destination(settings, own_loop=True), need=lambda: 0)
    except NoServerError as exc:
        return _shown(Check(exc.address, unreachable_lines(exc.cure)))
    request = asyncio.run_coroutine_threadsafe(_probe(destination, timeout), loop_thread().loop)
    try:
        finding = request.result()
    except BaseException:  # above all an interrupt: nothing may go on in the background
        request.cancel()
        raise
    model = "" if destination.file else f", {destination.settings.model}"
    return _shown(Check(f"{destination.title}{model}", check_lines(destination, finding)))


def _shown(check: Check) -> Check:
    check.show()
    return check


async def _probe(destination: Destination, timeout: float) -> Finding:  # noqa: ASYNC109 - returns a verdict
    from llmframe.engine.governor import governor_for
    from llmframe.engine.probe import Probe
    from llmframe.engine.wire.backend import open_backend
    from llmframe.providers.responses.scrubber import Scrubber

    settings, endpoint = destination.settings, destination.endpoint
    backend = await open_backend(endpoint, connections=1)
    scrub = Scrubber(*endpoint.secrets)
    try:
        probe = Probe(backend, _asker(settings), text=TEXT, timeout=timeout, scrub=scrub)
        finding = await probe.run(destination.dialect)
    finally:
        await backend.close()
    if finding.reply is not None:
        # the governor remembers the dialect, so that the next run need not find it out again
        base_url, model = endpoint.base_url.rstrip("/"), str(settings.model)
        governor_for(base_url, endpoint.api_key, model, dialect=finding.dialect)
    return finding


def _asker(settings: Settings) -> Asker:
    from llmframe.engine.asking.asking import Asker
    from llmframe.messages.check_lines import CAP
    from llmframe.task.fields import resolve_fields
    from llmframe.task.prompt import Prompt

    prompt = Prompt(settings.instructions or INSTRUCTIONS, resolve_fields(FIELDS, into="tone"))
    cap = settings.max_output_tokens or CAP
    settings = replace(settings, max_output_tokens=cap, confidence="logprob")
    return Asker(prompt, settings, nonce=secrets.token_hex(4))
