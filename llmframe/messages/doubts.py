"""Labels that are accepted and may still be a mistake, which nobody would see in the answers."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from llmframe.task.text import fold
from llmframe.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.task.fields import FieldSpec

LEAST = 5  # letters of a word, below which one letter makes another word
MOST = 200  # labels, above which pairs are not compared
SHOWN = 3  # pairs that are named
_WORDS = """
    intent urgency summary sentiment category topic score rating priority language keywords
    confidence emotion explanation reasoning entities 意图 情感 摘要 类别 主题 评分 优先级 语言
    关键词 紧急程度
"""
_COLUMNS = frozenset(_WORDS.split())
"""Words that name columns and rarely label rows."""


def doubts(specs: Sequence[FieldSpec]) -> list[str]:
    """Sentences about labels that may be meant otherwise, for the person; most often none."""
    found = []
    for spec in specs:
        labels = [label for label in spec.labels or () if isinstance(label, str)]
        # among several fields a list was clearly meant as labels
        if len(specs) == 1 and (names := _columns_in(labels)):
            more = ", ..." if len(labels) > 2 else ""
            found.append(
                "A list is the labels of one column: every row gets one of "
                f"{cut(', '.join(labels), 100)}. For {len(labels)} columns give a dict: "
                f"{{{names[0]!r}: ['...', '...'], {names[1]!r}: str{more}}}."
            )
        pairs = [f"{one!r} and {other!r}" for one, other in _nearly_same(labels)[:SHOWN]]
        if pairs:
            found.append(
                f"Labels of {spec.name!r} are nearly the same: {', '.join(pairs)}. "
                "Is one of them a slip?"
            )
    return found


def _columns_in(labels: Sequence[str]) -> list[str]:
    """The labels that name columns, if at least two and half of all do; else []."""
    known = [label for label in labels if fold(label) in _COLUMNS]
    return known if len(known) >= 2 and 2 * len(known) >= len(labels) else []


def _nearly_same(labels: Sequence[str]) -> list[tuple[str, str]]:
    if len(labels) > MOST:
        return []
    return [pair for pair in combinations(labels, 2) if _is_slip(*map(fold, pair))]


def _is_slip(one: str, other: str) -> bool:
    """Whether two words differ by one slip of the keyboard: two letters swapped, one left out.

    The first letter tells words apart (moral, amoral), and so do digits and another last letter.
    """
    if min(len(one), len(other)) < LEAST or not (one + other).isascii():
        return False
    start = _alike(one, other)
    one, other = one[start:], other[start:]
    end = _alike(one[::-1], other[::-1])
    left, right = one[: len(one) - end], other[: len(other) - end]
    if not start or not (left + right).isalpha():
        return False
    if len(left) == 2:
        return left == right[::-1]
    return len(left + right) == 1 and (end > 0 or left + right == "s")


def _alike(one: str, other: str) -> int:
    """How many letters two words begin with in common."""
    differ = (at for at, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1)
    return next(differ, min(len(one), len(other)))
