"""Lines, functions and comments of the package."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable

from .tree import FUNCTIONS, Source

DIRECTIVE = re.compile(r"#\s*(noqa|type:|fmt:|pragma:|ruff:|mypy:)")
BLANK = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def flat(sources: Iterable[Source]) -> tuple[int, str]:
    """The most Python files that lie in one folder, ``__init__.py`` included, and the folder."""
    counts = Counter("/".join(source.parts[:-1]) for source in sources)
    return max((count, folder) for folder, count in counts.items())


def lines(sources: Iterable[Source]) -> int:
    """All lines: code, blank lines, docstrings and comments."""
    return sum(source.lines for source in sources)


def biggest_room(sources: Iterable[Source]) -> tuple[float, str]:
    """The biggest first-level room's share of all the lines, and its name.

    A first-level room is a folder with its inner folders, or a file of the root. The share is of
    all the lines given: the package with its ``testing/``.
    """
    sizes: Counter[str] = Counter()
    for source in sources:
        sizes[source.parts[0]] += source.lines
    room, size = sizes.most_common(1)[0]
    return size / sizes.total(), room


def function_lengths(sources: Iterable[Source]) -> list[tuple[int, str]]:
    """The length and place of every function, the longest first.

    From ``def`` to the last line without the docstring's lines; blank lines and comments count,
    decorators do not. A nested function counts by itself and in the one around it.
    """
    return sorted(
        (
            (node.end_lineno - node.lineno + 1 - len(_text(node.body[0])), _place(source, node))
            for source in sources
            for node in source.nodes
            if isinstance(node, FUNCTIONS)
        ),
        reverse=True,
    )


def _place(source: Source, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return f"{source.name}:{node.lineno} {node.name}"


def _text(node: ast.AST) -> range:
    """The lines of a statement that is only a string, as docstrings are; else none."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return range(node.lineno, node.end_lineno + 1)
    return range(0)


def comment_density(sources: Iterable[Source]) -> float:
    """Comments per hundred code lines.

    A comment counts wherever it stands, and each line of a longer one. Directives (``noqa``,
    ``type:``, ``fmt:``, ``pragma:``) do not, even with a reason behind them. A code line is
    neither blank nor docstring nor only a comment.
    """
    comments = code = 0
    for source in sources:
        held: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            if token.type == tokenize.COMMENT:
                comments += not DIRECTIVE.match(token.string)
            elif token.type not in BLANK:
                held.update(range(token.start[0], token.end[0] + 1))
        held.difference_update(*map(_text, source.nodes))
        code += len(held)
    return 100 * comments / max(code, 1)
