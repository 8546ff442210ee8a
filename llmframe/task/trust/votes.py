"""Several answers to one row, each to the labels in another order, and what they say together."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from llmframe.results import NOTHING_USED
from llmframe.task.confidence import is_choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmframe.results import RowResult
    from llmframe.task.choices import Labels
    from llmframe.task.fields import FieldSet, FieldSpec
    from llmframe.task.schema import Node

Setting: TypeAlias = Literal[1, 3, "2+1"]
"""The option ``votes``."""

MOST = 3
AGREEING = 0.8  # of the rows, in which the first two votes say the same: a guess until it is known


def requests_a_row(votes: Setting, agreeing: float = AGREEING) -> float:
    """Requests for one row, on average, before any retry.

    agreeing: share of the rows in which the first two votes agree.
    """
    return 2 + (1 - agreeing) if votes == "2+1" else float(votes)


def label_orders(fields: FieldSet, vote: int) -> dict[str, list[Any]]:
    """Field name -> its labels in the order of this vote, for each closed choice.

    Vote 0 has the person's own order. Every other begins with a label that no vote before it
    begins with, while there are such labels: models prefer what they read first.
    """
    return {
        spec.name: _orders(spec.name, spec.labels)[vote]
        for spec in fields.specs
        if is_choice(spec) and spec.labels is not None
    }


def _orders(name: str, labels: Labels) -> list[list[Any]]:
    orders = [list(labels)]
    for vote in range(1, MOST):
        order = list(labels)
        # seeded by the field alone: keys are made from the order, so it must be the same always
        random.Random(f"{vote}:{name}:{labels!r}").shuffle(order)  # noqa: S311 - no secret
        firsts = [earlier[0] for earlier in orders]
        # of too few labels only the last vote's first one can be avoided
        avoided = firsts if len({*firsts}) < len(labels) else firsts[-1:]
        while order[0] in avoided and len(labels) > 1:
            order.append(order.pop(0))
        orders.append(order)
    return orders


def reordered(fields: FieldSet, vote: int) -> FieldSet:
    """The fields as this vote shows them: only the order of their labels differs."""
    properties = dict(fields.schema["properties"])
    for name, order in label_orders(fields, vote).items():
        properties[name] = _with_order(properties[name], order)
    return replace(fields, schema=fields.schema | {"properties": properties})


def _with_order(node: Node, order: Sequence[Any]) -> Node:
    given = node.get("enum", ())
    labels = [label for label in given if label is not None]
    order = [*order, *(label for label in labels if label not in order)]  # "unsure" comes last
    if len(labels) != len(order):
        return node
    null = [None] if len(labels) < len(given) else []
    moved = node | {"enum": [*order, *null]}
    if "description" in node:
        moved["description"] = _with_lines_moved(node["description"], labels, order)
    return moved


def _with_lines_moved(text: str, labels: Sequence[Any], order: Sequence[Any]) -> str:
    """The description, where it explains label by label, in the labels' new order."""
    lines, starts = text.split("\n"), list[int]()
    for label in labels:
        begin = starts[-1] + 1 if starts else 0
        named = (
            at
            for at, line in enumerate(lines[begin:], begin)
            if line == str(label) or line.startswith(f"{label}:")
        )
        if (at := next(named, None)) is None:
            return text
        starts.append(at)
    ends = [*starts[1:], len(lines)]
    about = {label: lines[a:b] for label, a, b in zip(labels, starts, ends, strict=True)}
    return "\n".join([*lines[: starts[0]], *(line for label in order for line in about[label])])


def is_decided(
    setting: Setting, choices: Iterable[str], votes: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether a row needs no further vote. votes: the answers so far, field name -> value."""
    if setting == "2+1" and len(votes) == 2:
        return all(votes[0].get(name) == votes[1].get(name) for name in choices)
    return len(votes) >= (MOST if setting == "2+1" else setting)


def counted(
    choices: Sequence[str], votes: Sequence[Mapping[str, Any]]
) -> tuple[int, dict[str, int], dict[str, float]]:
    """What the votes say together: for each choice the vote it is taken from, and the agreement.

    A label wins that most votes have, among equals the one that came first; it is taken from the
    first vote that has it. All that is no closed choice is taken from one vote, whose number comes
    first: of those with the most winning labels the first.
    """
    taken, agreement, fits = dict[str, int](), dict[str, float](), Counter[int]()
    for name in choices:
        # as text: what a person edited in a checkpoint may be a list
        texts = [repr(vote.get(name)) for vote in votes]
        # a Counter keeps the order of first appearance among equals
        [(most, times)] = Counter(texts).most_common(1)
        taken[name], agreement[name] = texts.index(most), times / len(votes)
        fits.update(at for at, text in enumerate(texts) if text == most)
    return max(range(len(votes)), key=lambda at: fits[at]), taken, agreement


def choices_of(specs: Iterable[FieldSpec]) -> tuple[str, ...]:
    """The names of the fields whose votes are counted."""
    return tuple(spec.name for spec in specs if is_choice(spec))


def values_of(votes: Iterable[RowResult]) -> list[dict[str, Any]]:
    """The answers of votes, field name -> value."""
    return [vote.values or {} for vote in votes]


def together(specs: Sequence[FieldSpec], votes: Sequence[RowResult]) -> RowResult:
    """The one result of several votes, all of them answered; see ``counted``."""
    answers = values_of(votes)
    chosen, taken, agreement = counted(choices_of(specs), answers)
    # a quote stays with its label
    taken |= {spec.name: taken[of] for spec in specs if (of := spec.evidence_of) in taken}
    values = {
        name: answers[taken.get(name, chosen)].get(name, value)
        for name, value in answers[chosen].items()
    }
    # agreements take the place of logprob confidences: no call has both
    return with_sums(votes[chosen]._replace(values=values, confidence=agreement), votes)


def with_sums(result: RowResult, votes: Sequence[RowResult]) -> RowResult:
    """The result with what all the votes took."""
    seconds = [vote.seconds for vote in votes if vote.seconds is not None]
    return result._replace(
        attempts=sum(vote.attempts for vote in votes),
        usage=sum((vote.usage for vote in votes), NOTHING_USED),
        # None, if all of them came from the checkpoint
        seconds=sum(seconds) if seconds else None,
    )
