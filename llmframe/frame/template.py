"""Templates: text with ``{column}`` in it, parsed once and never evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from llmframe.errors import PlanError


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: ``literals[0] names[0] literals[1] ... names[-1] literals[-1]``.

    names: the texts between braces, in their order; literals: one more than names.
    """

    names: tuple[str, ...]
    literals: tuple[str, ...]

    def fill(self, values: tuple[str, ...]) -> str:
        """The text with one value for each name."""
        literals = self.literals
        filled = [literals[0]]
        for value, literal in zip(values, literals[1:], strict=True):
            filled += (value, literal)
        return "".join(filled)


def parse_template(text: str) -> Template:
    """The template that a text stands for.

    ``{name}`` names a column by its whole name, ``{{`` and ``}}`` are braces.
    Raises PlanError, with the position, for a brace that is never closed or never opened.
    """
    names: list[str] = []
    literals = [""]
    at = 0
    while at < len(text):
        brace = text[at]
        if brace not in "{}":
            end = _next_brace(text, at)
            literals[-1] += text[at:end]
        elif text.startswith(brace * 2, at):
            end = at + 2  # a doubled brace is the brace itself
            literals[-1] += brace
        elif brace == "}":
            raise _unbalanced(text, at, "nothing opens this '}'")
        else:
            close = _next_brace(text, at + 1)
            if text[close : close + 1] != "}":  # another "{", or the end of the text
                raise _unbalanced(text, at, "nothing closes this '{'")
            end = close + 1
            names.append(text[at + 1 : close])
            literals.append("")
        at = end
    return Template(tuple(names), tuple(literals))


def _next_brace(text: str, at: int) -> int:
    """The position of the next brace, or the text's length."""
    ends = (text.find("{", at), text.find("}", at), len(text))
    return min(end for end in ends if end >= 0)


def _unbalanced(text: str, at: int, found: str) -> PlanError:
    around = text[max(0, at - 20) : at + 20]
    return PlanError(
        f"input: {found} at character {at + 1} of the template, in {around!r}. "
        "Write {name} for a column, {{ and }} for the braces themselves."
    )
