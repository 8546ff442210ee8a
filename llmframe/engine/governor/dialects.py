"""Which request dialect an endpoint understands, found out once, not per row."""

from __future__ import annotations

import threading
from dataclasses import replace

from llmframe.providers.dialect import FULL_DIALECT, Dialect

STREAK = 3  # refusals in a row of what has worked before, until it is dropped


class DialectFallback:
    """The request dialect of one endpoint and model; shared by its runs, safe from any thread."""

    def __init__(self) -> None:
        self.dialect = Dialect()
        self.known = False  # whether a request was ever answered
        self._lock = threading.Lock()
        self._worked: set[Dialect] = set()
        self._streak = 0
        self._server_errors = 0

    def begin_at(self, dialect: Dialect) -> None:
        """Take what is known before the first request; what was found out stays."""
        with self._lock:
            if self.dialect == FULL_DIALECT and not self.known:
                self.dialect = dialect

    def succeeded(self, dialect: Dialect) -> None:
        """A request in this dialect was answered."""
        with self._lock:
            self.known = True
            self._worked.add(dialect)
            self._streak = 0

    def refused(
        self,
        dialect: Dialect,
        param: str | None,
        message: str,
        given: frozenset[str] = frozenset(),
    ) -> bool:
        """A request in this dialect got a 400; True if it should be sent again, rewritten."""
        with self._lock:
            if dialect != self.dialect:  # an older one: the fallback has happened meanwhile
                return True
            lower = dialect.below(param, message, given)
            if lower is None:
                return False
            self._streak += 1
            if dialect in self._worked and self._streak < STREAK:
                return False  # it has worked: one 400 may be about the row
            self._streak = 0
            self.dialect = lower
            return True

    def broke(self, dialect: Dialect) -> None:
        """The server answered with a 5xx: two before any answer try without the schema."""
        with self._lock:
            if self.known:
                return
            self._server_errors += 1
            under_schema = dialect == self.dialect and dialect.response_format == "json_schema"
            if under_schema and self._server_errors == 2:
                self.dialect = replace(dialect, response_format="json_object")
