"""The rows whose answer most likely is wrong, with the reason: what to look at first."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmframe.frame.cells import column_cells, text_or_blank
from llmframe.quality.scoring.sample import Answers, read_answers
from llmframe.quality.scoring.score import confidence_of
from llmframe.quality.tagged import input_columns
from llmframe.task.text import fold
from llmframe.task.trust.evidence import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]
    Reasons = dict[int, list[tuple[float, str]]]

ALIKE = 0.8  # of their words, that two near-equal texts have in common
FEWEST_WORDS = 3  # of a text that is compared; "ok, thanks" means many things
KEYS = 4  # rarest words by which near-equal texts find each other
CROWD = 30  # texts with the same rare word; more are a form letter's
RARE = 0.005  # of the rows, that a rare label has at most
UNSURE = 0.7  # confidence below which a row is named; two of three votes are below it
_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile("[\\u3040-\\u30ff\\u3400-\\u9fff\\uf900-\\ufaff\\u0e00-\\u0e7f]")


def suspects(df: pd.DataFrame, field: object) -> pd.DataFrame:
    """See LLMAccessor.suspects."""
    answers = read_answers(df, field)
    found: Reasons = defaultdict(list)
    for at, score, reason in _all(df, answers):
        found[at].append((score, reason))
    rows = [
        (at, "; ".join(reason for _, reason in sorted(each, reverse=True)), _joined(each))
        for at, each in found.items()
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    out = pd.DataFrame(rows, columns=["position", "reason", "score"])
    return out.astype({"position": np.int64, "reason": object, "score": float})


def _joined(reasons: Iterable[tuple[float, str]]) -> float:
    """A score from 0 to 1 that every further reason raises."""
    # as if the reasons were independent; it ranks rows, and is no probability
    return float(1 - np.prod([1 - score for score, _ in reasons]))


def _all(df: pd.DataFrame, answers: Answers) -> Iterator[tuple[int, float, str]]:
    """Position, score and reason of everything that makes a row suspect."""
    yield from _contradicted(df, answers)
    yield from _unsure(answers)
    yield from _rare(answers)
    yield from _without_evidence(answers)


def _unsure(answers: Answers) -> Iterator[tuple[int, float, str]]:
    for name, word in (("_agreement", "votes agree"), ("_confidence", "confidence")):
        numbers = confidence_of(answers.lookup, answers.name, companions=(name,))
        if numbers is None:
            continue
        for at in np.flatnonzero(answers.given & (numbers < UNSURE)):
            value = float(numbers[at])
            yield int(at), 1 - value, f"{word} {value:.2f}"


def _rare(answers: Answers) -> Iterator[tuple[int, float, str]]:
    codes = answers.said.codes[answers.given]
    counts = np.bincount(codes, minlength=len(answers.said.labels))
    most = max(1, int(RARE * len(codes)))
    # where most labels are that rare, being rare says nothing
    rare = np.flatnonzero((counts > 0) & (counts <= most))
    if counts[rare].sum() > 0.1 * len(codes):
        return
    for at in np.flatnonzero(np.isin(answers.said.codes, rare)):
        label, rows = answers.said.labels[answers.said.codes[at]], counts[answers.said.codes[at]]
        yield int(at), 0.3, f"rare label: {label!r} in {rows:,} of {len(codes):,} rows"


def _without_evidence(answers: Answers) -> Iterator[tuple[int, float, str]]:
    column = answers.lookup.find(f"{answers.name}{SUFFIX}")
    if column is None:
        return
    for at in np.flatnonzero(answers.given & column.isna().to_numpy(dtype=bool)):
        yield int(at), 0.5, "no evidence in the text"


def _contradicted(df: pd.DataFrame, answers: Answers) -> Iterator[tuple[int, float, str]]:
    """Rows whose near-equal texts mostly have another label."""
    others: dict[int, Counter[int]] = defaultdict(Counter)
    texts = _texts(df, answers)
    for one, other in _near_equal(texts):
        others[one][int(answers.said.codes[other])] += 1
        others[other][int(answers.said.codes[one])] += 1
    for at, labels in others.items():
        own = int(answers.said.codes[at])
        total, alike = labels.total(), labels[own]
        if alike == total:
            continue
        label, rows = labels.most_common(1)[0]
        share = (total - alike) / (total + 1)  # + 1: one text says less than ten
        if label == own:
            label, rows = next(pair for pair in labels.most_common() if pair[0] != own)
        shown = f"{rows:,} nearly equal {'text has' if rows == 1 else 'texts have'}"
        yield at, 0.4 + 0.5 * share, f"{shown} the label {answers.said.labels[label]!r}"


def _texts(df: pd.DataFrame, answers: Answers) -> dict[int, frozenset[str]]:
    """The words of each labelled row's text."""
    columns = [column_cells(df.iloc[:, at]) for at in input_columns(df, without=answers.name)]
    return {
        int(at): _words(" ".join(text_or_blank(column[at]) for column in columns))
        for at in np.flatnonzero(answers.given)
    }


def _words(text: str) -> frozenset[str]:
    """The words of a text without numbers; pairs of signs where words have no blanks."""
    found: set[str] = set()
    for word in _WORD.findall(fold(text)):
        if _UNSPACED.search(word):
            found.update(word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            found.add(word)
    return frozenset(found)


def _near_equal(texts: dict[int, frozenset[str]]) -> Iterator[tuple[int, int]]:
    """Pairs of positions whose texts have nearly all words in common, each once."""
    # not all pairs are compared: texts so alike nearly always share one of their rarest words
    held = Counter(word for words in texts.values() for word in words)
    buckets: dict[object, list[int]] = defaultdict(list)
    for at, words in texts.items():
        if len(words) >= FEWEST_WORDS:
            buckets[words].append(at)
            for word in sorted(words, key=lambda word: (held[word], word))[:KEYS]:
                buckets[word].append(at)
    seen: set[tuple[int, int]] = set()
    for rows in buckets.values():
        for place, one in enumerate(rows[:CROWD]):
            for other in rows[place + 1 : CROWD]:
                if (one, other) not in seen and _alike(texts[one], texts[other]):
                    seen.add((one, other))
                    yield one, other


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    if min(len(one), len(other)) < ALIKE * max(len(one), len(other)):
        return False
    return len(one & other) >= ALIKE * len(one | other)
