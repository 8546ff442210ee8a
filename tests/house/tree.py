"""The package's files, and the graph of their imports."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Source:
    """One Python file. parts: its path below the root, the file's name last."""

    path: Path
    parts: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    @property
    def package(self) -> tuple[str, ...]:
        """The folders from the root on."""
        return (self.path.parts[-len(self.parts) - 1], *self.parts[:-1])

    @property
    def module(self) -> str:
        """The name that imports it."""
        own = () if self.path.stem == "__init__" else (self.path.stem,)
        return ".".join((*self.package, *own))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


def read(root: Path) -> list[Source]:
    """Every Python file below a folder."""
    return [Source(path, path.relative_to(root).parts) for path in sorted(root.rglob("*.py"))]


def imports(sources: Iterable[Source]) -> Graph:
    """module -> the package's modules that it imports.

    Imports under TYPE_CHECKING and inside functions count like any other.
    """
    known = {source.module: source for source in sources}
    return {name: set(_imported(source, known)) - {name} for name, source in known.items()}


def _imported(source: Source, known: Collection[str]) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = source.package[: len(source.package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:  # a module of that package, else a name in it
                inner = f"{base}.{alias.name}"
                yield from [inner] if inner in known else [base] if base in known else []


def rings(graph: Graph) -> list[list[str]]:
    """The strongly connected components with more than one member."""
    found = {frozenset(ring) for ring in _rings_of(graph).values() if len(ring) > 1}
    return sorted(sorted(ring) for ring in found)


def _rings_of(graph: Graph) -> Graph:
    """node -> its strongly connected component: all that it reaches and that reaches it."""
    reached = {node: _reach(graph, node) for node in graph}
    return {node: {node} | {o for o in reached[node] if node in reached[o]} for node in graph}


def _reach(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return seen


def rooms(sources: Sequence[Source]) -> Graph:
    """room -> the rooms that it imports.

    A room is a folder of the first or second level with the files that lie in it (what lies
    deeper belongs to the second-level folder), or one file of the root, its ``__init__.py``
    too. So ``engine`` and ``engine/governor`` are two rooms.
    """
    room_of = {each.module: "/".join(each.parts[:-1][:2]) or each.name for each in sources}
    graph: Graph = {room: set() for room in room_of.values()}
    for module, others in imports(sources).items():
        graph[room_of[module]] |= {room_of[other] for other in others} - {room_of[module]}
    return graph


def floors(graph: Graph) -> list[list[str]]:
    """The rooms by floor, the ground floor first.

    A room is one floor above the highest room that it imports; rooms in a ring share a floor.
    """
    ring_of = _rings_of(graph)
    floor: dict[str, int] = {}

    def find(room: str) -> int:
        if room not in floor:
            ring = ring_of[room]
            below = {other for each in ring for other in graph[each]} - ring
            floor.update(dict.fromkeys(ring, max(map(find, below), default=-1) + 1))
        return floor[room]

    count = max(map(find, graph), default=-1) + 1
    return [sorted(room for room in graph if floor[room] == level) for level in range(count)]
