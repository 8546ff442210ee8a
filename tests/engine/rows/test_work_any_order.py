"""Every row is finished once, and a close ends every worker, whatever happens in between."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.row import Row
from llmframe.engine.rows.work import Work
from tests.kits import virtual_time


def new_work(limit=10):
    return Work(asyncio.get_running_loop().time, lambda: limit)


def row(position=0):
    return Row(position, b"k", "text")


class Crowd:
    """Workers that take rows, give some back, and finish the rest; planning goes on beside."""

    def __init__(self, rows, workers, limit, fates):
        self.work = new_work(limit)
        self.rows = rows
        self.workers = workers
        self.fates = fates
        self.finished = []
        self.waiting_at_most = 0

    async def plan(self):
        for position in range(self.rows):
            self.work.add(position)
            if position % 3 == 0:
                await asyncio.sleep(0.1)
        self.work.planned()

    async def serve(self):
        while (taken := await self.work.next()) is not None:
            each = row(taken) if isinstance(taken, int) else taken
            each.sent += 1
            await asyncio.sleep(0.5)
            fate = self.fates[(each.position + each.sent) % len(self.fates)]
            if fate is None or each.sent > 4:
                self.finished.append(each.position)
                self.work.done()
            else:
                each.is_last = fate == "last"
                wait = 0.0 if fate == "last" else fate
                self.work.retry(each, asyncio.get_running_loop().time() + wait)
            # the bound is on the rows that wait for their time, which no public count tells apart
            self.waiting_at_most = max(self.waiting_at_most, len(self.work._waiting))


fates = st.lists(st.sampled_from([None, None, 0.0, 0.3, 7.0, "last"]), min_size=1, max_size=7)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.integers(1, 8), st.integers(1, 8), fates)
def test_every_row_is_finished_once_whatever_happens_on_the_way(rows, workers, limit, drawn):
    async def main():
        crowd = Crowd(rows, workers, limit, drawn)
        await asyncio.gather(crowd.plan(), *(crowd.serve() for _ in range(workers)))
        assert sorted(crowd.finished) == list(range(rows))
        assert crowd.waiting_at_most <= 2 * limit + workers

    virtual_time.run(main())


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), fates, st.floats(0, 20), st.lists(st.integers(0, 7)))
def test_a_close_at_any_moment_ends_every_worker(rows, workers, drawn, moment, cancelled):
    async def main():
        crowd = Crowd(rows, workers, 3, drawn)
        tasks = [asyncio.create_task(crowd.serve()) for _ in range(workers)]
        planning = asyncio.create_task(crowd.plan())
        await asyncio.sleep(moment)
        for number in cancelled:
            tasks[number % workers].cancel()
        crowd.work.close()
        await asyncio.wait([*tasks, planning])
        assert len(set(crowd.finished)) == len(crowd.finished)

    virtual_time.run(main())
