"""Labels for texts that have none yet: what a model is asked, and what its groups make together.

A model reads a few dozen texts at a time and groups them. What these requests named is then
grouped by the same question, until one list of labels is left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pydantic

from llmframe.task.text import fold, shows_nothing
from llmframe.text import clean_text, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

TEXTS = 30  # of one request: more, and small models lose some of them
CHARACTERS = 15_000  # of one request's entries; some 4,000 tokens, which small contexts hold
LONGEST = 1000  # characters of a text: its matter is known by then
MOST_THEMES = 120  # that are grouped by one request
MOST_LABELS = 20  # where the person gives no number: as many can be read and edited at once
ROUNDS = 3  # in which themes are grouped; a model that groups none has no end
LABEL, DESCRIPTION = 60, 300  # characters
OTHER = "other"  # is what no label covers, and so no label
FORGOTTEN = 0.01  # of all texts; a theme with fewer that no group has is left to "other"

_TASK = """\
Labels are being made for a column of texts, so that every text can be given one of them later. \
The record is a list of numbered entries, each a JSON object on a line of its own. Either they are \
texts of the column; or they are labels that were proposed for parts of it, each with its \
description and the number of its texts.

Sort the entries into groups: those about the same matter belong together, in whatever language \
they are. Make as few groups as keep clearly different matters apart. Every entry belongs to one \
group; leave out only what belongs nowhere. Make no group of leftovers: none called "other", \
"miscellaneous" or the like.

For each group give
- label: one to three words that name the matter, in the language of most of the entries
- description: one sentence that says what belongs to it, and what does not where another group \
is near
- entries: the numbers of its entries
"""
_AT_MOST = "\nWhere the entries are labels, make at most {k} groups.\n"
_EXACTLY = "\nWhere the entries are labels, make exactly {k} groups.\n"
_KEPT = """
These labels exist already. Use each as it is written, wherever it fits, and make another label \
only for what none of them covers:
{labels}
"""
_OWN = "\nWhat the labels are for, in the words of the person who needs them:\n{own}\n"


class Group(pydantic.BaseModel):
    """One group of a reply. entries: their numbers."""

    label: str
    description: str
    entries: list[int]


FIELDS: dict[str, Any] = {"groups": list[Group]}


@dataclass(frozen=True, slots=True)
class Theme:
    """A label that was proposed, with the texts that it stands for, by their numbers."""

    label: str
    description: str
    texts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a record. shown: what the model reads. texts: those that it stands for."""

    shown: Mapping[str, object]
    texts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person asks of the labels.

    k: how many, None for as few as tell the matters apart. seeds: label -> description of those
    that are kept as they are. own: the person's instructions.
    """

    k: int | None
    seeds: Mapping[str, str]
    own: str

    @property
    def most(self) -> int:
        """Labels of the result, at most."""
        return self.k or max(MOST_LABELS, len(self.seeds))

    def instructions(self) -> str:
        """The same for every request, so that all of them are one task with one budget."""
        parts = [_TASK, (_EXACTLY if self.k else _AT_MOST).format(k=self.most)]
        if self.seeds:
            lines = (_line({"label": label, "description": text} if text else {"label": label})
                     for label, text in self.seeds.items())  # fmt: skip
            parts.append(_KEPT.format(labels="\n".join(lines)))
        if self.own.strip():
            parts.append(_OWN.format(own=self.own.strip()))
        return "".join(parts)


def text_entries(texts: Sequence[str]) -> list[Entry]:
    """The entries of a sample."""
    return [Entry({"text": cut(text, LONGEST)}, (at,)) for at, text in enumerate(texts)]


def theme_entries(themes: Iterable[Theme]) -> list[Entry]:
    """The entries of labels that are to be grouped."""
    return [
        Entry(
            {"label": one.label, "description": one.description, "texts": len(one.texts)}, one.texts
        )
        for one in themes
    ]


def in_records(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    """The entries, as many together as one request may have."""
    record: list[Entry] = []
    size = 0
    for entry in entries:
        length = len(_line(entry.shown))
        if record and (len(record) == most or size + length > CHARACTERS):
            yield record
            record, size = [], 0
        record.append(entry)
        size += length
    if record:
        yield record


def record_text(entries: Sequence[Entry]) -> str:
    """What the model reads."""
    return "\n".join(_line({"number": at, **one.shown}) for at, one in enumerate(entries, 1))


def themes_in(groups: Iterable[Mapping[str, Any]], entries: Sequence[Entry]) -> Iterator[Theme]:
    """The groups of a reply; an entry that two groups name belongs to the first."""
    left = dict(enumerate(entries, 1))
    for group in groups:
        label = _clean(group["label"], LABEL)
        if shows_nothing(label) or fold(label) == OTHER:
            continue
        # models invent numbers and repeat them: such ones are ignored
        named = [left.pop(number) for number in group["entries"] if number in left]
        texts = tuple(text for entry in named for text in entry.texts)
        yield Theme(label, _clean(group["description"], DESCRIPTION), texts)


def united(themes: Iterable[Theme]) -> list[Theme]:
    """Themes whose labels are the same to a field, as one; that with the most texts comes first.

    The first of them gives the label and, unless it has none, the description.
    """
    found: dict[str, Theme] = {}
    for one in themes:
        held = found.setdefault(fold(one.label), replace(one, texts=()))
        found[fold(one.label)] = Theme(
            held.label, held.description or one.description, held.texts + one.texts
        )
    return sorted(found.values(), key=lambda one: -len(one.texts))


def with_forgotten(grouped: Sequence[Theme], before: Sequence[Theme], total: int) -> list[Theme]:
    """The groups, and the themes that none of them has: a model forgets some of a long list.

    total: texts of the sample.
    """
    placed = {text for theme in grouped for text in theme.texts}
    names = {fold(theme.label) for theme in grouped}
    # a theme with one text is no theme; one that took a kept name adds its texts there
    least = max(2, FORGOTTEN * total)
    left = [theme for theme in before if placed.isdisjoint(theme.texts)]
    return [*grouped, *(t for t in left if len(t.texts) >= least or fold(t.label) in names)]


def chosen(themes: Sequence[Theme], wanted: Wanted) -> list[Theme]:
    """The labels of the result: those that are kept, in their order, then the largest others."""
    kept = {fold(label): Theme(label, text) for label, text in wanted.seeds.items()}
    # the kept ones first: their spelling and description win over the model's
    everything = united([*kept.values(), *themes])
    by_name = {fold(theme.label): theme for theme in everything}
    others = [theme for theme in everything if fold(theme.label) not in kept and theme.texts]
    return [*(by_name[name] for name in kept), *others[: wanted.most - len(kept)]]


def _line(shown: Mapping[str, object]) -> str:
    return json.dumps(shown, ensure_ascii=False)


def _clean(text: str, limit: int) -> str:
    return cut(" ".join(clean_text(text).split()), limit)
