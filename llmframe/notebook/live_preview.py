"""The rows of a preview while their answers are being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from llmframe.engine.events import AnswerGrows
from llmframe.notebook.drawing.rows import value_text
from llmframe.notebook.view import PreviewRow
from llmframe.task.definition import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from llmframe.engine.events import Event
    from llmframe.results import Results
    from llmframe.task.fields import FieldSpec

BRIEF = (Kind.CHOICE, Kind.BOOLEAN, Kind.INTEGER, Kind.FLOAT)
CURSOR = "▍"  # stands where the model writes
MOST_BRACES = 20  # at which an object may begin; each is tried


class LivePreview:
    """An observer of the run of a live preview, and the rows as they are now.

    labels, texts: of the rows. results: what rows got that are done.
    Events come on the run's loop; views read from any thread.
    """

    def __init__(
        self,
        specs: Sequence[FieldSpec],
        *,
        labels: Sequence[str],
        texts: Sequence[str],
        results: Results,
    ) -> None:
        self._names = [spec.name for spec in specs]
        self._brief = frozenset(spec.name for spec in specs if spec.kind in BRIEF)
        self._labels = labels
        self._texts = texts
        self._results = results
        self._written: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Note what has been written."""
        if isinstance(event, AnswerGrows):
            self._written[event.position] = event.text

    def rows(self) -> list[PreviewRow]:
        """Every row of the sample, in the frame's order."""
        return [self._row(at) for at in range(len(self._texts))]

    def _row(self, at: int) -> PreviewRow:
        label, text, result = self._labels[at], self._texts[at], self._results[at]
        if result is not None and result.status == "ok":
            values = _texts(result.values or {})
            return PreviewRow(label, text=text, state="done", values=values, brief=self._brief)
        if result is not None:
            error = str(result.error or "")
            return PreviewRow(label, text=text, state="failed", error=error)
        if at not in self._written:
            return PreviewRow(label, text=text, state="waiting")
        values = _texts(fields_so_far(self._written[at], self._names))
        if values:  # the model is in the middle of the last one
            name = [*values][-1]
            values[name] = f"{values[name] or ''}{CURSOR}"
        return PreviewRow(label, text=text, state="writing", values=values, brief=self._brief)


def _texts(values: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if v is None else value_text(v) for name, v in values.items()}


def fields_so_far(text: str, names: Collection[str]) -> dict[str, Any]:
    """The named fields at the beginning of a JSON object, the last one perhaps cut; else {}.

    It is for people to look at: nothing here is checked or repaired.
    """
    start = text.find("{")
    for _ in range(MOST_BRACES):  # thoughts before the answer may hold braces, too
        if start < 0:
            break
        try:
            found = from_json(text[start:], allow_partial="trailing-strings")
        except (ValueError, TypeError):  # old versions of pydantic know no such partial text
            found = None
        if isinstance(found, dict) and (known := {n: found[n] for n in names if n in found}):
            return known
        start = text.find("{", start + 1)
    return {}
