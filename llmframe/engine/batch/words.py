"""What the provider does with a run's batches, in a plain sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.engine.limited_by import span
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.engine.batch.part import Part

OWN = 90  # characters of the provider's own words
_STATES = {
    "validating": "being checked",
    "in_progress": "at work",
    "finalizing": "about to come back",
    "cancelling": "being cancelled",
}


def batch_words(
    parts: Sequence[Part],
    *,
    waiting: int,
    looked: float | None,
    full: str,
    left: float,
) -> str:
    """The sentence of the panel.

    waiting: rows that are to go into a further batch. looked: seconds since a batch was seen last.
    full: why the provider takes no more, until ``left`` seconds have passed.
    """
    there = [part for part in parts if part.is_there]
    sending = [part for part in parts if not part.is_there]
    words = []
    if there:
        words.append(_at_the_provider(there))
    if full:
        left_over = waiting + sum(len(part.keys) for part in sending)
        words.append(
            f'the provider takes no more right now ("{cut(full, OWN)}"): {_rows(left_over)} '
            f"follow, next try in {span(max(0.0, left))}"
        )
    elif sending:
        words.append(_being_sent(sending[0]))
    failing = next((part.failing for part in parts if part.failing), "")
    if failing and not full:
        words.append(f"the provider cannot be asked right now ({cut(failing, OWN)}); tried again")
    elif there and looked is not None:
        words.append(f"last looked {span(looked)} ago")
        if not (sending or full):
            words.append("this may be closed: the same call collects the answers later")
    return "; ".join(words) or (f"preparing {_rows(waiting)} for a batch" if waiting else "")


def _at_the_provider(parts: Sequence[Part]) -> str:
    """``3 batches with 120,000 rows at the provider, 2 at work, 61,200 requests answered``."""
    batches = "1 batch" if len(parts) == 1 else f"{len(parts):,} batches"
    states: dict[str, int] = {}
    for part in parts:
        status = part.remote.status if part.remote is not None else "validating"
        state = _STATES.get(status, status or "waiting")
        states[state] = states.get(state, 0) + 1
    shown = ", ".join(
        state if len(parts) == 1 else f"{number:,} {state}" for state, number in states.items()
    )
    rows = sum(len(part.keys) for part in parts)
    done = sum(part.remote.answered for part in parts if part.remote is not None)
    answered = f", {done:,} answered there" if done else ""
    return f"{batches} with {_rows(rows)} at the provider ({shown}{answered})"


def _being_sent(part: Part) -> str:
    if part.unsure:
        return "finding out whether the provider has a batch of an earlier call"
    if part.remote is not None:
        return f"taking {_rows(len(part.keys))} back from a batch"
    if part.file:
        return f"starting a batch of {_rows(len(part.keys))}"
    return f"uploading {_rows(len(part.keys))}"


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
