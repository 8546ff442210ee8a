"""Where each option is written down.

The options are the annotated fields of the classes ``Options`` and ``Settings``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .tree import FUNCTIONS, Source

ROOTS = ("Options", "Settings")
NO_OPTION = {"given"}  # a field of Settings that is none
LIST = 3  # options named together are a list of options; fewer may be words like id or model


def places(sources: Iterable[Source]) -> dict[str, list[str]]:
    """option -> the places where it is written down, each a file and a definition in it.

    A place lists three options or more: as the fields of a class, as the parameters of a
    function and the keywords it hands on (``Job(reuse=settings.reuse)``), as ``name:`` entries
    of a docstring, or as a table in a module (keys, members, or first arguments of a literal;
    here two will do, if no more than half are other words). Reading ``settings.reuse`` is none.
    """
    sources = list(sources)
    options = _options(sources)
    found: dict[str, list[str]] = {name: [] for name in options}
    for source in sources:
        for place, words in _word_lists(source):
            names = options.intersection(words)
            is_table = place.endswith("]")
            if len(names) >= LIST or (is_table and len(names) == 2 >= len(words) / 2):
                for name in names:
                    found[name].append(f"{'/'.join(source.parts)}:{place}")
    return found


def _options(sources: Iterable[Source]) -> set[str]:
    classes = (node for source in sources for node in source.tree.body)
    roots = (node for node in classes if isinstance(node, ast.ClassDef) and node.name in ROOTS)
    return {name for root in roots for name in _fields(root)} - NO_OPTION


def _word_lists(source: Source) -> Iterator[tuple[str, list[str]]]:
    """(place, words) of every definition and table of a module."""
    for node in source.tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield f"{ast.unparse(target)}[...]", list(_keys(node.value))
        yield from _definitions(node, "")


def _definitions(node: ast.stmt, within: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        name = f"{within}{node.name}"
        yield f"{name}.__doc__", _entries(ast.get_docstring(node) or "")
        if isinstance(node, ast.ClassDef):
            yield name, _fields(node)
            for child in node.body:
                yield from _definitions(child, f"{name}.")
        else:
            yield name, [*_parameters(node), *_handed_on(node)]


def _fields(node: ast.ClassDef) -> list[str]:
    targets = (child.target for child in node.body if isinstance(child, ast.AnnAssign))
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]


def _handed_on(node: ast.AST) -> list[str]:
    """The keywords that a function's calls fill with something of the same name."""
    keywords = (each for each in ast.walk(node) if isinstance(each, ast.keyword) and each.arg)
    return [
        each.arg for each in keywords if re.search(rf"\b_?{each.arg}$", ast.unparse(each.value))
    ]


def _entries(docstring: str) -> list[str]:
    """The names that a docstring explains: ``rpm, tpm: requests and tokens a minute``."""
    heads = re.findall(r"(?<![\w.])((?:\w+, )*\w+): ", docstring)
    return [name for head in heads for name in head.split(", ")]


def _keys(value: ast.AST) -> Iterator[str]:
    """The strings a literal is made of: keys of a dict, members, first arguments of calls."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case (
            ast.Dict(keys=parts)
            | ast.Tuple(elts=parts)
            | ast.List(elts=parts)
            | ast.Set(elts=parts)
        ):
            yield from (text for part in parts if part is not None for text in _keys(part))
        case ast.Call(args=[first, *_]):
            yield from _keys(first)
