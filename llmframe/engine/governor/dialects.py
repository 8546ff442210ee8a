"""What an endpoint understands: response formats and parameters, found out once, not per row."""

from __future__ import annotations

from dataclasses import replace

from llmframe.providers.dialect import FULL_DIALECT, Dialect

STREAK = 3  # refusals in a row of what has worked before: then it is believed


class DialectFallback:
    """The request dialect of one endpoint and model; called under the governor's lock."""

    def __init__(self) -> None:
        self.dialect = Dialect()
        self.known = False
        self._worked: set[Dialect] = set()
        self._streak = 0
        self._server_errors = 0

    def begin_at(self, dialect: Dialect) -> None:
        """What is known before the first request; what was found out stays."""
        if self.dialect == FULL_DIALECT and not self.known:
            self.dialect = dialect

    def succeeded(self, dialect: Dialect) -> None:
        """A request written so was answered."""
        self.known = True
        self._worked.add(dialect)
        self._streak = 0

    def refused(
        self, dialect: Dialect, param: str | None, said: str, given: frozenset[str] = frozenset()
    ) -> bool:
        """A request written so got a 400; tells whether to send it again, written anew.

        A request of an older dialect is always sent again. What has worked before is given up
        only after three refusals in a row.
        """
        if dialect != self.dialect:
            return True
        lower = dialect.below(param, said, given)
        if lower is None:
            return False
        self._streak += 1
        if dialect in self._worked and self._streak < STREAK:
            return False
        self._streak = 0
        self.dialect = lower
        return True

    def broke(self, dialect: Dialect) -> None:
        """The server answered a probe with a 5xx: the second under a schema tries without."""
        if self.known:
            return
        self._server_errors += 1
        if (
            dialect == self.dialect
            and dialect.response_format == "json_schema"
            and self._server_errors == 2
        ):
            self.dialect = replace(dialect, response_format="json_object")
