"""What ``check`` found: a table in a notebook, text elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmframe.notebook import hosts
from llmframe.notebook.drawing import style
from llmframe.notebook.drawing.escape import html, plain
from llmframe.notebook.hosts import bundle, show
from llmframe.options.coroutines import is_argument

if TYPE_CHECKING:
    from llmframe.messages.check_lines import Line

_MARKS = {True: ("yes", "good"), False: ("no", "bad"), None: ("", "")}
_JUDGED = ("reachable", "key accepted", "model", "response format")  # the others just inform
_LONGEST = 600  # characters of one thing found


@dataclass(frozen=True)
class Check:
    """What an endpoint is and can do. ok: nothing is wrong. lines: one for each thing checked."""

    title: str
    lines: tuple[Line, ...]
    _shown: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return all(line.ok is not False for line in self.lines)

    @property
    def _state(self) -> tuple[str, str]:
        """The result in words, and their tint."""
        if not self.ok:
            return "something is wrong", "bad"
        judged = [line for line in self.lines if line.name in _JUDGED]
        if all(line.ok for line in judged):
            return "all right", "good"
        if any(line.cure for line in judged):
            return "it works, but read the advice", "wait"
        return "nothing is wrong, but not everything could be checked", "wait"

    def __repr__(self) -> str:
        return f"<Check of {plain(self.title, limit=120)}: {self._state[0]}>"

    def __str__(self) -> str:
        width = max(len(line.name) for line in self.lines)
        lines = [f"llmframe: {plain(self.title, limit=120)}"]
        for line in self.lines:
            mark = _MARKS[line.ok][0]
            lines.append(f"  {line.name:<{width}}  {mark:<3}  {plain(line.found, limit=_LONGEST)}")
            if line.cure:
                lines.append(f"  {'':<{width}}       {plain(line.cure, limit=_LONGEST)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = style.head(style.chip(*self._state), style.mono(html(self.title, limit=120)))
        return style.frame((head, *map(_line_html, self.lines)))

    def _ipython_display_(self) -> None:
        if hosts.running_cell() not in self._shown:  # once a cell
            self.show()

    def show(self) -> None:
        """Display it in the running cell, or print it where there is none.

        What the person's own line prints is left to that line.
        """
        if hosts.kernel() is not None:
            self._shown.add(hosts.running_cell())
            show(bundle(self._repr_html_(), str(self)))
        elif sys.stdout is not None and not is_argument():
            sys.stdout.write(f"{self}\n")


def _line_html(line: Line) -> str:
    mark, tint = _MARKS[line.ok]
    chip = style.chip(mark, tint) if mark else ""
    found = html(line.found, limit=_LONGEST)
    below = style.line(style.soft(html(line.cure, limit=_LONGEST))) if line.cure else ""
    name = f'<div style="width:24%;min-width:110px">{style.soft(html(line.name))}</div>'
    state = f'<div style="width:9%;min-width:42px">{chip}</div>'
    body = f'<div style="flex:1;min-width:180px;overflow-wrap:anywhere">{found}{below}</div>'
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:baseline;margin-top:6px">'
        f"{name}{state}{body}</div>"
    )
