"""What to know and do after a run: failed rows in words, what a re-run may mend, what to type."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmframe.text import cut, percents

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = 6  # kinds of failure named, the most frequent first
NEARLY_ALL = 0.95  # share of one label from which the prompt may be to blame
ENOUGH = 50  # answers, below which such a share may be chance
_LABEL = 60  # characters of a label in a sentence


# of the causes that engine/limited_by.py notes: how they read after "82 %"
_TIME = {
    "latency": "waiting for answers",
    "batch": "waiting for the provider's batches",
    "outage": "the provider was down",
    "provider pause": "pauses that the provider asked for",
    "the first answer": "waiting for the first answer",
    "pause by you": "your pause",
    "the provider's cap": "at the provider's limit of requests at a time",
    "the server's slots": "as many requests at a time as the server works on",
    "concurrency found so far": "as many requests at a time as were tried so far",
}
_LIMIT = re.compile(r"(?P<unit>[RT]PM) (?P<number>[\d,]+) \((?P<by>header|yours)\)")
_OWN = re.compile(r"concurrency (?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of failure after the number of its rows: ``3 invalid answers``.

    cure: what has to be done before a re-run can help; empty if a re-run alone may help.
    many: the words for several rows, where the kind is a noun.
    """

    one: str
    cure: str = ""
    many: str = ""

    def counted(self, number: int) -> str:
        """The kind as a sentence's subject and verb, ``11 were cut off``; with nouns no verb."""
        if self.many or self.one.startswith("failed"):
            return f"{number:,} {self.many if number > 1 and self.many else self.one}"
        return f"{number:,} {'was' if number == 1 else 'were'} {self.one}"


_KINDS = {
    "output": _Kind("invalid answer", many="invalid answers"),
    "timeout": _Kind("timed out"),
    "deadline": _Kind("not answered before the deadline"),
    "connection": _Kind("lost connection", many="lost connections"),
    "server": _Kind("server error", many="server errors"),
    "rate_limit": _Kind("over the rate limit"),
    "refusal": _Kind("refused by the model", "change the instructions, or try another model"),
    "content_filter": _Kind("blocked by the content filter", "try another model or provider"),
    "context_length": _Kind(
        "too long for the model",
        'shorten the texts, or give max_input_tokens= with on_long="truncate"',
    ),
    "truncated": _Kind("cut off", "raise max_output_tokens="),
    "bad_request": _Kind("rejected by the provider", "change what their reasons name"),
    "input": _Kind("unreadable cell", "put a text there", "unreadable cells"),
    "redact": _Kind("failed in redact=", "let its function take these texts"),
}
"""``suspect`` and kinds that a person's own file holds are named as they are."""


def failures(errors_by_kind: Mapping[str, int]) -> str:
    """Failed rows by kind, the most frequent first: ``38 invalid answers, 1 cut off``."""
    ranked = sorted(errors_by_kind.items(), key=lambda item: -item[1])
    shown = [f"{number:,} {kind_words(kind, number)}" for kind, number in ranked[:SHOWN]]
    rest = sum(number for _, number in ranked[SHOWN:])
    return ", ".join([*shown, f"{rest:,} other"] if rest else shown)


def kind_words(kind: str, number: int) -> str:
    """The words for a kind of failure; a kind that is not ours as it is."""
    if (known := _KINDS.get(kind)) is None:
        return cut(kind, 40)
    return known.one if number == 1 else known.many or known.one


def what_a_rerun_mends(errors_by_kind: Mapping[str, int]) -> str:
    """Which failed rows a re-run alone may mend, and what the others need; empty if it may all."""
    ranked = sorted(errors_by_kind.items(), key=lambda item: -item[1])
    cures = [
        f"{known.counted(number)}: {known.cure}."
        for kind, number in ranked
        if (known := _KINDS.get(kind)) and known.cure
    ]
    again = {kind: number for kind, number in ranked if not _needs_a_change(kind)}
    if not cures or not again:
        return " ".join(cures)
    total = sum(again.values())
    only = _KINDS.get(next(iter(again))) if len(again) == 1 else None
    rows = failures(again) if only and only.many else f"{total:,}"
    which = "" if only and only.many else f" ({failures(again)})"
    return " ".join([f"{rows} may succeed on a re-run{which}.", *cures])


def _needs_a_change(kind: str) -> bool:
    return kind in _KINDS and bool(_KINDS[kind].cure)


def nearly_all(name: str, counts: Mapping[str, int]) -> str:
    """That one of several labels took nearly all answers; empty if none did.

    name: of the field, empty where it stands beside. counts: answers by label, with labels that
    were never chosen.
    """
    answered = sum(counts.values())
    label, most = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if len(counts) < 2 or answered < ENOUGH or most < NEARLY_ALL * answered:
        return ""
    # rounded down: 100 % is said only where it is all of them
    share = 100 * most // answered
    where = f"{cut(name, _LABEL)}: " if name else ""
    return f'{where}{share} % are "{cut(label, _LABEL)}"; if that is unexpected, check the prompt'


def next_lines(
    frame: str, *, prefix: str = "", failed: bool, answered: bool, errors: str = ""
) -> tuple[str, ...]:
    """The lines to type next, to see the failed rows and what the columns hold.

    frame: the expression that is the returned frame. errors: where the failed rows are, if the
    frame does not show their texts.
    """
    argument = f"prefix={prefix!r}" if prefix else ""
    lines = [errors or f"{frame}.llm.errors({argument})"] if failed else []
    return (*lines, f"{frame}.llm.summary({argument})") if answered else tuple(lines)


def where_the_time_went(shares: Mapping[str, float]) -> str:
    """``82 % waiting for answers, 15 % your pause, 3 % other``: what is below 5 % is "other".

    shares: of the time by its causes, as engine/limited_by.py notes them.
    """
    named: Counter[str] = Counter()
    for cause, share in shares.items():
        named[cause_words(cause) if share >= 0.05 else "other"] += share  # type: ignore[assignment]
    other = named.pop("other", 0)
    ranked = [*named.most_common(), *([("other", other)] if other else [])]
    parts = percents([share for _, share in ranked])
    return ", ".join(
        f"{part} % {name}" for part, (name, _) in zip(parts, ranked, strict=True) if part
    )


def cause_words(cause: str) -> str:
    """A cause that engine/limited_by.py notes, as it reads after "82 %"."""
    if found := _LIMIT.fullmatch(cause):
        whose = "the provider's" if found["by"] == "header" else "your"
        unit = "requests" if found["unit"] == "RPM" else "tokens"
        return f"{whose} limit of {found['number']} {unit} a minute"
    if found := _OWN.fullmatch(cause):
        return f"your limit of {found['number']} requests at a time (concurrency=)"
    return _TIME.get(cause, cause)
