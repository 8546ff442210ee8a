"""One request that finds out what an endpoint is; another only where a way of asking is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmframe.engine.row import Row
from llmframe.engine.wire.verdict import classify
from llmframe.providers.dialect_search import DialectSearch, lost_features

if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Asker
    from llmframe.engine.wire.backend import Backend
    from llmframe.engine.wire.reply import Reply
    from llmframe.engine.wire.verdict import Verdict
    from llmframe.providers.dialect import Dialect
    from llmframe.providers.responses.scrubber import Scrubber

MOST = 16  # requests: each way of asking is refused at most once, and accepted at most once


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of it.

    verdict: why there was no answer. reply: the answer. valid: it is what was asked for.
    seconds: that the answered request took. dialect: how it was written. requests: in all.
    refused: features that are not accepted. models: that the endpoint lists, where it knows no
    such model.
    """

    dialect: Dialect
    requests: int = 0
    refused: tuple[str, ...] = ()
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
        self._breaks = 0
        self._timeout = timeout
        self._scrub = scrub

    async def run(self, dialect: Dialect) -> Finding:
        """Ask; where a way of asking is refused, in simpler ones, until it is clear which."""
        found, search = Finding(dialect), DialectSearch()
        search.begin_at(dialect)
        ends = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(ends):
                goes_on = True
                while goes_on and found.requests < MOST:
                    found, goes_on = await self._ask(found, search)
        except TimeoutError as exc:
            verdict = classify(exc, timeout=self._timeout, scrub=self._scrub)
            found = replace(found, verdict=verdict, requests=found.requests + 1)
        if found.verdict is not None and found.verdict.about == "model":
            with contextlib.suppress(Exception):  # the list is only a help
                async with asyncio.timeout_at(ends):
                    return replace(found, models=await self._backend.models())
        refused = lost_features(dialect, search.dialect)
        return replace(found, dialect=search.dialect, refused=tuple(refused))

    async def _ask(self, found: Finding, search: DialectSearch) -> tuple[Finding, bool]:
        """What is known after one more request, and whether another one is needed."""
        began, row = time.monotonic(), self._row
        row.dialect = search.next(row.rewritten, row.tried)
        found = replace(found, requests=found.requests + 1)
        try:
            reply = await self._backend.send(self._asker.body(row, row.dialect))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is reported
            own = self._asker.texts(row)
            verdict = classify(exc, timeout=self._timeout, scrub=self._scrub, own=own)
            return replace(found, verdict=verdict), self._rewrites(search, verdict)
        search.succeeded(row.dialect, row.tried)
        row.tried, row.rewritten = (), None
        valid = self._asker.valid(row, reply) is not None
        seconds = time.monotonic() - began
        found = replace(found, verdict=None, reply=reply, valid=valid, seconds=seconds)
        return found, not search.known

    def _rewrites(self, search: DialectSearch, verdict: Verdict) -> bool:
        """Whether there is another way of asking, or another try; the row is sent in it next."""
        row, lower = self._row, None
        if verdict.may_be_dialect:
            features = self._asker.features(row)
            tried = (*row.tried, row.dialect)
            lower = search.refused(tried, verdict.param, verdict.text, features=features)
        elif (verdict.status or 0) >= 500 and not verdict.about:
            self._breaks += 1
            lower = search.broke((*row.tried, row.dialect))
            if lower is None and self._breaks == 1 and row.dialect.has("json_schema"):
                return True  # by chance, perhaps: it is asked again as it was
        if lower is not None:
            row.rewrite(lower)
        return lower is not None
