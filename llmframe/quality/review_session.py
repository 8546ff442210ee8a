"""A review in progress: which row comes next, what an answer does, what is shown."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmframe.errors import PlanError
from llmframe.notebook.drawing.format import plural
from llmframe.notebook.review.keys import Keys
from llmframe.notebook.review.question import Question
from llmframe.quality import stored_reviews
from llmframe.quality.cases import Cases
from llmframe.quality.draw import random_numbers
from llmframe.quality.drawing import BLIND, Wish, is_share, open_draw
from llmframe.quality.precision import accuracy_so_far, agreement_words, half_width
from llmframe.quality.records import SKIPS
from llmframe.task.text import excerpt, fold

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from llmframe.quality.records import Draw, Given, Records
    from llmframe.quality.reviewed import Reviewed

_NO_OCCURRENCE = 2**32  # no text stands in so many rows
RECENT = 300.0  # seconds since the last answer of another process that still reviews


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person is asked; see ``df.llm.review``."""

    _: KW_ONLY
    blind: bool | str = "auto"
    who: str | None = None
    twice: float = 0.0
    highlight: object = None
    keys: Any = None

    def check(self) -> None:
        """Raise PlanError for what makes no sense."""
        if self.blind not in (True, False, "auto"):
            raise PlanError(f'blind={self.blind!r} is none of True, False, "auto"')
        if not is_share(self.twice):
            raise PlanError(f"twice={self.twice!r} is a share of the rows: from 0 to 1")
        if self.who is not None and not (isinstance(self.who, str) and self.who.strip()):
            raise PlanError(f"who={self.who!r} is no name")


