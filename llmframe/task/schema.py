"""pydantic's JSON schema -> a tidy one of ours -> the strict one that endpoints accept."""

from __future__ import annotations

from math import inf
from typing import Any, TypeAlias

from llmframe.errors import PlanError

Node: TypeAlias = dict[str, Any]

_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_BOUNDS = {
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "string": ("minLength", "maxLength", "pattern"),
    "array": ("minItems", "maxItems"),
}
CONSTRAINTS = (*_NUMBERS, *_BOUNDS["string"], *_BOUNDS["array"])
_KEPT = ("description", "type", "format", *CONSTRAINTS)

_NO_BOUND = (None, inf, -inf)

# Strict mode refuses other formats and the two lengths: they are told in words instead.
_STRICT_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


def tidy_schema(raw: Node) -> Node:
    """One form for what pydantic's versions write in several.

    References are inlined (recursive ones stay, with their ``$defs``), titles, defaults and
    examples dropped, every property required and every object closed.
    Raises PlanError, naming the path, for what has no fixed form.
    """
    defs = raw.get("$defs", {})
    tidier = _Tidier(defs)
    tidy = tidier.node(root_node(raw), "")
    recursive = {name: tidier.node(defs[name], name) for name in sorted(tidier.recursive)}
    return {**tidy, "$defs": recursive} if recursive else tidy


def root_node(raw: Node) -> Node:
    """The outermost object, which a recursive model hides behind a reference."""
    root = raw
    while "$ref" in root or "allOf" in root:
        root = raw["$defs"][_target(root)] if "$ref" in root else root["allOf"][0]
    return root


def is_lenient(raw: Any) -> bool:
    """Whether pydantic, even in strict mode, would accept more than the schema says.

    It takes true and 1.0 for a label 1, digits for a date and time, and fills in defaults.
    """
    if isinstance(raw, list):
        return any(is_lenient(part) for part in raw)
    if not isinstance(raw, dict):
        return False
    if raw.get("format") == "date-time" or any(isinstance(v, int) for v in _closed_values(raw)):
        return True
    properties = raw.get("properties")
    if isinstance(properties, dict) and len(properties) != len(raw.get("required", ())):
        return True
    return any(is_lenient(part) for part in raw.values())


def _closed_values(raw: Node) -> list[Any]:
    values = raw.get("enum", [raw.get("const")])
    return values if isinstance(values, list) else []  # a property may have the name "enum"


def strict_schema(tidy: Node) -> Node:
    """The tidy schema without what strict mode refuses, which goes into the descriptions."""
    strict = {key: _strict_part(key, value) for key, value in tidy.items()}
    told = [_told(key, strict.pop(key)) for key in _refused_keys(strict)]
    if told:
        own = [strict["description"]] if strict.get("description") else []
        strict["description"] = " ".join([*own, *told])
    return strict


def json_types(node: Node) -> tuple[str, ...]:
    """The JSON types a node allows, () where it does not say."""
    found = node.get("type", ())
    return (found,) if isinstance(found, str) else tuple(found)


def _strict_part(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):
        return {name: strict_schema(node) for name, node in value.items()}
    if key == "items":
        return strict_schema(value)
    if key == "anyOf":
        return [strict_schema(node) for node in value]
    return value


def _refused_keys(node: Node) -> list[str]:
    refused: list[str] = []
    refused += [key for key in ("minLength", "maxLength") if key in node]
    if node.get("format", "date") not in _STRICT_FORMATS:
        refused.append("format")
    if "(?" in node.get("pattern", ""):  # look-arounds
        refused.append("pattern")
    return refused


def _told(key: str, value: Any) -> str:
    if key in ("minLength", "maxLength"):
        bound = "least" if key == "minLength" else "most"
        return f"At {bound} {value} character{'' if value == 1 else 's'}."
    return f"In the format {value}." if key == "format" else f"Matching {value}"


