"""Answers that the person's own validators read: off the loop, in a thread or in processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from llmframe.engine.asking.embedding import EmbeddingAsker
from llmframe.errors import OutputError
from llmframe.system.executor import run_in_daemon_thread

if TYPE_CHECKING:
    from llmframe.engine.asking.asking import Asker
    from llmframe.engine.wire.reply import Reply
    from llmframe.system.processes import Processes
    from llmframe.task.parse import Answer

GRACE = 1.0  # seconds that a reply, which is paid, has to be read after a cancel


class Validator:
    """Reads answers where that runs the person's code; lives on one loop.

    processes: where to run it; None for a thread, in which one reply is read after the other:
    what people write is seldom made for several threads.
    """

    def __init__(self, asker: Asker | EmbeddingAsker, processes: Processes | None) -> None:
        self._asker = asker
        self._processes = processes
        self._turn = asyncio.Lock()

    async def parsed(self, reply: Reply) -> Reply:
        """The reply with its answer parsed; as it is where only our code runs, which is quick.

        A cancel waits a moment, so that a reply that was read is not lost.
        """
        asker = self._asker
        if isinstance(asker, EmbeddingAsker) or not asker.runs_own_code:
            return reply
        parsing = asyncio.ensure_future(self._parse(asker, reply))
        try:
            return replace(reply, parsed=await asyncio.shield(parsing))
        except asyncio.CancelledError:
            await asyncio.wait({parsing}, timeout=GRACE)
            if parsing.done() and not parsing.cancelled():
                return replace(reply, parsed=parsing.result())
            parsing.cancel()
            raise

    async def _parse(self, asker: Asker, reply: Reply) -> Answer | OutputError:
        if self._processes is None:
            async with self._turn:
                return await run_in_daemon_thread(partial(asker.parse, reply))
        [(parsed, error)] = await self._processes.map([(reply.content, reply.elsewhere)])
        return OutputError(f"the reply could not be read: {error}") if error else parsed