class ReviewSession:
    """One person's way through one draw.

    changed: called whenever another row is to be shown; a view sets it. is_blind: what the model
    said is nowhere in what ``question`` returns. keys: of the labels.
    """

    def __init__(self, df: pd.DataFrame, field: object, wish: Wish, manner: Manner) -> None:
        wish.check()
        manner.check()
        self.cases = Cases(df, field)
        self.cases.check_added()
        self.records: Records = stored_reviews.records_of(self.cases)
        if wish.against is not None:
            self.cases.compare_with(wish.against)
        self._manner, self._who = manner, manner.who or ""
        self._quotes = self.cases.quotes(manner.highlight)
        self.is_blind = self._blindness(wish)
        self.keys = Keys([str(label) for label in self.cases.labels], manner.keys)
        drawn, own = open_draw(self.cases, self.records, wish), self.records.own
        if drawn is not own.draws.get(drawn.id):
            own.append(drawn.header)
        self.draw: Draw = own.draws[drawn.id]
        self._turns = range(min(wish.n, len(self.draw.rows)))
        rows = self.draw.rows[: len(self._turns)]
        self._there = self.cases.find([(row.key, row.occurrence) for row in rows])
        self._session = os.urandom(4).hex()
        self._lock = threading.RLock()
        self._turn: int | None = None
        self._shown = time.monotonic()
        self.changed: Callable[[], None] = lambda: None
        self._go_to(self._next())

    def _blindness(self, wish: Wish) -> bool:
        if self._manner.blind == "auto":
            return wish.order in BLIND and not self.cases.is_verdict
        if self._manner.blind and self.cases.is_verdict:
            raise PlanError(
                f"{self.cases.field!r} is no closed choice, so the answer itself is judged as "
                "right or wrong and has to be shown: leave out blind=True"
            )
        return bool(self._manner.blind)

    # -- where it is ---------------------------------------------------------------------------

    @property
    def row(self) -> int | None:
        """The position in the frame of the row that is shown; None once all are judged."""
        return None if self._turn is None else self._position(self._turn)

    @property
    def done(self) -> int:
        """How many of the drawn rows have a label by a person."""
        first = self.records.first()
        return sum(self.draw.rows[turn].key in first for turn in self._turns)

    @property
    def left(self) -> int:
        """How many rows are still to be shown, repeats included."""
        first = self.records.first()
        return len(self._open(first)) + len(self._repeats(first))

    @property
    def reviewed(self) -> Reviewed:
        """All judgements, as the statistics need them."""
        return stored_reviews.reviewed(
            self.cases, self.records, self.draw, limit=len(self._turns), there=self._there
        )

    def _position(self, turn: int) -> int | None:
        row = self.draw.rows[turn]
        return self._there.get((row.key, row.occurrence))

    # -- what is next ----------------------------------------------------------------------------

    def _open(self, first: dict[int, Given]) -> list[int]:
        """The turns that wait for a label, those put last at the end."""
        rows, skipped = self.draw.rows, self.draw.skipped
        waiting = [
            turn
            for turn in self._turns
            if rows[turn].key not in first and self._position(turn) is not None
        ]
        # a text that is drawn twice is asked once
        once = {rows[turn].key: turn for turn in reversed(waiting)}
        waiting = [turn for turn in waiting if once[rows[turn].key] == turn]
        return [turn for times in range(SKIPS) for turn in waiting if skipped.get(turn, 0) == times]

    def _repeats(self, first: dict[int, Given]) -> list[int]:
        """The turns to be judged a second time, where ``twice`` asks for it."""
        judged = {turn: given for turn, given in self.draw.judged.items() if given}
        people = {one.who for given in judged.values() for one in given}
        keys = np.array([row.key for row in self.draw.rows], dtype=np.uint64)
        # numbers that no draw uses: the rows of a draw are those with its lowest ones
        chance = random_numbers(keys, np.full(len(keys), _NO_OCCURRENCE), 1) / 2.0**64
        return [
            turn
            for turn, given in sorted(judged.items())
            if turn in self._turns
            and len(given) == 1
            and chance[turn] < self._manner.twice
            # by somebody else, where there is somebody else; else by the same person again
            and (given[0].who != self._who or people <= {self._who})
            and first.get(given[0].key) is given[0]
            and self._position(turn) is not None
        ]

    def _next(self) -> int | None:
        first = self.records.first()
        waiting = self._open(first)
        if not waiting:
            return next(iter(self._repeats(first)), None)
        # two people at once take turns, so that no row is judged by both unasked
        active = sorted({self._session, *self._others()})
        mine = [turn for turn in waiting if active[turn % len(active)] == self._session]
        # once only the rows of others are left, from the end, which they reach last
        return mine[0] if mine else waiting[-1]

    def _others(self) -> set[str]:
        """Other processes that have answered a moment ago."""
        since = time.time() - RECENT
        given = self.draw.judgements()
        # one person who restarted the kernel must not wait for the process that has ended
        return {one.session for one in given if one.when > since and one.who != self._who}

    def _go_to(self, turn: int | None) -> None:
        self._turn, self._shown = turn, time.monotonic()
        self.changed()

    # -- what a person does ------------------------------------------------------------------------

    def answer(self, label: object) -> None:
        """See Review.answer."""
        labels, typed = self.cases.labels, fold(str(label))
        names = [fold(str(one)) for one in labels]
        if label in labels:
            self.answer_at(labels.index(label))
        elif names.count(typed) == 1:
            self.answer_at(names.index(typed))
        else:
            known = excerpt([*labels])
            raise PlanError(f"{excerpt(label)} is no label of {self.cases.field!r}: {known}")

    def answer_at(self, at: int) -> None:
        """Give the row that is shown the label at this position."""
        with self._lock:
            turn = self._needed_turn()
            row, position = self.draw.rows[turn], self._position(turn)
            said = None if position is None else self.cases.label_said(position)
            self._write(
                {
                    "key": f"{row.key:016x}",
                    "stratum": row.stratum,
                    "said": said,
                    "first": row.key not in self.records.first(),
                    "truth": self.cases.labels[at],
                    "seconds": round(time.monotonic() - self._shown, 2),
                    "blind": self.is_blind,
                    "role": row.role,
                }
            )

    def skip(self) -> None:
        """Put the row that is shown last; a row that is put last twice stays undecided."""
        with self._lock:
            self._needed_turn()
            self._write({"skip": True})

    def undo(self) -> None:
        """Take back the last answer (or skip) and show its row again; as often as you like."""
        with self._lock:
            mine = self.draw.done.get(self._who)
            # none, or one of a review with a larger n, whose rows this one does not show
            if not mine or mine[-1][0] not in self._turns:
                return
            self._turn = mine[-1][0]
            self._write({"undo": True}, stay=True)

    def _needed_turn(self) -> int:
        if self._turn is None:
            raise PlanError("all rows are judged; undo() takes the last answer back")
        return self._turn

    def _write(self, line: dict[str, Any], *, stay: bool = False) -> None:
        who = {"who": self._who} if self._who else {}
        head = {"draw": self.draw.id, "turn": self._turn, **line, **who}
        self.records.own.append({**head, "session": self._session, "when": round(time.time(), 3)})
        self._go_to(self._turn if stay else self._next())

    # -- what is shown, and what it leaves ---------------------------------------------------------

    def question(self) -> Question:
        """What a view shows now; nothing that the model said while the review is blind."""
        reviewed = self.reviewed
        precision = half_width(reviewed)
        base: dict[str, Any] = {
            "judged": self.done,
            "planned": len(self._turns),
            "left": self.left,
            "undecided": reviewed.undecided,
            "precision": None if precision is None else 100 * precision,
            "is_blind": self.is_blind,
        }
        if self._turn is None:
            return Question(self.cases.field, closing=self._closing(reviewed), **base)
        position = self._position(self._turn)
        assert position is not None
        return Question(
            self.cases.field,
            row=str(self.cases.df.index[position]),
            texts=self.cases.shown(position),
            again=bool(self.draw.judged.get(self._turn)),
            **({} if self.is_blind else self._said(position)),
            **base,
        )

    def _said(self, position: int) -> dict[str, Any]:
        sure = None if self.cases.sure is None else float(self.cases.sure[position])
        quote = None if self._quotes is None else self._quotes.iloc[position]
        return {
            "said": self.cases.said_text(position),
            "sure": None if sure is None or np.isnan(sure) else sure,
            "quote": quote if isinstance(quote, str) else "",
        }

    def _closing(self, reviewed: Reviewed) -> tuple[str, ...]:
        """What to say at the end."""
        name = self.cases.field
        lines = [f"All {len(self._turns):,} rows are judged."]
        if reviewed.undecided:
            lines = [
                f"{plural(reviewed.undecided, 'row')} stayed undecided after being put last twice. "
                "Hard rows are not like the others, so a score without them may be too high."
            ]
        if reviewed.order == "changed":
            lines.append(f"Next: df.llm.compare({self.draw.header.get('against')!r}, {name!r})")
        elif reviewed.method == "not a sample":
            lines.append("This order mends the column; it is no sample, so no accuracy follows.")
        elif found := accuracy_so_far(reviewed):
            value, low, high = (round(100 * one[0]) for one in (found.value, found.low, found.high))
            lines.append(f"{value} % of the answers are right ({low} to {high}).")
            lines.append(f"Next: df.llm.score({name!r}), df.llm.shares({name!r})")
        if agreed := agreement_words(reviewed):
            lines.append(agreed)
        return (
            *lines,
            "r.frame() adds your labels as columns; r.undo() takes the last answer back.",
        )
