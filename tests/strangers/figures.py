"""What refusals and bad replies cost, in virtual time: ``python -m tests.strangers.figures``.

Each line prints what was seen beside what is wanted.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from llmframe.engine.governor import Governor
from tests.kits import virtual_time
from tests.kits.engine import GOOD, Provider, Wired, numbered, reply, status_error, wire

FEATURES = ("json_schema", "json_object", "temperature", "system")
STATUSES = (400, 404, 422, 501)
POISON = (400, 403, 404, 405, 410, 413, 422, 451, 498, 499, 501, 529)


def number(text: str) -> int:
    """A row's number, -1 for a text of our own."""
    return int(text.split()[1]) if text.startswith("row ") else -1


def go(n: int, answer: Callable[[int, dict[str, Any]], Any], runs: int = 1) -> list[Wired]:
    """Runs one after another against one endpoint. answer: (row's number, request) -> reply."""

    class Scripted(Provider):
        async def send(self, body: dict[str, Any]) -> Any:
            self.answer = lambda text, _: answer(number(text), body)
            return await super().send(body)

    async def main() -> list[Wired]:
        governor, done = Governor(virtual_time.now), []
        for _ in range(runs):
            provider = Scripted(latency=0.5)
            done.append(await wire(numbered(n), provider, governor=governor, cap=20).run())
        return done

    return virtual_time.run(main())


def uses(body: dict[str, Any]) -> set[str]:
    """The features of a request that an endpoint may refuse."""
    kind = (body.get("response_format") or {}).get("type")
    found = {kind} if kind else set()
    found |= {"temperature"} & set(body)
    return found | ({"system"} if body["messages"][0]["role"] == "system" else set())


def unknown_refusals(rng: random.Random) -> None:
    """Random words, four statuses, four things refused in all combinations."""
    answered = endpoints = 0
    lost, again = [], []
    combinations = [c for k in range(5) for c in itertools.combinations(FEATURES, k)]
    for status, refused in itertools.product(STATUSES, combinations):
        words = "".join(rng.choices("abcdefghij klmnopqrst", k=30))

        def answer(_row: int, body: dict[str, Any]) -> Any:
            if uses(body) & set(refused):  # noqa: B023 - used up in this turn of the loop
                return status_error(status, {"error": {"message": words}})  # noqa: B023
            return reply(GOOD)

        first, second = go(30, answer, runs=2)
        answered += first.statuses == ["ok"] * 30
        lost.append(sum(bool(uses(b) & set(refused)) for b in first.provider.bodies))
        again.append(sum(bool(uses(b) & set(refused)) for b in second.provider.bodies))
        endpoints += 1
    print(
        f"unknown refusals: {answered} of {endpoints} endpoints answer every row, at most "
        f"{max(lost)} requests lost (6), {max(again)} at the second run (0)"
    )


def bad_rows() -> None:
    """A frame whose first 200 of 1,000 rows are bad, in each way."""
    ways: dict[str, Callable[[], Any]] = {
        "400": lambda: status_error(400, {"error": {"message": "no"}}),
        "400 temperature": lambda: status_error(400, {"error": {"param": "temperature"}}),
        "403": lambda: status_error(403, {"error": {"message": "no"}}),
        "404": lambda: status_error(404, {"detail": "Not Found"}),
        "429": lambda: status_error(429, {"error": {"message": "slow down"}}),
        "500": lambda: status_error(500),
        "label": lambda: reply('{"intent": "joy"}'),
        "blank": lambda: reply(""),
        "cut": lambda: reply("{", "length"),
        "refusal": lambda: reply(None, refusal="no"),
    }
    for name, make in ways.items():
        (run,) = go(1000, lambda row, _, make=make: make() if 0 <= row < 200 else reply())
        pairs = zip(run.provider.calls, run.provider.bodies, strict=True)
        others = [b for (_, text), b in pairs if number(text) >= 200]
        changed = sum(uses(body) != {"json_schema", "temperature", "system"} for body in others)
        ok = run.statuses.count("ok")
        print(f"first 200 rows bad ({name}): {ok} of 800 good rows, {changed} asked otherwise")


def poison() -> None:
    """One row of 1,000 that is always refused."""
    for status in POISON:
        (run,) = go(
            1000,
            lambda row, _, status=status: (
                status_error(status, {"error": {"message": "no"}}) if row == 0 else reply()
            ),
        )
        print(f"poisoned with {status}: {run.statuses.count('ok')} ok (999)")


def chance(rng: random.Random) -> None:
    """A gateway of which 2 % of the upstreams refuse."""
    for status in (400, 403, 404, 501):
        (run,) = go(
            1000,
            lambda *_, status=status: (
                status_error(status, {"error": {"message": "quux"}})
                if rng.random() < 0.02
                else reply()
            ),
        )
        print(f"2 % refuse with {status}: {run.statuses.count('ok')} ok (1000)")


def empty() -> None:
    """An account that runs empty after 20 of 200 rows."""
    for status, words in itertools.product((400, 402, 403, 404, 422, 429, 500), range(2)):
        said = ("no credit left", "quux")[words]
        if words and status in (429, 500):
            continue  # then it is a limit, or an outage, as far as anybody can tell
        sent: list[int] = []

        def answer(*_: Any) -> Any:
            sent.append(1)  # noqa: B023
            good = len(sent) <= 20  # noqa: B023
            return reply() if good else status_error(status, {"error": {"message": said}})  # noqa: B023

        (run,) = go(200, answer)
        counts = Counter(run.statuses)
        after = len(sent) - 20
        print(f"empty ({status}, {said}): {counts['failed']} failed (0), {after} sent after (30)")


def main() -> None:
    """All of it, or what the arguments name."""
    rng = random.Random(12)
    parts = {
        "unknown": lambda: unknown_refusals(rng), "bad": bad_rows, "poison": poison,
        "chance": lambda: chance(rng), "empty": empty,
    }  # fmt: skip
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
