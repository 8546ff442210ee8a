"""The model's quotes, as they stand in the person's own texts; others do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llmframe.task.trust.quotes import find_quote

if TYPE_CHECKING:
    from collections.abc import Sequence

SLICE = 512  # rows whose cells are read together


class OwnTexts(Protocol):
    """The person's own texts: the cells that ``input`` names, before anything is done to them."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns' names, as text."""

    def own_texts(self, start: int, stop: int) -> list[tuple[str, ...]]:
        """The cells' texts of a slice of rows, one for each column."""


class Found(NamedTuple):
    """A quote in the text. at: begin and end, and the column where there are several."""

    quote: str
    at: list[int | str]


def find_quotes(own: OwnTexts, quotes: Sequence[Any]) -> list[Found | None]:
    """Where each row's quote stands in one of its cells; None where it stands in none."""
    found: list[Found | None] = []
    names = own.input_names
    for start in range(0, len(quotes), SLICE):
        some = quotes[start : start + SLICE]
        if not any(some):  # no quote, so no cell of the slice has to be read
            found += [None] * len(some)
            continue
        texts = own.own_texts(start, start + len(some))
        found += [
            _find(quote, row, names) if isinstance(quote, str) else None
            for quote, row in zip(some, texts, strict=True)
        ]
    return found


def _find(quote: str, texts: Sequence[str], names: Sequence[str]) -> Found | None:
    """In one cell: what begins in one and ends in the next was written by nobody."""
    for text, name in zip(texts, names, strict=True):
        place = find_quote(quote, text)
        if place is not None:
            begin, end = place
            return Found(text[begin:end], [begin, end, *([name] if len(names) > 1 else [])])
    return None
