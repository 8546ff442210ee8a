"""Whose fault refusals are: the rate's, which passes, or the row's own, which does not.

Under a limit a minute any row may be refused often and in a run while others pass, so it
takes much to blame a row: a good row that fails is worse than a bad one that is tried long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmframe.engine.governor import Governor
    from llmframe.engine.row import Row

STUBBORN_AFTER = 3  # refusals of one row while others succeed: it goes last
HOPELESS_AFTER = 10  # refusals of such a row: it fails
REFUSED_ALONE = 2  # refusals of such a row while it was alone on the wire: it fails
TELLING = 10  # successes for each refusal: then it is the row that is refused, not the rate
LONGEST_WINDOW = 60.0  # seconds after which no limit a minute can be the reason
LONGEST_STORM = 900.0  # seconds in which nothing passes, after which the last rows are given up


def is_stubborn(row: Row, governor: Governor) -> bool:
    """Whether a row is refused while others pass so well that no rate can be the reason."""
    passed = governor.successes - row.successes_before
    refused = governor.refusals - row.refusals_before
    return row.refused >= STUBBORN_AFTER and passed >= TELLING * (refused + 1)


def is_refused_for_good(row: Row, governor: Governor, *, stubborn: bool, none_fresh: bool) -> bool:
    """Whether a row that was refused once more has to fail.

    Where few others tell anything it must have been refused alone, after a minute in which
    nothing passed that could have used up a limit. A storm that lets nobody through fails no
    row, but for a run's last ones (none_fresh), after a quarter of an hour of it: a cell that is
    run again for the rows that are always refused must come to an end.
    """
    alone = row.refused_alone >= REFUSED_ALONE
    if stubborn:
        return alone or row.refused >= HOPELESS_AFTER
    if governor.successes > row.successes_before:
        return alone and governor.quiet >= LONGEST_WINDOW
    lasts = governor.clock() - row.refused_since
    return none_fresh and row.refused_alone >= HOPELESS_AFTER and lasts >= LONGEST_STORM
