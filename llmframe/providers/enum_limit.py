"""How long the enums in a schema may be at an endpoint: one row at a time finds it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.providers.dialect import Dialect
    from llmframe.task.labels.enums import EnumSize

BREAKS = 2  # trials at which the server broke or was too slow, after which none is made
VAIN = 5  # trials whose row was refused without its long enums, too; then none is made
STREAK = 3  # rows in a row refused with enums that were accepted before: they no longer are


class EnumLimit:
    """What is known about one endpoint and model; DialectSearch holds the lock.

    Limits count labels or characters, so a schema is surely accepted if one was that holds no
    less of either. One that may be refused is sent with one row alone (a trial), while all others
    are sent without their long enums, which is always accepted.
    """

    def __init__(self) -> None:
        self._accepted: list[EnumSize] = []
        self._refused: list[EnumSize] = []
        self._trial: EnumSize | None = None
        self._is_broken = False  # the trial: the server broke, perhaps by chance
        self._breaks = 0
        self._vain = 0
        self._streak = 0

    def accepts(self, size: EnumSize) -> bool:
        """Whether it is known that such enums are accepted."""
        return any(size.fits_in(accepted) for accepted in self._accepted)

    def begin_trial(self, size: EnumSize) -> bool:
        """Whether this row is to find out whether such enums are accepted."""
        # what holds at least as much as a refused one is refused, too; one trial at a time
        is_refused = any(refused.fits_in(size) for refused in self._refused)
        if is_refused or self._trial is not None:
            return False
        self._trial = size
        return True

    def end_trial(self) -> None:
        """The row of the trial came to no end, or was refused for something else."""
        self._trial, self._is_broken = None, False

    def broke(self, size: EnumSize) -> None:
        """The server broke at the trial: that counts once other rows are answered."""
        self._trial, self._is_broken = size, True

    def refused_without(self) -> None:
        """The row of the trial is refused without its long enums, too."""
        if self._trial is not None:
            self._vain += 1
            # it was the row, not the enum; but without an end to trials each would cost a refusal
            self._conclude(self._trial, is_refused=self._vain >= VAIN)

    def answered(self, size: EnumSize, dialect: Dialect, tried: Sequence[Dialect]) -> None:
        """A row with such enums was answered. tried: the dialects in which it was refused."""
        was_refused = any(each.lists_labels for each in tried)
        if dialect.lists_labels:
            self._streak = 0
            if not self.accepts(size):
                self._accepted.append(size)
                self._breaks = 0
                self.end_trial()
        # others are answered without the enum, so the server works and may break at the enum
        elif self._is_broken:
            self._breaks += 1
            self._conclude(size, is_refused=self._breaks >= BREAKS)
        elif was_refused and self.accepts(size):
            # one upstream of a gateway may refuse by chance what the others accept
            self._streak += 1
            if self._streak >= STREAK:
                self.forget()
                self._conclude(size, is_refused=True)
        elif was_refused:
            self._conclude(size, is_refused=True)

    def forget(self) -> None:
        """What was accepted is refused now: find it out anew."""
        self._accepted.clear()
        self._streak = 0
        self.end_trial()

    def _conclude(self, size: EnumSize, *, is_refused: bool) -> None:
        if is_refused:
            self._refused.append(size)
        self.end_trial()
