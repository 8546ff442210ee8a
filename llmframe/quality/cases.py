"""The rows of a frame as a review sees them: a text's hash, the label, the confidence."""

from __future__ import annotations

import re
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import PlanError
from llmframe.frame.cells import column_cells, is_missing, text_or_blank
from llmframe.frame.column_lookup import ColumnLookup
from llmframe.frame.example_rows import example_rows
from llmframe.frame.existing import WrittenColumn, written_columns
from llmframe.quality.scoring.labels import matched, read_labels
from llmframe.quality.tagged import STATUS, input_columns, rows_ok, status_of
from llmframe.task.trust.evidence import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from llmframe.quality.draw import Floats, Hashes, Ints

RIGHT, WRONG = "right", "wrong"
FEW = 60  # different texts that still are labels, in a column of unknown type
ROLES = ("measure", "learn")
_ADDED = ("_final", "_truth", "_weight", "_role")  # by ``Review.frame``
CONFIDENCE, AGREEMENT = "_confidence", "_agreement"


class Cases:
    """All rows of a tagged frame, for the review of one field.

    field: as the frame has it. question: without the prefix of its call, so that the reviews of
    an earlier prompt are found. task: the hash of the prompt, "" if it is not known.
    is_verdict: the field is no closed choice, so a person says whether the answer is right.
    labels: those to choose from. keys: hashes of the texts. occurrence: 0 for the first row with
    a text, 1 for the second. said: codes of the labels, -1 for rows outside the population.
    sure: confidences, or agreements between votes, None without such a column. against: the name
    of the column that is compared with, None without one.
    """

    def __init__(self, df: pd.DataFrame, field: object) -> None:
        self.df = df
        self._lookup = ColumnLookup(df)
        name = self._lookup.resolve(field, option="field")
        self.field = self._lookup.text_name(name)
        written = written_columns(df)
        self.task = written[self.field].task if self.field in written else ""
        # without it the answers of tag(prefix="v2_") are to the same question, and share a review
        status = status_of(self.field, written)
        self.question = self.field.removeprefix((status or STATUS).removesuffix(STATUS))
        column = self._lookup.series(name)
        labels = _labels(column, written.get(self.field))
        self.is_verdict = labels is None
        self.labels: tuple[Hashable, ...] = (RIGHT, WRONG) if labels is None else labels
        self.answers = column
        self.against: str | None = None
        answered = column.notna().to_numpy(dtype=bool) & rows_ok(df, status)
        answered = answered & ~example_rows(df)  # the model was shown their right answers
        codes = np.zeros(len(df), np.int64)
        if labels is not None:
            # of objects: pandas' own type for text refuses lone surrogates
            known = pd.Index([*labels], dtype=object, tupleize_cols=False)
            codes = np.asarray(pd.Categorical(column, categories=known).codes, np.int64)
        self.said: Ints = np.where(answered, codes, -1)
        found = self.numbers(CONFIDENCE)
        self.sure = self.numbers(AGREEMENT) if found is None else found

    def read_as(self, labels: tuple[Hashable, ...]) -> bool:
        """Read the answers as a closed choice of these labels, if they hold nothing else.

        A parquet or CSV file keeps the numbers of a choice from numbers, but not that it was one.
        Before keys are used.
        """
        try:
            known = read_labels(self.field, self.answers)
        except PlanError:  # lists, fractions, free text: no labels at all
            return False
        positions, both = matched(labels, known.labels)
        if len(both) > len(labels):
            return False
        codes = np.array([*positions, -1], dtype=np.int64)[known.codes]
        self.is_verdict, self.labels = False, labels
        self.said = np.where(self.said >= 0, codes, -1)
        cells = pd.Categorical.from_codes(codes, pd.Index([*labels]))
        self.answers = pd.Series(cells, index=self.answers.index)
        return True

    def check_added(self) -> None:
        """Raise PlanError if ``Review.frame`` would replace columns that no review has written."""
        there = [
            self.field + end for end in _ADDED if self._lookup.find(self.field + end) is not None
        ]
        role = self._lookup.find(f"{self.field}_role")
        # attrs may be lost; but all four come together, and nobody else's roles are these
        if there and (role is None or not role.dropna().isin(ROLES).all()):
            raise PlanError(
                f"the frame has a column {there[0]!r}, which a review's frame() would replace; "
                f"rename it first: df.rename(columns={{{there[0]!r}: 'my_{there[0]}'}}). If it is "
                "from an earlier review, drop it: the answers are in its file, and frame() adds "
                "them again"
            )

    def quotes(self, highlight: object) -> pd.Series[Any] | None:
        """The column with the quotes to mark; see ``df.llm.review``. PlanError for no column."""
        if highlight is False:
            return None
        if highlight in (None, True):
            return self._lookup.find(f"{self.field}{SUFFIX}")
        return self._lookup.series(self._lookup.resolve(highlight, option="highlight"))

    def numbers(self, ending: str) -> Floats | None:
        """The numbers that stand beside the field: its confidences, or agreements."""
        column = self._lookup.find(self.field + ending)
        if column is None:
            return None
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)

    @cached_property
    def inputs(self) -> list[int]:
        """The positions of the columns that a person reads."""
        columns = input_columns(self.df, without=self.field)
        if not columns:
            raise PlanError(f"the frame has no column to read beside {self.field!r}")
        return columns

    @property
    def input_names(self) -> list[str]:
        """The names of the columns that a person reads."""
        return [self._lookup.text_name(self.df.columns[at]) for at in self.inputs]

    def read_inputs(self, names: object) -> bool:
        """Read the columns that an earlier draw has read, if they are here; for lost attrs."""
        if not isinstance(names, list):
            return False
        known = [self._lookup.text_name(column) for column in self.df.columns]
        if not names or any(known.count(name) != 1 for name in names):
            return False
        self.inputs = [known.index(name) for name in names]
        return True

    @cached_property
    def texts(self) -> list[str]:
        """Each row's text; of several input columns one below the other."""
        parts = [[*map(text_or_blank, column_cells(self.df.iloc[:, at]))] for at in self.inputs]
        return parts[0] if len(parts) == 1 else ["\n".join(row) for row in zip(*parts, strict=True)]

    def shown(self, position: int) -> tuple[tuple[str, str], ...]:
        """The name and the text of each input column of one row."""
        text_name, columns = self._lookup.text_name, self.df.columns
        return tuple(
            (text_name(columns[at]), text_or_blank(column_cells(self.df.iloc[[position], at])[0]))
            for at in self.inputs
        )

    @cached_property
    def keys(self) -> Hashes:
        """A hash of each row's text; where answers are judged, of the answer too."""
        texts: Sequence[str] = self.texts
        if self.is_verdict:
            answers = [text_or_blank(cell) for cell in column_cells(self.answers)]
            texts = [f"{text}\0{answer}" for text, answer in zip(texts, answers, strict=True)]
        # 8 bytes: of a million texts, two share a hash in 3 of 100 million frames
        hashed = b"".join(
            blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
        )
        # big-endian on every machine: the numbers are written into shared files
        return np.frombuffer(hashed, dtype=">u8").astype(np.uint64)

    @cached_property
    def occurrence(self) -> Ints:
        """How many rows with the same text come before each row.

        In the order of the index where it tells them apart, so that a sorted frame has the same.
        """
        order = np.lexsort((_index_hashes(self.df.index), self.keys))
        ordered = self.keys[order]
        begins = np.r_[True, ordered[1:] != ordered[:-1]]
        starts = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
        found = np.empty(len(order), dtype=np.int64)
        found[order] = np.arange(len(order)) - starts
        return found

    def find(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """The positions of rows by their text's hash and their occurrence, where they are."""
        keys = np.array([key for key, _ in wanted], dtype=np.uint64)
        among = np.flatnonzero(np.isin(self.keys, keys))
        pairs = zip(self.keys[among].tolist(), self.occurrence[among].tolist(), strict=True)
        return dict(zip(pairs, among.tolist(), strict=True))

    def said_text(self, position: int) -> str:
        """The answer of a row, as text."""
        return text_or_blank(self.answers.iloc[position])

    def label_said(self, position: int) -> Hashable | None:
        """The label of a row; "right" where answers are judged; None if it has none."""
        code = int(self.said[position])
        return None if code < 0 else self.labels[code]

    def compare_with(self, against: object) -> None:
        """Add the labels of another column to those to choose from. PlanError if it has none."""
        name = self._lookup.resolve(against, option="against")
        column, self.against = self._lookup.series(name), self._lookup.text_name(name)
        labels = _labels(column, None)
        if self.is_verdict and labels is not None:
            self.read_as(labels)
        if self.is_verdict:
            raise self._no_choices()
        # labels are the same as in compare: by their text, and whatever their case
        known = read_labels(self.against, column)
        positions, both = matched(self.labels, known.labels)
        if labels is None and len(both) > len(self.labels):
            raise self._no_choices()
        self.labels = both
        self.other: Ints = np.array([*positions, -1], dtype=np.int64)[known.codes]

    def _no_choices(self) -> PlanError:
        return PlanError(
            f"{self.field!r} and {self.against!r} must both be closed choices; numbers that are "
            f"labels become one by df[{self.field!r}].astype('category')"
        )


def _labels(column: pd.Series[Any], written: WrittenColumn | None) -> tuple[Hashable, ...] | None:
    """The labels of a closed choice, None for a column that is none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(column.cat.categories.tolist())
    if pd.api.types.is_bool_dtype(column.dtype):
        return (True, False)  # "yes" has the first key
    kind = None if written is None else written.type
    cells = [cell for cell in column_cells(column) if not is_missing(cell)]
    if kind not in (None, "text") or not all(isinstance(cell, str) for cell in cells):
        return None
    counts = pd.Series(cells, dtype=object).value_counts()
    # text that repeats is labels in all but name, as a file keeps them that knows no categories
    few = len(counts) <= FEW and len(counts) <= len(cells) / 2
    return tuple(sorted(counts.index)) if few else None


def _index_hashes(index: pd.Index[Any]) -> Hashes:
    try:
        return np.asarray(pd.util.hash_pandas_object(index, index=False), dtype=np.uint64)
    except (TypeError, ValueError):  # labels that pandas cannot hash: by position then
        return np.arange(len(index), dtype=np.uint64)


def file_name(question: str, task: str) -> str:
    """The name of a review's file: the field as far as a name can hold it, and the task."""
    safe = re.sub(r"[^\w.-]+", "_", question)[:60]
    if safe != question:  # two fields must not share a file
        safe += "-" + blake2b(question.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{safe}-{task[:12] or 'untagged'}.jsonl"
