"""What stands on a Run, what the tests read of ours, how long they are, where they sleep."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .tree import FUNCTIONS, Source, imports

GROUPS = re.compile(r"mark\.(slow|kernel|browser|battery|soak|interop)\b")
GROUP_FOLDERS = {"battery", "benchmarks", "browser", "interop"}
PRIVATE = re.compile(r"_(?!_)(?!replace$|asdict$|fields$|make$)\w*[^_]")  # named tuples' are open
VIRTUAL = re.compile(r"^(import|from) .*\bvirtual_", re.MULTILINE)  # the clock and its kits
LONGEST = 400  # lines of a test file
POLLING = "kits/until.py"


def run_names(sources: Iterable[Source]) -> list[str]:
    """What stands under Tab on a ``Run``: its methods, properties, fields and attributes."""
    nodes = (node for source in sources for node in source.nodes)
    run = next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == "Run")
    methods = {each.name for each in run.body if isinstance(each, FUNCTIONS)}
    fields = {ast.unparse(each.target) for each in run.body if isinstance(each, ast.AnnAssign)}
    kept = {node.attr for node in ast.walk(run) if _is_set(node) and _base(node) == "self"}
    return sorted(name for name in methods | fields | kept if not name.startswith("_"))


def _is_set(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)


def _base(node: ast.Attribute) -> str:
    return ast.unparse(node.value)


def private_reads(package: Iterable[Source], tests: Iterable[Source]) -> list[str]:
    """Each place in the tests that reads or sets a private attribute of ours.

    That is ``x._name`` where the package defines ``_name``, and x is not self, cls or
    ``super()``. Names like ``_repr_html_`` are for others to call, and do not count.
    """
    ours = {name for source in package for name in _defined(source)}
    return [
        f"{source.name}:{node.lineno} {ast.unparse(node)}"
        for source in tests
        for node in source.nodes
        if isinstance(node, ast.Attribute)
        and node.attr in ours
        and PRIVATE.fullmatch(node.attr)
        and _base(node) not in ("self", "cls", "super()")
    ]


def _defined(source: Source) -> Iterator[str]:
    for node in source.nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.alias(asname=str(name)):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def long_files(tests: Iterable[Source]) -> list[str]:
    """Test files above 400 lines, the longest first."""
    long = sorted(((each.lines, each.name) for each in tests), reverse=True)
    return [f"{lines} {name}" for lines, name in long if lines > LONGEST]


def real_sleeps(tests: Iterable[Source]) -> list[str]:
    """Calls of sleep that cost real time, outside the groups that drive real processes.

    ``time.sleep`` of anything but 0; in test files ``asyncio.sleep`` too, unless they import the
    virtual clock (a kit's runs on the clock of its test). A group is a folder, a ``pytestmark``,
    a mark on a function or class, or a kit that only groups import. The one kit that polls a
    condition may sleep between two checks.
    """
    tests = list(tests)
    grouped = _grouped(tests)
    return [
        f"{source.name}:{call.lineno} {ast.unparse(call)}"
        for source in tests
        if source.module not in grouped and source.name != POLLING
        for virtual in [_is_virtual(source)]
        for call in _calls(source.tree)
        if _sleeps(call, virtual=virtual)
    ]


def _is_virtual(source: Source) -> bool:
    return not source.parts[-1].startswith("test_") or bool(VIRTUAL.search(source.text))


def _grouped(tests: list[Source]) -> set[str]:
    """The modules of the groups, and the kits that only these import."""
    grouped = {each.module for each in tests if _is_grouped(each)}
    users: dict[str, set[str]] = {each.module: set() for each in tests if "kits" in each.parts}
    for module, used in imports(tests).items():
        for kit in used & users.keys():
            users[kit].add(module)
    while new := {kit for kit, by in users.items() if by and by <= grouped} - grouped:
        grouped |= new  # kits import each other
    return grouped


def _is_grouped(source: Source) -> bool:
    if GROUP_FOLDERS.intersection(source.parts):
        return True
    marks = (ast.unparse(each) for each in source.tree.body if isinstance(each, ast.Assign))
    return any(mark.startswith("pytestmark") and GROUPS.search(mark) for mark in marks)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """Every call below a node, except in functions and classes with a group's mark."""
    for child in ast.iter_child_nodes(node):
        marks = map(ast.unparse, getattr(child, "decorator_list", ()))
        if not any(map(GROUPS.search, marks)):
            yield from [child] if isinstance(child, ast.Call) else []
            yield from _calls(child)


def _sleeps(call: ast.Call, *, virtual: bool) -> bool:
    names = ("time.sleep",) if virtual else ("time.sleep", "asyncio.sleep", "sleep")
    return ast.unparse(call.func) in names and [ast.unparse(each) for each in call.args] != ["0"]
