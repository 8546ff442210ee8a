"""One request that finds out what an endpoint is; another only where a way of asking is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmframe.engine.row import Row
from llmframe.engine.wire.verdict import classify

if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Asker
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.reply import Reply
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.scrubber import Scrubber

MOST = 7  # requests: each way of asking is refused at most once, and one is asked again


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of it.

    verdict: why there was no answer. reply: the answer. valid: it is what was asked for.
    seconds: that the answered request took. dialect: how it was written. requests: in all.
    refused: what was not taken, in order. broke: the server has failed once. models: that the
    endpoint lists, where it knows no such model.
    """

    dialect: Dialect
    requests: int = 0
    refused: tuple[str, ...] = ()
    broke: bool = False
    verdict: Verdict | None = None
    reply: Reply | None = None
    valid: bool = False
    seconds: float = 0.0
    models: tuple[str, ...] = ()


class Probe:
    """Asks one small thing. text: in place of a row's. timeout: seconds, for all of it."""

    def __init__(
        self, backend: Backend, asker: Asker, *, text: str, timeout: float, scrub: Scrubber
    ) -> None:
        self._backend = backend
        self._asker = asker
        self._row = Row(-1, b"", text)
        self._timeout = timeout
        self._scrub = scrub

    async def run(self, dialect: Dialect) -> Finding:
        """Ask; where a way of asking is refused, in the next simpler one."""
        found = Finding(dialect)
        ends = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(ends):
                while found.requests < MOST:
                    found = await self._ask(found)
                    simpler = self._simpler(found)
                    if simpler is None:
                        break
                    found = simpler
        except TimeoutError as exc:
            verdict = classify(exc, timeout=self._timeout, scrub=self._scrub)
            found = replace(found, verdict=verdict, requests=found.requests + 1)
        if found.verdict is not None and found.verdict.about == "model":
            with contextlib.suppress(Exception):  # the list is only a help
                async with asyncio.timeout_at(ends):
                    return replace(found, models=await self._backend.models())
        return found

    async def _ask(self, found: Finding) -> Finding:
        began = time.monotonic()
        requests = found.requests + 1
        try:
            reply = await self._backend.send(self._asker.body(self._row, found.dialect))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is reported
            verdict = classify(exc, timeout=self._timeout, scrub=self._scrub)
            return replace(found, verdict=verdict, requests=requests)
        return replace(
            found,
            verdict=None,
            reply=reply,
            requests=requests,
            valid=self._asker.valid(self._row, reply) is not None,
            seconds=time.monotonic() - began,
        )

    def _simpler(self, found: Finding) -> Finding | None:
        """The next way of asking; None where there is nothing to be made simpler."""
        verdict = found.verdict
        if verdict is None or verdict.about:
            return None
        lower = None
        if verdict.kind == "bad_request" and verdict.action == "fail_row":
            lower = found.dialect.below(verdict.param, verdict.message, self._asker.given)
        elif (verdict.status or 0) >= 500 and found.dialect.response_format == "json_schema":
            if not found.broke:  # by chance, perhaps
                return replace(found, broke=True)  # asked again as it was
            lower = found.dialect.simpler()  # some servers break at a schema that they do not know
        if lower is None:
            return None
        return replace(found, dialect=lower, refused=(*found.refused, _lost(found.dialect, lower)))


def _lost(dialect: Dialect, lower: Dialect) -> str:
    """What the lower dialect does not ask for any more."""
    if lower.response_format != dialect.response_format:
        return dialect.response_format
    if lower.cap != dialect.cap:
        return dialect.cap
    return ", ".join(sorted(lower.dropped - dialect.dropped))
