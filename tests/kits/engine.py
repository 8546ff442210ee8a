"""What the engine's tests share: rows, a provider in virtual time, and a wired pipeline."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import openai

from llmframe.engine.asking.asking import Asker
from llmframe.engine.asking.outgoing import NO_RULES
from llmframe.engine.events import Events
from llmframe.engine.governor import Governor
from llmframe.engine.rows.budget import Budget
from llmframe.engine.rows.claims import InFlight
from llmframe.engine.rows.parts import Job, Parts
from llmframe.engine.rows.patience import Patience
from llmframe.engine.rows.pipeline import Pipeline
from llmframe.engine.tally import Tally
from llmframe.engine.wire.reply import Reply
from llmframe.options.settings import Settings
from llmframe.providers.dialect import Dialect
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.responses.scrubber import Scrubber
from llmframe.results import ResultStore, Usage
from llmframe.task.fields import resolve_fields
from llmframe.task.keys import KeyMaker
from llmframe.task.prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROMPT = Prompt("Tag it.", resolve_fields({"intent": ["refund", "other"]}))
GOOD = '{"intent": "refund"}'
KEYS = KeyMaker({"model": "m"})
URL = "http://127.0.0.1:9/v1"


class Texts:
    """Rows given as a list of texts, None for a blank one."""

    def __init__(self, texts: Sequence[str | None], ids: Sequence[object] | None = None) -> None:
        self._texts = texts
        self._ids = ids
        self.n = len(texts)
        self.is_stable = True

    def texts(self, start: int, stop: int) -> list[str | None]:
        return list(self._texts[start:stop])

    def text(self, position: int) -> str | None:
        return self._texts[position]

    def ids(self, start: int, stop: int) -> Sequence[object] | None:
        return None if self._ids is None else self._ids[start:stop]


def numbered(n: int, name: str = "row") -> Texts:
    return Texts([f"{name} {i}" for i in range(n)])


def reply(content: str | None = GOOD, finish: str = "stop", **more: Any) -> Reply:
    return Reply(content, finish, more.pop("refusal", None), Usage(10, 3, **more), {})


def status_error(
    status: int, body: object = None, headers: dict[str, str] | None = None
) -> openai.APIStatusError:
    """The SDK's own exception for a response."""
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    response = httpx2.Response(
        status, content=content, headers=headers, request=httpx2.Request("POST", URL)
    )
    return _sdk()._make_status_error_from_response(response)


@functools.cache
def _sdk() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="x", base_url=URL)


def refusal(retry_after: float | None = None) -> openai.APIStatusError:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return status_error(429, {"error": {"message": "slow down"}}, headers)


def lost_connection() -> openai.APIConnectionError:
    """What the SDK raises where nobody listens."""
    exc = openai.APIConnectionError(request=httpx2.Request("POST", URL))
    exc.__cause__ = ConnectionRefusedError(111, "Connect call failed")
    return exc


@dataclass
class Provider:
    """Answers requests in the loop's time; stands where a Backend stands.

    answer: (row's text, how many requests it had before) -> Reply, an exception, or the
        seconds to wait first and one of these.
    """

    answer: Callable[[str, int], Any] = lambda text, attempt: reply()
    latency: float = 1.0
    calls: list[tuple[float, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    on_wire: int = 0
    peak: int = 0

    async def send(self, body: dict[str, Any]) -> Reply:
        loop = asyncio.get_running_loop()
        user = next(each["content"] for each in body["messages"] if each["role"] == "user")
        text = re.search(r"<record \w+>\n(.*)\n</record", user, re.DOTALL)[1]
        self.calls.append((loop.time(), text))
        self.bodies.append(body)
        attempt = self.asked[text]
        self.asked[text] += 1
        self.on_wire += 1
        self.peak = max(self.peak, self.on_wire)
        try:
            response = self.answer(text, attempt)
            wait, response = response if isinstance(response, tuple) else (self.latency, response)
            await asyncio.sleep(wait)
        finally:
            self.on_wire -= 1
        if isinstance(response, BaseException):
            raise response
        return response


@dataclass
class Wired:
    """A pipeline with what it was made of."""

    pipeline: Pipeline
    parts: Parts
    provider: Any
    tally: Tally
    events: list[Any]
    limits: list[tuple[float, int]] = field(default_factory=list)

    async def run(self) -> Wired:
        noting = asyncio.ensure_future(self._note_limits())
        try:
            await self.pipeline.run()
        finally:
            noting.cancel()
            self.parts.governor.leave(self.parts.share)
        return self

    async def _note_limits(self) -> None:
        """Note each change of the governor's limit: (seconds since the start, limit)."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            limit = self.parts.governor.binding().limit
            if not self.limits or self.limits[-1][1] != limit:
                self.limits.append((clock() - begun, limit))
            await asyncio.sleep(0.25)

    @property
    def statuses(self) -> list[str]:
        return ["pending" if r is None else r.status for r in self.parts.store.results]

    @property
    def errors(self) -> list[str | None]:
        return [
            None if r is None or r.error is None else str(r.error) for r in self.parts.store.results
        ]


def knowing(governor: Governor) -> Governor:
    """The governor, as if the endpoint had answered before: it need not probe."""
    governor.understood(Dialect())
    return governor


def wire(
    rows: Texts,
    provider: Any = None,
    *,
    cap: int | None = 10,
    rpm: float | None = None,
    governor: Governor | None = None,
    in_flight: InFlight | None = None,
    checkpoint: Any = None,
    patience: Patience | None = None,
    streams: bool = False,
    observers: Sequence[Any] = (),
    budget: Budget | None = None,
    probes: bool = False,
    keys: KeyMaker = KEYS,
    asker: Any = None,
    **options: Any,
) -> Wired:
    """A pipeline on the running loop, in its time; its governor knows the model, or probes."""
    clock = asyncio.get_running_loop().time
    governor = governor or (Governor(clock) if probes else knowing(Governor(clock)))
    provider = provider or Provider()
    tally = Tally(rows.n, clock=clock, started=clock())
    events: list[Any] = []
    if patience is not None:
        options |= asdict(patience)
    rules = options.pop("rules", NO_RULES)
    settings = Settings(model="m", **options)
    job = Job(
        settings=settings,
        rows=rows,
        keys=keys,
        prompt=PROMPT,
        endpoint=Endpoint(URL, "k"),
        checkpoint=checkpoint,
        budget=budget or Budget(),
        rules=rules,
    )
    parts = Parts(
        job=job,
        store=ResultStore(rows.n),
        events=Events(tally, events.append, *observers),
        asker=asker or Asker(PROMPT, settings, nonce="n0", streams=streams),
        share=governor.join(cap, rpm=rpm),
        governor=governor,
        backend=provider,
        in_flight=in_flight or InFlight(),
        scrub=Scrubber("sk-secret-key"),
    )
    return Wired(Pipeline(parts), parts, provider, tally, events)
