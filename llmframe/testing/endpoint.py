"""The HTTP side of the server: one request in, one answer (or fault) out, all of it entered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import math
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from llmframe.testing import faults, wire
from llmframe.testing.answers import (
    asked_schema,
    content_text,
    enum_labels,
    make_answer,
    row_text,
)
from llmframe.testing.batches.routes import Batches
from llmframe.testing.batches.rules import Rules
from llmframe.testing.cache import PromptCache
from llmframe.testing.embeddings.serving import EmbeddingAsk, EmbeddingRules, parse_embedding
from llmframe.testing.ledger import Ledger
from llmframe.testing.limits import Limits, Slots
from llmframe.testing.wire import Reply

if TYPE_CHECKING:
    from typing import TypeAlias

    from llmframe.testing.ledger import Call
    from llmframe.testing.options import Options

STREAMING = faults.ApiError(
    400, "This server does not stream.", "invalid_request_error", "unsupported_value", "stream"
)
NOT_JSON = faults.ApiError(
    400, "We could not parse the JSON body of your request.", "invalid_request_error"
)
NO_REQUEST = faults.ApiError(400, "This body is no request.", "invalid_request_error")
NO_ROUTE = faults.ApiError(404, "Unknown request URL.", "invalid_request_error", "unknown_url")
GONE_CHECK = 0.05  # seconds between two checks whether a client without an answer has left
LOGPROBS = "message.output_text.logprobs"  # as the Responses API asks for them
TRICKLE = 0.5  # seconds between two blank bytes


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The chat request that asks the same; KeyError or TypeError where it is none."""
    asked = {**body, "messages": body["input"], "max_tokens": body.get("max_output_tokens")}
    if isinstance(body["input"], str):
        asked["messages"] = [{"role": "user", "content": body["input"]}]
    if body.get("instructions"):
        system = {"role": "system", "content": body["instructions"]}
        asked["messages"] = [system, *asked["messages"]]
    asked["logprobs"] = LOGPROBS in body.get("include", ()) or None
    form = body.get("text", {}).get("format")
    if form is not None:
        schema = {"json_schema": form} if "schema" in form else {}
        asked["response_format"] = {"type": form["type"], **schema}
    return asked


class Ask:
    """One parsed request for a chat completion, or for a response (of the API of that name)."""

    def __init__(self, body: dict[str, Any], authorization: str, *, is_response: bool) -> None:
        self.body = body = as_chat(body) if is_response else body
        self.is_response = is_response
        self.authorization = authorization
        self.model = str(body.get("model"))
        self.row = row_text(body["messages"])
        texts = [content_text(message["content"]) for message in body["messages"]]
        self.prompt = "\n".join(texts)
        self.prompt_tokens = sum(map(wire.tokens, texts))
        self.cap: int = body.get("max_completion_tokens") or body.get("max_tokens") or 0


def parse(body: Any, authorization: str, *, is_response: bool = False) -> Ask | None:
    """The request, None where the body is none."""
    try:
        return Ask(body, authorization, is_response=is_response)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def unsupported(body: dict[str, Any], options: Options) -> faults.ApiError | None:
    """The error for the first part of a request that this model does not take."""
    form = (body.get("response_format") or {}).get("type")
    for name in options.unsupported:
        param = "response_format" if form == name else name
        if form == name or body.get(name) is not None:
            return faults.ApiError(
                400,
                f"Unsupported parameter: '{name}' is not supported with this model.",
                "invalid_request_error",
                "unsupported_parameter",
                param,
            )
    return _too_many_labels(body, options) if form == "json_schema" else None


def _too_many_labels(body: dict[str, Any], options: Options) -> faults.ApiError | None:
    """The error for a schema whose enums hold more than this server takes."""
    labels = list(enum_labels(body["response_format"].get("json_schema")))
    for most, seen, unit in (
        (options.most_labels, len(labels), "values"),
        (options.most_label_characters, sum(len(str(label)) for label in labels), "characters"),
    ):
        if most is not None and seen > most:
            return faults.ApiError(
                400,
                f"Invalid schema: enums may have {most} {unit} in all, and these have {seen}.",
                "invalid_request_error",
                None,
                "response_format",
            )
    return None


