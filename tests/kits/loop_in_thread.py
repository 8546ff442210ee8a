"""An event loop in another thread, that can be closed in the middle of everything."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class LoopInThread:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def start(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, coroutine):
        return self.start(coroutine).result(10)

    def kill(self):
        """Stop and close it in the middle of everything."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        with contextlib.suppress(RuntimeError):
            for task in asyncio.all_tasks(self.loop):
                task._log_destroy_pending = False
        self.loop.close()
