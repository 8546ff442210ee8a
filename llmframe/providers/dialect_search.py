"""Which request dialect an endpoint understands: found out once, and from what is answered.

The words of a refusal only save requests. A refusal that names a feature of the request sends
the row again without it; one that names nothing sends the row again without all of them. If that
is answered, the features come back one by one, each with another row, as long as they are
accepted. Nothing changes for all rows until the row that was refused is answered otherwise.

Long enums are found out about beside that, as they are one task's: enum_limit.py.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from llmframe.providers.dialect import FEATURES, FULL_DIALECT, Dialect, Feature
from llmframe.providers.enum_limit import EnumLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmframe.task.labels.enums import EnumSize

BREAKS = 2  # times that the server breaks under a schema, until it is asked without one
ALIKE = 2  # answers of no use, until another format is tried
STREAK = 3  # rows in a row refused for a feature that has worked before, until it is left out
FUTILE = 3  # rows refused in the simplest dialect, after which no other row is sent in it
CHANCES = 5  # rows refused with and without a feature, after which it is not tried again


class DialectSearch:
    """The request dialect of one endpoint and model; shared by its runs, safe from any thread.

    dialect: the best known. known: requests are answered, and nothing is left to be tried.
    worked: an answer was of use, or the format is not what is wrong.
    """

    def __init__(self) -> None:
        self.dialect = FULL_DIALECT
        self.known = False
        self.worked = False
        self._lock = threading.Lock()
        self._first = FULL_DIALECT
        self._is_answered = False
        self._named: set[Feature] = set()  # by refusals, before the first answer
        self._broken: list[Dialect] = []  # in which the server broke, perhaps by chance
        self._useless = 0  # answers of no use in a row
        self._untried: list[Feature] = []
        self._is_trying = False  # the first of them is on the wire
        self._chances = CHANCES
        self._futile = 0
        self._against: Feature | None = None
        self._streak = 0
        self._enums = EnumLimit()

    def begin_at(self, dialect: Dialect) -> None:
        """Take what is known before the first request; what was found out stays."""
        with self._lock:
            if self.dialect == FULL_DIALECT and not self._is_answered:
                self.dialect = self._first = dialect

    def next(
        self,
        rewritten: Dialect | None = None,
        tried: Sequence[Dialect] = (),
        *,
        enums: EnumSize | None = None,
        may_try: bool = True,
    ) -> Dialect:
        """The dialect for a row that is sent now: one row at a time tries a feature more.

        rewritten: what was chosen for the row alone when it was refused. tried: in which it was.
        enums: of its task's schema, where they are long. may_try: send them where it is not known
        whether they are accepted.
        """
        dialect = self._next(rewritten, _without_enums_noted(tried))
        if enums is None or not dialect.lists_labels:
            return dialect
        with self._lock:
            return replace(dialect, enums=self._may_list(enums, tried, may_try=may_try))

    def _next(self, rewritten: Dialect | None, tried: Sequence[Dialect]) -> Dialect:
        # the best known dialect failed this row already: it goes on with its own
        if rewritten is not None and self._is_answered and self.dialect in tried:
            return replace(rewritten, enums=True)
        if not self._untried or self._is_trying:  # nearly every row
            return self.dialect
        with self._lock:
            if not self._untried:
                return self.dialect
            self._is_trying = True
            return self.dialect.including(self._untried[0])

    def refused(
        self,
        tried: Sequence[Dialect],
        param: str | None,
        message: str,
        *,
        features: frozenset[Feature],
        sure: bool = False,
        enums: EnumSize | None = None,
    ) -> Dialect | None:
        """The dialect to send a refused row in; None where no dialect may help.

        tried: the dialects in which the row was refused, the last one last. param, message: of
        the error. features: those of the request that are ours to leave out. sure: the row is a
        health probe, so what has worked before is refused now: the search begins anew. enums: as
        next has them.
        """
        with self._lock:
            # the endpoint has changed its mind, about long enums perhaps, too
            if sure and self._is_answered:
                self._enums.forget()
            if enums is not None:
                named = tried[-1].named(param, message, features)
                shorter = self._without_enums(tried, enums, named)
                if shorter is not None:
                    return shorter
            tried = _without_enums_noted(tried)
            named = tried[-1].named(param, message, features)
            return self._refused(tried, named, features=features, sure=sure)

    def broke(
        self, tried: Sequence[Dialect], *, enums: EnumSize | None = None, silent: bool = False
    ) -> Dialect | None:
        """The dialect for a row whose server broke in the last of these, None for the same.

        Some servers break at a format that they do not know. Only before anything is known:
        later it is the server. enums: as next has them, at which servers break, too. silent: it
        did not break but was too slow, which is no format's fault.
        """
        with self._lock:
            latest, shorter = tried[-1], None
            if enums is not None:
                if latest.lists_labels and not self._enums.accepts(enums):
                    self._enums.broke(enums)
                    shorter = replace(latest, enums=False)
                tried = _without_enums_noted(tried)
                latest = tried[-1]
            if silent or self.known or not latest.has("json_object"):
                return shorter
            if self._is_answered:
                return self.dialect if self.dialect not in tried else shorter
            # one failure may be chance; the format is left when it breaks the server again
            self._broken.append(latest)
            if self._broken.count(latest) < BREAKS:
                return shorter
            self.dialect = latest.without(_format_of(latest))
            return self.dialect

    def succeeded(
        self, dialect: Dialect, tried: Sequence[Dialect] = (), *, enums: EnumSize | None = None
    ) -> None:
        """A request in this dialect was answered.

        tried: the dialects in which its row was refused before. enums: as next has them.
        """
        if enums is not None and dialect.response_format == "json_schema":
            with self._lock:
                self._enums.answered(enums, dialect, tried)
            [dialect, *tried] = _without_enums_noted([dialect, *tried])
        if self.known and not tried:  # nearly every answer
            self._streak = 0
            return
        with self._lock:
            if self.known:
                self._learn(dialect, tried)
            elif not self._is_answered:
                self._begin_to_restore(dialect, tried)
            elif self._untried and dialect.has(self._untried[0]):
                self.dialect = dialect
                self._go_on()
            elif self._untried and any(each.has(self._untried[0]) for each in tried):
                self._leave_out_first()

    def lost(self, dialect: Dialect, *, enums: EnumSize | None = None) -> None:
        """A request in this dialect came to no end: what it was to show is not known."""
        if enums is not None and dialect.lists_labels:
            with self._lock:
                self._enums.end_trial()
        # a dialect that is not the best known was a trial: another row may make it now
        if replace(dialect, enums=True) != self.dialect:
            self._is_trying = False

    def disappointed(self, dialect: Dialect) -> bool:
        """An answer in this dialect was of no use; True if its row is to be asked in another one.

        Some endpoints accept a format that does not work: when no answer was ever of use, and
        several were not, the next simpler format is tried.
        """
        with self._lock:
            if self.worked:
                return False
            if dialect.response_format != self.dialect.response_format:
                return True  # it is left already
            self._useless += 1
            if self._useless < ALIKE:
                return False
            self._useless, self._untried, self.known = 0, [], True
            self.worked = self.dialect.response_format == "plain"  # then it is not the format
            # no format helped, so none was at fault: go back to the best one
            if self.worked:
                self.dialect = self._first
            else:
                self.dialect = self.dialect.without(_format_of(self.dialect))
            return not self.worked

    def ignored(self, feature: Feature) -> None:
        """The endpoint accepts this feature and does not obey it."""
        with self._lock:
            self.dialect = self.dialect.without(feature)
            self._untried = [other for other in self._untried if other != feature]

    # -- under the lock ---------------------------------------------------------------

    def _refused(
        self,
        tried: Sequence[Dialect],
        named: Feature | None,
        *,
        features: frozenset[Feature],
        sure: bool,
    ) -> Dialect | None:
        """The dialect to send a row in that was refused for any reason but long enums."""
        if self.dialect not in tried:  # something better is known, or this was a trial
            return self.dialect
        latest = tried[-1]
        if named is not None and named not in features:
            return None  # the person gave it, and what is theirs is never left out
        lower = None if named is None else latest.without(named)
        if lower is not None and lower not in tried:
            if not self._is_answered and named is not None:
                self._named.add(named)
        # others are answered in this dialect, so it is the row, or the feature that it tried
        elif self._is_answered and not sure:
            self._lose_chance(tried)
            return None
        else:
            if self._is_answered:
                self._is_answered = self.known = False
                self._named.clear()
                self._futile, self._untried = 0, []
            lower = self._simplest(tried, features)
        if not self._is_answered:  # nothing has worked yet: all try the same
            self.dialect = lower or self._first
        return lower

    def _may_list(self, enums: EnumSize, tried: Sequence[Dialect], *, may_try: bool) -> bool:
        """Whether a row may be sent with its long enums; if that is not known, it finds out."""
        # this row was refused with them already
        if any(each.lists_labels for each in tried):
            return False
        if self._enums.accepts(enums):
            return True
        # while features come back one by one, each answer is to show one thing alone
        is_restoring = self._is_answered and not self.known
        return may_try and not is_restoring and self._enums.begin_trial(enums)

    def _without_enums(
        self, tried: Sequence[Dialect], enums: EnumSize, named: Feature | None
    ) -> Dialect | None:
        """The dialect without long enums, where they may be why the row was refused."""
        latest = tried[-1]
        if not latest.lists_labels:
            if any(each.lists_labels for each in tried):
                self._enums.refused_without()
            return None
        is_accepted = self._enums.accepts(enums)
        if named == "json_schema" or (named is None and not is_accepted):
            return replace(latest, enums=False)
        if not is_accepted:
            self._enums.end_trial()
        return None

    def _simplest(self, tried: Sequence[Dialect], features: frozenset[Feature]) -> Dialect | None:
        """The dialect without any feature, while it may help.

        The system message goes last, as hardly any endpoint refuses it; and either name of the
        cap is tried.
        """
        simplest = [self._first.simplest(features - {"system"}), self._first.simplest(features)]
        if "max_completion_tokens" in features:
            simplest += [each.including("max_completion_tokens") for each in simplest]
        if self._futile < FUTILE:
            for dialect in simplest:
                if dialect not in tried:
                    return dialect
            self._futile += 1
        return None

    def _begin_to_restore(self, dialect: Dialect, tried: Sequence[Dialect]) -> None:
        """The first answer: what it does without may be missing for no reason."""
        self._is_answered = True
        self.dialect = dialect
        lost = lost_features(self._first, dialect)
        proved = _proved(dialect, [each for each in tried if each not in self._broken])
        self._untried = [each for each in lost if each != proved and each not in self._named]
        self._go_on()

    def _go_on(self) -> None:
        """Try the next feature that the best dialect does not have."""
        self._is_trying = False
        self._chances = CHANCES
        while self._untried and self.dialect.has(self._untried[0]):
            del self._untried[0]
        self.known = not self._untried

    def _leave_out_first(self) -> None:
        del self._untried[0]
        self._go_on()

    def _lose_chance(self, tried: Sequence[Dialect]) -> None:
        """A row was refused with a feature and without it: it may be the row, or not."""
        if self._untried and any(each.has(self._untried[0]) for each in tried):
            self._is_trying = False
            self._chances -= 1
            if not self._chances:
                self._leave_out_first()

    def _learn(self, dialect: Dialect, tried: Sequence[Dialect]) -> None:
        """A row was refused in a dialect that has worked before, and answered without a feature."""
        # one upstream of a gateway may refuse by chance, so a streak is needed
        against = _proved(dialect, tried)
        if against is None or not self.dialect.has(against):
            return
        self._streak = self._streak + 1 if against == self._against else 1
        self._against = against
        if self._streak >= STREAK:
            self._streak = 0
            self.dialect = self.dialect.without(against)


def _without_enums_noted(tried: Sequence[Dialect]) -> Sequence[Dialect]:
    """The same dialects, as if none had left out long enums: a matter of its own."""
    if all(each.enums for each in tried):
        return tried
    return [replace(each, enums=True) for each in tried]


def _format_of(dialect: Dialect) -> Feature:
    return "json_schema" if dialect.has("json_schema") else "json_object"


def lost_features(full: Dialect, dialect: Dialect) -> list[Feature]:
    """The features that one dialect has and the other has not."""
    return [each for each in FEATURES if full.has(each) and not dialect.has(each)]


def _proved(dialect: Dialect, tried: Sequence[Dialect]) -> Feature | None:
    """The one feature without which a row was answered that had been refused with it."""
    for other in tried:
        lost = lost_features(other, dialect)
        if len(lost) == 1:
            return lost[0]
    return None