class _Tidier:
    """The steps of tidy_schema over one schema's definitions."""

    def __init__(self, defs: dict[str, Node]) -> None:
        self.defs = defs
        self.recursive = {name for name in defs if _reaches(name, name, defs)}

    def node(self, raw: Node, path: str) -> Node:
        raw = self._resolved(raw)
        if "$ref" in raw:
            return {"$ref": raw["$ref"]}
        tidy = {key: _plain_number(raw[key]) for key in _KEPT if raw.get(key) not in _NO_BOUND}
        _check_bounds(tidy, path)
        if "const" in raw or "enum" in raw:
            return tidy | _enum(raw.get("enum", [raw.get("const")]), path)
        branches = raw.get("anyOf", raw.get("oneOf"))
        if branches is not None:
            return self._any_of(tidy, branches, path)
        return tidy | self._parts(raw, path)

    def _resolved(self, raw: Node) -> Node:
        """The node that a reference or a lone allOf stands for; its own keys win."""
        while True:
            if "$ref" in raw and _target(raw) not in self.recursive:
                inner = self.defs[_target(raw)]
                raw = inner | {key: value for key, value in raw.items() if key != "$ref"}
            elif len(raw.get("allOf", ())) == 1:
                raw = raw["allOf"][0] | {key: raw[key] for key in raw if key != "allOf"}
            else:
                return raw

    def _any_of(self, tidy: Node, branches: list[Node], path: str) -> Node:
        nodes = [self.node(branch, path) for branch in branches]
        others = [node for node in nodes if node != {"type": "null"}]
        if len(others) == 1 and len(nodes) == 2 and _is_simple(others[0]):
            return _or_null(others[0]) | tidy
        return {**tidy, "anyOf": nodes}

    def _parts(self, raw: Node, path: str) -> Node:
        kind = raw.get("type")
        if kind == "object":
            return self._object(raw, path)
        if kind == "array":
            return self._array(raw, path)
        if kind is None or raw.get("format") == "binary":
            raise PlanError(f"{_at(path)} has no fixed form; give it a type such as str or int")
        return {}

    def _object(self, raw: Node, path: str) -> Node:
        properties = raw.get("properties")
        if not properties or "patternProperties" in raw:
            raise PlanError(
                f"{_at(path)} is a dict without fixed keys; name the keys in a pydantic model, "
                "or ask for str"
            )
        tidy = {name: self.node(part, _join(path, name)) for name, part in properties.items()}
        return {"properties": tidy, "required": list(tidy), "additionalProperties": False}

    def _array(self, raw: Node, path: str) -> Node:
        if raw.get("uniqueItems") or "prefixItems" in raw or not raw.get("items"):
            raise PlanError(f"{_at(path)} is a set, a tuple or a bare list; use list[...]")
        return {"items": self.node(raw["items"], path)}


def _reaches(start: str, goal: str, defs: dict[str, Node]) -> bool:
    seen: set[str] = set()
    waiting = list(_references(defs[start]))
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            waiting.extend(_references(defs[name]))
    return False


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for part in node for name in _references(part)]
    if not isinstance(node, dict):
        return []
    own = [_target(node)] if isinstance(node.get("$ref"), str) else []
    return own + [name for part in node.values() for name in _references(part)]


def _target(node: Node) -> str:
    return str(node["$ref"]).removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")


def _check_bounds(node: Node, path: str) -> None:
    """A bound that the type does not know: pydantic would fail on every single reply."""
    known = {key for kind in json_types(node) for key in _BOUNDS.get(kind, ())}
    for key in CONSTRAINTS:
        if key in node and "type" in node and key not in known:
            raise PlanError(f"{_at(path)} is of type {node['type']}, which has no {key}")


def _enum(values: list[Any], path: str) -> Node:
    names = {str: "string", int: "integer", type(None): "null"}
    found = [names.get(type(value), "") for value in values]
    if "" in found:
        raise PlanError(f"{_at(path)} has labels that are neither text nor ints: {values!r}")
    kinds = list(dict.fromkeys(found))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _is_simple(node: Node) -> bool:
    return isinstance(node.get("type"), str) and node["type"] not in ("object", "array")


def _or_null(node: Node) -> Node:
    nullable = {**node, "type": [node["type"], "null"]}
    if "enum" in node:
        nullable["enum"] = [*node["enum"], None]
    return nullable


def _plain_number(value: Any) -> Any:
    """1.0 and 1 are the same bound: one form, so that equal requests look equal."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return f"field {path!r}" if path else "the model"
