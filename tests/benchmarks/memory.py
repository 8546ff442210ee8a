"""What scheduling costs before anything is answered: memory a row, and the first request's delay.

    python tests/benchmarks/memory.py [rows]

Prints bytes a row of the scheduling, of the index of equal rows and of the results' list, with
every row planned and none answered; and how soon the first request arrives at a server in a
process of its own: after a warm-up call, and at the first call ever of a new interpreter.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import tracemalloc

import pandas as pd

import llmframe as lf
from llmframe.engine.asking.asking import Asker
from llmframe.engine.events import Events, Planned
from llmframe.engine.governor import Governor
from llmframe.engine.rows.claims import InFlight
from llmframe.engine.rows.parts import Job, Parts
from llmframe.engine.rows.pipeline import Pipeline
from llmframe.engine.tally import Tally
from llmframe.frame.rows import plan_rows
from llmframe.options.settings import Settings
from llmframe.providers.endpoint import Endpoint
from llmframe.providers.responses.scrubber import Scrubber
from llmframe.results import ResultStore
from llmframe.task.fields import resolve_fields
from llmframe.task.keys import KeyMaker
from llmframe.task.prompt import Prompt
from llmframe.testing import Server, serve

FIELDS = {"intent": ["refund", "delivery", "other"]}
INDEX = ("llmframe/results.py", "task/keys.py")  # where the keys of equal rows are kept and made


def frame(n: int) -> pd.DataFrame:
    """Distinct records."""
    return pd.DataFrame({"text": [f"record {i} of a customer" for i in range(n)]})


class Silent:
    """A backend that never answers: everything is planned, and nothing is done."""

    async def send(self, body: object) -> object:
        await asyncio.Event().wait()


async def planned(rows: int) -> dict[str, float]:
    """Bytes a row, by what they are for, when all rows are planned."""
    prompt = Prompt("", resolve_fields(FIELDS))
    source = plan_rows(frame(rows), "text")
    governor = Governor()
    tally = Tally(rows, clock=time.monotonic)
    all_planned = asyncio.Event()

    def watch(event: object) -> None:
        if isinstance(event, Planned):
            all_planned.set()

    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    store = ResultStore(rows)
    results = tracemalloc.take_snapshot()
    job = Job(
        settings=Settings(model="m"), rows=source, keys=KeyMaker({}), prompt=prompt,
        endpoint=Endpoint("", ""),
    )  # fmt: skip
    parts = Parts(
        job=job, store=store, events=Events(tally, watch),
        asker=Asker(prompt, job.settings, nonce="n"), share=governor.join(50),
        governor=governor, backend=Silent(), in_flight=InFlight(),
        scrub=Scrubber(),
    )  # fmt: skip
    pipeline = Pipeline(parts)
    run = asyncio.create_task(pipeline.run())
    await all_planned.wait()
    after = tracemalloc.take_snapshot()
    run.cancel()
    await asyncio.wait([run])
    tracemalloc.stop()
    grown = {
        each.traceback[0].filename: each.size_diff for each in after.compare_to(results, "filename")
    }
    index = sum(size for name, size in grown.items() if name.endswith(INDEX))
    return {
        "scheduling": (sum(grown.values()) - index) / rows,
        "index": index / rows,
        "results": sum(each.size_diff for each in results.compare_to(before, "filename")) / rows,
    }


def first_request(server: Server, df: pd.DataFrame) -> float:
    """Seconds from the call to the arrival of its first request."""
    sent = len(server.ledger)
    began = time.monotonic()
    run = lf.start(
        df, "text", FIELDS, model="m", base_url=server.url, checkpoint=False, progress=False
    )
    while len(server.ledger) == sent:
        time.sleep(0.05)
    run.stop()
    run.wait()
    return server.ledger.calls[sent].at - began


def first_call_ever(url: str, rows: int) -> float:
    """The same in a new interpreter: the time of its call, on the clock of all processes."""
    code = (
        "import time, json, llmframe as lf, pandas as pd\n"
        f"df = pd.DataFrame({{'text': [f'record {{i}} of another' for i in range({rows})]}})\n"
        "print(json.dumps(time.monotonic()), flush=True)\n"
        f"run = lf.start(df, 'text', {FIELDS!r}, model='m', base_url={url!r},\n"
        "    checkpoint=False, progress=False)\n"
        "time.sleep(3)\n"
        "run.stop()\n"
        "run.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for name, size in asyncio.run(planned(rows)).items():
        print(f"{name:10} {size:6.1f} bytes a row")
    with serve(process=True, latency=0.2) as server:
        lf.tag(frame(1), "text", FIELDS, model="m", base_url=server.url, checkpoint=False,
               progress=False)  # fmt: skip
        df = frame(rows)
        delays = [first_request(server, df) for _ in range(5)]
        print(f"first request, warm: {1000 * min(delays):.0f} to {1000 * max(delays):.0f} ms")
        sent = len(server.ledger)
        began = first_call_ever(server.url, rows)
        print(f"first call ever: {1000 * (server.ledger.calls[sent].at - began):.0f} ms")


if __name__ == "__main__":
    main()