if TYPE_CHECKING:
    AnyAsk: TypeAlias = Ask | EmbeddingAsk


class Endpoint:
    """Answers requests by its options, and enters them in its ledger. Lives on one loop."""

    def __init__(self, options: Options) -> None:
        self.ledger = Ledger()
        self.in_flight = 0
        self.options = options
        self._numbers = itertools.count(1)
        self._limits = Limits(*options.limits())
        self._answer = make_answer(options.answer)
        self._slots = Slots(options.slots)
        self._cache = PromptCache()
        self._rules = Rules.of(options.batches or {})
        self._batch_cache = PromptCache()  # live requests do not warm it
        self.batches = Batches(
            ledger=self.ledger, rules=lambda: self._rules, answer=self._batch_row
        )
        self._embeds = EmbeddingRules.of(options.embeddings)

    def apply(self, options: Options) -> None:
        """Take other options from the next request on; limits that stay keep their state."""
        if options.limits() != self.options.limits():
            self._limits = Limits(*options.limits())
        if options.answer != self.options.answer:
            self._answer = make_answer(options.answer)
        if options.batches != self.options.batches:
            self._rules = Rules.of(options.batches or {})
            self.batches.rules_changed()
        self._slots.resize(options.slots)
        self._embeds = EmbeddingRules.of(options.embeddings)
        self.options = options

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        for api, path in wire.PATHS.items():
            if request.method == "POST" and request.path.endswith(path):
                if api not in self.options.apis:
                    break
                return await self._ask(request, api)
        if request.method == "GET" and request.path.endswith("/models"):
            return self._send(self._models(request))
        if self.options.batches is not None and self.batches.serves(request):
            return await self._batch_step(request)
        return self._send(wire.error(NO_ROUTE))

    async def _batch_step(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for files or batches."""
        if not self._may_enter(request.headers.get("Authorization", "")):
            return self._send(wire.error(faults.ERRORS["401"]))
        done = await self.batches.reply(request)
        if isinstance(done, web.StreamResponse):
            return done
        if isinstance(done, str) and done in faults.WIRE:
            return await self._broken(request, done)
        return self._send(self._error(done) if isinstance(done, str) else done)

    def _batch_row(self, body: dict[str, Any], url: str, batch: str) -> tuple[Reply | None, Call]:
        """The answer to one row of a batch, None for no reply; by the rule of live requests."""
        ask = parse(body, "", is_response=url.endswith(wire.PATHS["responses"]))
        call = self.ledger.arrive(ask.row if ask else "", 0, 0, batch)
        problem = unsupported(ask.body, self.options) if ask else NO_REQUEST
        call.fault = "unsupported" if problem else self._fault(call)
        reply = None  # for faults that are no reply, and a page that is no JSON
        if problem or ask is None:
            reply = wire.error(problem or NO_REQUEST)
        elif call.fault not in (*faults.WIRE, "html"):
            reply = self._at_once(ask, call) or self._made(ask, call)
        call.answered = time.monotonic()
        if reply:
            call.status, call.billed = reply.status, reply.billed
        return reply, call

    async def _ask(self, request: web.BaseRequest, api: str) -> web.StreamResponse:
        raw = await request.content.read()
        authorization = request.headers.get("Authorization", "")
        body = _loaded(raw)
        ask: AnyAsk | None
        if api == "embeddings":
            ask = parse_embedding(body, authorization)
        else:
            ask = parse(body, authorization, is_response=api == "responses")
        if ask is None:
            return self._send(wire.error(NOT_JSON))
        self.in_flight += 1
        call = self.ledger.arrive(ask.row, self.in_flight, _peer(request))
        if isinstance(ask, EmbeddingAsk):
            call.texts = tuple(ask.texts)
        try:
            return await self._answered(request, ask, call)
        finally:
            self.in_flight -= 1

    async def _answered(
        self, request: web.BaseRequest, ask: AnyAsk, call: Call
    ) -> web.StreamResponse:
        reply = self._refused(ask, call)
        if reply is None:
            call.fault = self._fault(call)
            reply = self._at_once(ask, call)
        if reply is None:
            await self._work(call)
            wanted = bool(ask.body.get("stream"))
            fault = call.fault if wanted else faults.UNSTREAMED.get(call.fault or "", call.fault)
            if fault in faults.WIRE:
                return await self._broken(request, fault)
            reply = self._made(ask, call)
            if wanted and reply.billed:
                return await self._streamed(request, ask, call, reply)
        call.answered, call.status, call.billed = time.monotonic(), reply.status, reply.billed
        return self._send(reply)

    def _refused(self, ask: AnyAsk, call: Call) -> Reply | None:
        """The answer to a request that is not let in."""
        if not self._may_enter(ask.authorization):
            call.fault = "401"
            return self._error("401", ask)
        streams = self.options.stream is not None
        problem = STREAMING if ask.body.get("stream") and not streams else None
        problem = problem or unsupported(ask.body, self.options)
        if isinstance(ask, EmbeddingAsk):
            problem = problem or ask.problem(self._embeds)
        if problem:
            call.fault = "unsupported"
            return wire.error(problem, suffix=self._echo(ask))
        now, most = time.monotonic(), self.options.max_in_flight
        if most is not None and self.in_flight > most:
            refused: tuple[str, float] | None = ("requests in flight", 1.0)
        else:
            refused = self._limits.admit(now, ask.prompt_tokens + ask.cap)
        if refused is None:
            return None
        call.fault = "limit"
        return self._over(ask, *refused)

    def _over(self, ask: AnyAsk, limit: str, wait: float) -> Reply:
        """The 429 of a limit."""
        problem = faults.ApiError(
            429,
            f"Rate limit reached for {ask.model} on {limit}. Please try again later.",
            "tokens" if limit == "tokens" else "requests",
            "rate_limit_exceeded",
        )
        headers = wire.retry_headers(self.options.retry_after, wait) | self._limit_headers()
        return wire.error(problem, suffix=self._echo(ask), headers=headers)

    def _fault(self, call: Call) -> str | None:
        options = self.options
        for part, name in options.fault_rows.items():
            if part in call.row:
                return name
        return faults.choose_fault(options.faults, options.seed, call.row, call.attempt)

    def _at_once(self, ask: AnyAsk, call: Call) -> Reply | None:
        """A fault that comes before any work is done on the row: all of status 4xx."""
        problem = faults.ERRORS.get(call.fault or "")
        if problem is None or not 400 <= problem.status < 500:
            return None
        return self._error(call.fault or "", ask)

    async def _work(self, call: Call) -> None:
        """Wait for a slot, and then for the latency."""
        options = self.options
        seconds = faults.choose_latency(options.latency, options.seed, call.row, call.attempt)
        if options.slots is None:
            seconds += call.at - time.monotonic()
        await self._slots.take()
        try:
            if seconds > 0:
                await asyncio.sleep(seconds)
        finally:
            self._slots.leave()

    def _made(self, ask: AnyAsk, call: Call) -> Reply:
        """The answer when the work is done."""
        fault = call.fault
        if fault in faults.ERRORS:
            return self._error(fault, ask)
        if fault == "html":
            return Reply(200, faults.HTML, content_type="text/html")
        if isinstance(ask, EmbeddingAsk):
            used, headers = self._used(ask, call, 0), self._limit_headers()
            spoils, number = self.options.fault_rows, next(self._numbers)
            return ask.reply(number, used, self._embeds, headers, fault=fault, spoils=spoils)
        choice = None if fault == "empty_choices" else self._choice(ask, fault)
        if choice and not ask.cap and not call.batch:
            self._limits.spend(time.monotonic(), wire.answer_tokens(choice))
        number, headers = next(self._numbers), self._limit_headers()
        wanted = self.options.logprobs and bool(ask.body.get("logprobs"))
        used = self._used(ask, call, wire.answer_tokens(choice) if choice else 0)
        write = wire.response if ask.is_response else wire.completion
        return write(number, ask.model, used, choice, headers, logprobs=wanted)

    def _used(self, ask: AnyAsk, call: Call, tokens_out: int) -> dict[str, Any] | None:
        """Enter what the answer takes; returns what it says about it."""
        call.tokens_in, call.tokens_out = ask.prompt_tokens, tokens_out
        if self.options.cache:
            cache = self._batch_cache if call.batch else self._cache
            call.tokens_cached = cache.hits(ask.prompt)
            cache.remember(ask.prompt)
        if self.options.usage is None:
            return None
        is_usual = self.options.usage == "openai"
        return wire.usage(
            "responses" if ask.is_response and is_usual else self.options.usage,
            call.tokens_in,
            call.tokens_out,
            cached=call.tokens_cached,
            cost=call.cost(self.options.prices),
        )

    def _choice(self, ask: Ask, fault: str | None) -> faults.Completion:
        """The completion's choice, spoilt by the fault if there is one."""
        answer = self._answer(ask.row, ask.body)
        if fault == "off_list" and isinstance(answer, dict):
            answer = faults.off_list(answer, asked_schema(ask.body) or {})
        content = answer if isinstance(answer, str) else wire.dump(answer).decode()
        return faults.SPOILT.get(fault or "", faults.Completion)(content)

    def _error(self, name: str, ask: AnyAsk | None = None) -> Reply:
        """The answer of an error by name."""
        problem = faults.ERRORS[name]
        message = problem.message.replace("{model}", ask.model if ask else "this model")
        problem = dataclasses.replace(problem, message=message)
        headers = wire.retry_headers(self.options.retry_after) if problem.after else {}
        suffix = self._echo(ask) if ask else ""
        return wire.error(problem, suffix=suffix, headers=headers | self._limit_headers())

    def _models(self, request: web.BaseRequest) -> Reply:
        if not self._may_enter(request.headers.get("Authorization", "")):
            return wire.error(faults.ERRORS["401"])
        models = [
            {"id": name, "object": "model", "created": wire.started(), "owned_by": "testing"}
            for name in self.options.models
        ]
        return Reply(200, wire.dump({"object": "list", "data": models}))

    def _may_enter(self, authorization: str) -> bool:
        return self.options.key is None or authorization == f"Bearer {self.options.key}"

    def _echo(self, ask: AnyAsk) -> str:
        return f" (Authorization: {ask.authorization})" if self.options.echo_key else ""

    def _limit_headers(self) -> dict[str, str]:
        return self._limits.headers(time.monotonic()) if self.options.headers else {}

    @staticmethod
    def _send(reply: Reply) -> web.Response:
        return web.Response(
            body=reply.body,
            status=reply.status,
            headers={"Content-Type": reply.content_type, **reply.headers},
        )

    async def _streamed(
        self, request: web.BaseRequest, ask: AnyAsk, call: Call, reply: Reply
    ) -> web.StreamResponse:
        """Send an answer token by token; it may break off or stall in its middle."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", **reply.headers}
        )
        usage = bool((ask.body.get("stream_options") or {}).get("include_usage"))
        lines = [*wire.stream_lines(reply, usage=usage)]
        end, tokens = faults.UNSTREAMED.get(call.fault or ""), call.tokens_out
        call.status, call.billed, call.tokens_out = reply.status, True, 0
        with contextlib.suppress(ConnectionError):  # the client has left
            await response.prepare(request)
            for line, is_text in lines:
                if end and call.tokens_out >= tokens // 2:
                    return await self._broken(request, end)
                if is_text:
                    await asyncio.sleep(1 / (self.options.stream or math.inf))
                    call.tokens_out += 1
                await response.write(line)
            call.answered, call.tokens_out = time.monotonic(), tokens
        return response

    async def _broken(self, request: web.BaseRequest, fault: str) -> web.StreamResponse:
        """End a request without an answer: immediately, never, or byte by byte."""
        response = web.StreamResponse(headers={"Content-Type": wire.JSON})
        trickle = fault == "trickle"
        with contextlib.suppress(ConnectionError):  # the client has left
            if trickle:
                await response.prepare(request)
            while fault != "drop" and _connected(request):
                if trickle:
                    await response.write(b" ")
                await asyncio.sleep(TRICKLE if trickle else GONE_CHECK)
        if request.transport is not None:
            request.transport.close()
        return response


def _loaded(raw: bytes) -> Any:
    """The JSON value, None where it is none."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _peer(request: web.BaseRequest) -> int:
    """The client's port, 0 when it has left already."""
    address = request.transport.get_extra_info("peername") if request.transport else None
    return int(address[1]) if address else 0


def _connected(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()
