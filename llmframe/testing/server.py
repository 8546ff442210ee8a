"""Start a server for a ``with`` block: in a thread of this process, or as a separate process."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Unpack

from llmframe.testing.handle import HOST, Server
from llmframe.testing.options import Changes, Options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from llmframe.testing.endpoint import Endpoint
    from llmframe.testing.ledger import Ledger

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    Call = Callable[[Callable[[], None]], object]


class ThreadServer(Server):
    """A server on its own loop in a daemon thread of this process."""

    def __init__(self, options: Options, port: int) -> None:
        from llmframe.testing.endpoint import Endpoint  # loads aiohttp

        self._endpoint = Endpoint(options)
        self._options = options
        ready: Future[tuple[int, Call]] = Future()
        thread = threading.Thread(
            target=_run, args=(self._endpoint, port, ready), name="llmframe.testing", daemon=True
        )
        thread.start()
        bound, self._call = ready.result()
        self.url = f"http://{HOST}:{bound}/v1"
        self._close = weakref.finalize(self, _stop, self._call, thread)

    @property
    def ledger(self) -> Ledger:
        """Every request so far; the live one."""
        return self._endpoint.ledger

    def update(self, **changes: Unpack[Changes]) -> None:
        """Change options from the next request on."""
        self._options = self._options.changed(changes)
        self._do(lambda: self._endpoint.apply(self._options))

    def advance(self, seconds: float) -> None:
        """Move the clock of files and batches ahead."""
        self._do(lambda: self._endpoint.batches.clock.advance(seconds))

    def _do(self, change: Callable[[], None]) -> None:
        """Make a change on the server's loop, and wait until it is made."""
        done: Future[None] = Future()

        def make() -> None:
            change()
            done.set_result(None)

        self._call(make)
        done.result()

    def close(self) -> None:
        """Stop serving."""
        self._close()


def serve(
    *, port: int = 0, process: bool = False, cpu: int | None = None, **options: Unpack[Changes]
) -> Server:
    """Start an OpenAI-compatible server on 127.0.0.1 and return it, ready to answer.

    It answers ``POST .../chat/completions``, ``.../responses``, ``.../embeddings``,
    ``GET .../models``, and what OpenAI has under ``.../files`` and ``.../batches``.

    port: 0 takes a free one.
    process: serve from a child process (of the same interpreter), which ends with this one.
        No callables among the options then.
    cpu: pin the child process to this core, where the system can.

    What it answers
        latency: seconds, or (median, 99th percentile) of a lognormal distribution.
        answer: None: a valid answer to the request's JSON schema, which ``expected`` computes
            too; ``"gold"``: the gold labels of ``records()`` (``"gold:7"`` of seed 7); a mapping
            from row text to a dict or to the content as a string; or a callable
            ``(row text, request body) -> dict | str``, called on the server's thread.
        stream: tokens a second of a streamed answer; None refuses ``stream``. The faults
            ``"break"`` and ``"stall"`` come in the middle of a stream.
        models: what ``/models`` lists. Requests may name any model.
        batches: how files and batches behave, by name (see ``BatchRules``, e.g.
            ``{"working": 3600}``); None where there are none: a 404. ``server.advance(3600)``
            moves their clock an hour ahead.
        apis: what it serves: ``("chat", "responses", "embeddings")``, or some of them.
        embeddings: rules by name: ``dimensions`` (64), ``texts`` (2,048), ``tokens`` (300,000),
            ``text_tokens`` (8,192), ``base64``, ``shortens``, ``status`` (400, of a request above
            the limits). A vector is made from the text's words, as ``embedding`` computes it.
        key: the API key to ask for; None accepts any.
        echo_key: put the Authorization header into every error message.
        unsupported: parameters answered with a 400: ``"json_schema"``, ``"temperature"``, ...
        most_labels, most_label_characters: of all enums of a JSON schema together; a request with
            more gets a 400.
        usage: how an answer states its tokens: ``"openai"``, ``"deepseek"``, ``"anthropic"``,
            ``"responses"``, ``"openrouter"`` (with the cost by prices), or None for not at all.
        cache: cache prompts as providers do: what begins as an earlier one did, in blocks of 64
            tokens. ``ledger.cost({"in": 1, "out": 2, "cached": 0.1})`` is the bill.
        prices: of ``usage="openrouter"``, per million tokens: "in", "out", perhaps "cached".
        logprobs: give the tokens' probabilities where they are asked for; False gives null.
    Faults (see ``FAULTS``); errors of status 4xx come immediately, all else after the latency
        faults: a mapping of fault name -> share of requests, chosen by a hash of (seed, row
            text, attempt), so the same in any order; or a callable ``(row text, attempt) -> name
            or None``.
        fault_rows: part of a row's text -> the fault that all its requests get.
        retry_after: of refusals, ``429_after`` and ``503_after``: seconds, ``"wait"`` (the real
            wait), ``"date:2"`` (an HTTP date 2 s ahead), ``"ms:1500"`` (only retry-after-ms),
            any other text as it is, or None.
        seed: of faults and latencies.
    Limits; a request above one gets a 429
        rpm, tpm: requests and tokens a minute. Tokens count at arrival: the prompt's and the
            cap, or without a cap the answer's own when it is sent.
        limiter: ``"bucket"`` (refilled steadily) or ``"minute"`` (a sliding 60 s).
        burst: seconds' worth of rpm and tpm that the bucket holds (60: a whole minute's worth).
        claimed: the same as the headers have it, where they claim more than the bucket holds.
        max_in_flight: requests under way. slots: as many are worked on, the others wait in line.
        headers: send ``x-ratelimit-*`` on every answer, where rpm or tpm is set.

    Raises ValueError for an option that cannot be, OSError when the port is taken.
    """
    checked = Options().changed(options)
    if process:
        from llmframe.testing.process import ProcessServer

        return ProcessServer(options, port, cpu)
    if cpu is not None:
        raise ValueError("cpu= pins a process; give process=True with it")
    return ThreadServer(checked, port)


async def listen(handler: Handler, port: int, ready: Callable[[int], None]) -> None:
    """Serve until cancelled; ``ready`` gets the port."""
    from aiohttp import web

    loop = asyncio.get_running_loop()
    server = web.Server(handler, access_log=None)
    listener = await loop.create_server(server, HOST, port, backlog=4096)
    ready(listener.sockets[0].getsockname()[1])
    try:
        await asyncio.Event().wait()
    finally:
        listener.close()
        for connection in server.connections:
            connection.force_close()
        await asyncio.sleep(0)  # lets the transports close


def _run(endpoint: Endpoint, port: int, ready: Future[tuple[int, Call]]) -> None:
    """The thread: serve until cancelled; tell the port and how to call, or why it cannot start."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await listen(
            endpoint, port, lambda bound: ready.set_result((bound, loop.call_soon_threadsafe))
        )

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        return
    except (OSError, OverflowError) as exc:  # the port is taken, or is none
        ready.set_exception(exc)


def _stop(call: Call, thread: threading.Thread) -> None:
    call(_cancel_all)
    thread.join(5.0)


def _cancel_all() -> None:
    """Cancel everything on the running loop: asyncio.run ends with its main task."""
    for task in asyncio.all_tasks(asyncio.get_event_loop()):
        task.cancel()
