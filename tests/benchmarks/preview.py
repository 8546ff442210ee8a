"""What a preview promises, measured: ``python -m tests.benchmarks.preview``.

Rows that are paid twice, whatever keeps the answers; when the first words of ten live answers
come, at 20 tokens a second; what a stream that breaks or stalls costs the other rows; and what a
Stop in the middle of all streams throws away.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

import llmframe as lf
from llmframe import testing
from llmframe.calls.opening import open_run
from llmframe.calls.plan import plan
from llmframe.engine.events import AnswerGrows
from llmframe.options.layers import settle
from llmframe.runs.thread import begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmframe.runs.session import Session
    from llmframe.testing import Server

RATE = 20  # tokens a second
FIELDS = {"intent": ["refund", "delivery", "other"], "summary": str}
KEPT: dict[str, dict[str, Any]] = {
    "the default checkpoint": {},
    "a path": {"checkpoint": "mine.jsonl"},
    "nothing": {"checkpoint": False},
}
SUMMARY = "The customer asks for a refund, because the parcel came late and was open. " * 2


def frame(rows: int) -> pd.DataFrame:
    """Rows of distinct texts."""
    return pd.DataFrame({"text": [f"text {n}" for n in range(rows)]})


def bought_twice(server: Server) -> None:
    """A line for each way of keeping answers, live and not."""
    print("preview of 20, another preview, and tag over 200 rows: rows that are paid twice")
    for (name, kept), live in itertools.product(KEPT.items(), (False, True)):
        server.ledger.clear()
        question = {"instructions": f"{name} {live}", **kept}
        for seed in (0, 1):
            frame(200).llm.preview("text", FIELDS, 20, seed=seed, live=live, **question)
        frame(200).llm.tag("text", FIELDS, **question)
        words = f"  kept in {name}, {'live' if live else 'not live'}"
        print(f"{words:45} {len(server.ledger.billed_twice()):4} of {len(server.ledger):4}")


def streamed(
    server: Server, *, before: Callable[[Session], None] = lambda _: None, **options: Any
) -> dict[int, list[float]]:
    """When the words of each of ten rows came, in seconds since the call."""
    grown: dict[int, list[float]] = {}
    began = time.monotonic()

    def note(event: object) -> None:
        if isinstance(event, AnswerGrows):
            grown.setdefault(event.position, []).append(time.monotonic() - began)

    server.ledger.clear()
    planned = plan(frame(10), "text", FIELDS, settle(options))
    with open_run(replace(planned, job=replace(planned.job, streams=True))) as session:
        session.execution.observe(note)
        begin(session)
    before(session)
    session.wait()
    return grown


def first_words(server: Server) -> None:
    """How far apart the first words of ten live answers are."""
    grown = streamed(server, instructions="first words")
    began = sorted(times[0] for times in grown.values())
    chunks, lasted = sum(map(len, grown.values())), max(times[-1] for times in grown.values())
    print(f"ten live answers at {RATE} tokens a second, a new endpoint")
    print(f"  first words of the first after {began[0]:.2f} s, of all ten {began[-1]:.2f} s")
    print(f"  the last word after {lasted:.1f} s; {chunks} chunks")


def faults(server: Server) -> None:
    """What one bad stream costs the others."""
    for fault in ("break", "stall"):
        server.update(faults={})
        usual = streamed(server, instructions=f"usual {fault}", timeout=3)
        server.update(fault_rows={"text 3": fault})
        grown = streamed(server, instructions=fault, timeout=3, max_attempts=2)
        later = max(grown[row][-1] - usual[row][-1] for row in range(10) if row != 3)
        asked = server.ledger.rows()
        others = sum(asked.values()) - asked["text 3"]
        print(f"one stream of ten that has a {fault!r} in its middle, always")
        print(f"  requests for it {asked['text 3']}, for the nine others {others}")
        print(f"  the nine others end {later:+.2f} s later than without it")
        server.update(fault_rows={})


def stopped(server: Server) -> None:
    """A Stop while ten streams are open."""

    def stop(session: Session) -> None:
        while len(server.ledger) < 10:
            time.sleep(0.05)
        time.sleep(1.0)
        session.stop()

    grown = streamed(server, before=stop, instructions="stopped", checkpoint="stopped.jsonl")
    kept = lf.read_checkpoint("stopped.jsonl")["tokens_out"].sum()
    # without a health probe that an earlier outage may have left due
    paid = sum(call.tokens_out for call in server.ledger.calls if call.row.startswith("text "))
    print("a Stop while ten streams are open")
    print(
        f"  streams {len(grown)}; tokens paid {paid}, of them not in the checkpoint {paid - kept}"
    )


def main() -> None:
    """Print all of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        testing.serve(process=True, stream=RATE * 100) as server,
    ):
        os.chdir(folder)
        warnings.simplefilter("ignore")  # each question is changed on purpose
        lf.configure(model="m", base_url=server.url, progress=False)
        bought_twice(server)
        answers = {f"text {n}": {"intent": "refund", "summary": SUMMARY} for n in range(200)}
        server.update(stream=RATE, answer=answers)
        lf.configure(model="another", base_url=server.url, progress=False)
        first_words(server)
        faults(server)
        stopped(server)


if __name__ == "__main__":
    main()
