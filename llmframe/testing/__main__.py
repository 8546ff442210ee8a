"""``python -m llmframe.testing``: a server for a shell; Ctrl-C ends it and prints its ledger."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Any

from llmframe.testing.faults import FAULTS
from llmframe.testing.handle import HOST
from llmframe.testing.options import Options
from llmframe.testing.server import listen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.testing.ledger import Ledger


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m llmframe.testing", description=__doc__)
    made.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    made.add_argument(
        "--latency", type=_latency, metavar="S[,P99]", help="seconds, or median and p99"
    )
    made.add_argument(
        "--fault",
        type=_fault,
        action="append",
        metavar="NAME=SHARE",
        help=f"may be repeated; {', '.join(FAULTS)}",
    )
    made.add_argument("--answer", help="gold: the gold labels of the test records")
    made.add_argument("--key", help="the API key to ask for")
    made.add_argument("--limiter", help="bucket or minute")
    made.add_argument("--retry-after", type=_number, help='seconds, "wait", "date:2" or "ms:1500"')
    for name in ("rpm", "tpm", "burst"):
        made.add_argument(f"--{name}", type=float)
    for name in ("max-in-flight", "slots", "seed"):
        made.add_argument(f"--{name}", type=int)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted. The exit status is 2 for options that cannot be."""
    made = parser()
    given = {
        name: value for name, value in vars(made.parse_args(argv)).items() if value is not None
    }
    if given.pop("child"):
        from llmframe.testing.child import run_child

        run_child()
        return 0
    port, shares = given.pop("port"), given.pop("fault", None)
    try:
        options = Options().changed(given | ({"faults": dict(shares)} if shares else {}))
    except ValueError as exc:
        made.error(str(exc))
    return _serve(options, port)


def _serve(options: Options, port: int) -> int:
    from llmframe.testing.endpoint import Endpoint

    endpoint = Endpoint(options)
    try:
        asyncio.run(listen(endpoint, port, lambda bound: _say(f"http://{HOST}:{bound}/v1")))
    except KeyboardInterrupt:
        _say(summary(endpoint.ledger))
    return 0


def summary(ledger: Ledger) -> str:
    """A ledger in one line."""
    return (
        f"{len(ledger)} requests for {len(ledger.rows())} rows,"
        f" {sum(call.billed for call in ledger.calls)} billed,"
        f" {len(ledger.billed_twice())} rows paid twice, peak {ledger.peak_in_flight} in flight"
    )


def _latency(text: str) -> float | tuple[float, ...]:
    parts = tuple(float(part) for part in text.split(","))
    return parts[0] if len(parts) == 1 else parts


def _fault(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    return name, float(share or 1)


def _number(text: str) -> Any:
    return float(text) if text.replace(".", "", 1).isdecimal() else text


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
