"""What a server was asked and what it answered, so that tests can count what was paid."""

from __future__ import annotations

import time
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Call:
    """One request for an answer, or one row of a batch.

    row: the row's text as the server read it (see ``answers.row_text``).
    attempt: how many requests for this row came before this one.
    at: ``time.monotonic()`` of its arrival; answered: of its answer, None where none was sent.
    status: the HTTP status, 0 where no answer was sent (yet).
    fault: the fault it got; ``"limit"`` when a limit refused it; None for a good answer.
    billed: a completion was produced, even if the client had gone away by then.
    in_flight: requests inside the server at its arrival, this one included.
    peer: the client's port; the same for requests on one connection.
    tokens_in, tokens_cached (of them), tokens_out: of a completion.
    batch: the id of the batch that the row came in, empty for a request of its own.

    texts: of a request for embeddings.

    A call under way is filled in when it ends.
    """

    row: str
    attempt: int
    at: float
    answered: float | None = None
    status: int = 0
    fault: str | None = None
    billed: bool = False
    in_flight: int = 0
    peer: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    batch: str = ""
    texts: tuple[str, ...] = ()

    def cost(self, prices: Mapping[str, float]) -> float:
        """What its tokens cost, by prices per million: "in", "out", and perhaps "cached"."""
        cached = prices.get("cached", prices["in"])
        spent = (self.tokens_in - self.tokens_cached) * prices["in"]
        return (spent + self.tokens_cached * cached + self.tokens_out * prices["out"]) / 1e6


@dataclass(frozen=True, slots=True)
class Objects:
    """Files and batches as the API shows them, and the requests for each step that makes them."""

    files: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    steps: Counter[str]


class Ledger:
    """Every request for an answer since the start or the last ``clear()``, rows of batches too.

    It may be read from any thread while the server writes it.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._asked: dict[str, int] = {}
        self._objects = Objects([], [], Counter())

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> list[Call]:
        """All calls in order of arrival."""
        return list(self._calls)

    @property
    def peak_in_flight(self) -> int:
        """The most requests that were inside the server at one time."""
        return max((call.in_flight for call in self.calls), default=0)

    @property
    def connections(self) -> int:
        """How many connections the requests came on."""
        return len({call.peer for call in self.calls if not call.batch})

    @property
    def objects(self) -> Objects:
        """What was uploaded, which batches were created, and how often each step was asked for."""
        return deepcopy(self._objects)

    @property
    def batches(self) -> list[dict[str, Any]]:
        """The batches in order of creation, as the API shows them now."""
        return self.objects.batches

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files that were uploaded, in order, as the API shows them; deleted ones too."""
        return self.objects.files

    @property
    def steps(self) -> Counter[str]:
        """How many requests came for each step of files and batches: upload, create, ..."""
        return self.objects.steps

    def rows(self) -> Counter[str]:
        """How many requests came for each row."""
        return Counter(call.row for call in self.calls)

    def cost(self, prices: Mapping[str, float]) -> float:
        """What all completions cost, also those that nobody waited for; prices as in Call.cost."""
        return sum(call.cost(prices) for call in self.calls if call.billed)

    def billed_twice(self) -> list[str]:
        """The rows whose good answer was produced, and so paid, more than once."""
        good = Counter(call.row for call in self.calls if call.billed and call.fault is None)
        return [row for row, times in good.items() if times > 1]

    def texts(self) -> Counter[str]:
        """How often an embedding of each text was produced, and so paid."""
        return Counter(text for call in self.calls if call.billed for text in call.texts)

    def since(self, at: float) -> list[Call]:
        """The calls that arrived at or after ``at`` (``time.monotonic()``)."""
        return [call for call in self.calls if call.at >= at]

    def clear(self) -> None:
        """Forget all calls; attempts count from 0 again."""
        self._calls, self._asked = [], {}
        self._objects = Objects([], [], Counter())

    def note(self, step: str, shown: dict[str, Any] | None = None) -> None:
        """Enter a request for a step, or the object that it made. For the server."""
        if shown is None:
            self._objects.steps[step] += 1
        else:
            (self._objects.batches if step == "create" else self._objects.files).append(shown)

    def arrive(self, row: str, in_flight: int, peer: int, batch: str = "") -> Call:
        """Enter a request that has just arrived. For the server."""
        attempt = self._asked.get(row, 0)
        self._asked[row] = attempt + 1
        call = Call(row, attempt, time.monotonic(), in_flight=in_flight, peer=peer, batch=batch)
        self._calls.append(call)
        return call
