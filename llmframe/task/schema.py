"""pydantic's JSON schema -> a tidy form of it -> the strict form that endpoints accept."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

from llmframe.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

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

_READ_FROM_DIGITS = frozenset({"date", "date-time", "time", "duration"})
NAMES = "x-names"  # in pydantic's schema of an Enum: a line a label, see definition.named_labels

_NO_BOUND = (None, inf, -inf)

# Strict mode refuses other formats and the two lengths: the description carries them instead.
_STRICT_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)


# pydantic's own schema: types whose JSON is read back as it was written, and what holds others
_READABLE = frozenset(
    {"model", "model-fields", "model-field", "function-after", "definitions", "definition-ref"}
    | {"int", "float", "bool", "str", "date", "datetime", "time", "literal", "enum", "none"}
    | {"list", "nullable", "default", "union"}
)
_BELOW = frozenset({"schema", "items_schema", "choices", "definitions"})
_MOMENTS = ("date", "datetime", "time")
_NOT_THE_PERSONS = frozenset({"builtins", "llmframe", "pydantic", "pydantic_core"})
_LIMITS = frozenset({"gt", "ge", "lt", "le", "now_op", "tz_constraint"})


def tidy_schema(raw: Node, *, as_declared: bool = False) -> Node:
    """One form for what pydantic's versions write in several.

    References are inlined (recursive ones stay, with their ``$defs``), titles, defaults and
    examples dropped, every property required and every object closed.
    as_declared: require only what has no default.
    Raises PlanError, naming the path, for what has no fixed form.
    """
    defs = raw.get("$defs", {})
    root = raw
    while "$ref" in root or "allOf" in root:  # a recursive model is only referred to
        root = defs[_target(root)] if "$ref" in root else root["allOf"][0]
    tidier = _Tidier(defs, as_declared=as_declared)
    tidy = tidier.node(root, "")
    recursive = {name: tidier.node(defs[name], name) for name in sorted(tidier.recursive)}
    return {**tidy, "$defs": recursive} if recursive else tidy


def is_lenient(raw: Any, days: Collection[str] = ()) -> bool:
    """Whether pydantic, even in strict mode, would accept more than the schema allows.

    It takes true and 1.0 for a label 1, digits for dates and times, "null" for a text, and fills
    in defaults. days: properties whose dates are compared by other means; so is a text that may
    be null and is no part of a list or an object.
    """
    if not isinstance(raw, dict):
        return _takes_more(raw)
    properties = raw.get("properties")
    if not isinstance(properties, dict) or len(properties) != len(raw.get("required", ())):
        return True
    nodes = [node for name, node in properties.items() if name not in days]
    defs = raw.get("$defs")
    return any(map(_takes_more, [*nodes, *(defs.values() if isinstance(defs, dict) else ())]))


def _takes_more(raw: Any) -> bool:
    if isinstance(raw, list):
        return any(map(_takes_more, raw))
    if not isinstance(raw, dict):
        return False
    labels = raw.get("enum", [raw.get("const")])
    if isinstance(labels, list) and any(isinstance(label, int) for label in labels):
        return True  # where it is no list, a property bears the name "enum"
    if raw.get("format") in _READ_FROM_DIGITS:
        return True
    inner = raw.get("properties")
    if isinstance(inner, dict) and len(inner) != len(raw.get("required", ())):
        return True
    parts = [raw.get("items"), *(inner.values() if isinstance(inner, dict) else ())]
    if any(_is_text_or_null(part) for part in parts):
        return True
    return any(map(_takes_more, raw.values()))


def _is_text_or_null(raw: Any) -> bool:
    branches = raw.get("anyOf") if isinstance(raw, dict) else None
    return isinstance(branches, list) and {"type": "null"} in branches


def has_hidden_rules(core: Any) -> bool:
    """Whether a stored answer must be validated again: by rules that the schema does not show.

    core: pydantic's own schema of the model. Such rules are validators that run after the
    others, and bounds of dates: they may change, and the request and its key stay the same.
    False where a stored answer may not be what the model reads: a validator that runs before the
    others sees the reply, not what it made of it, and a serializer writes what nobody reads.
    """
    nodes = [*_core_nodes(core)]
    computed = any(node.get("computed_fields") for node in nodes)
    closed = any(node.get("config", {}).get("extra_fields_behavior") == "forbid" for node in nodes)
    readable = all(
        node["type"] in _READABLE
        and "serialization" not in node
        and not _lacks(node)
        and node.get("serialization_alias") == node.get("validation_alias")
        for node in nodes
    )
    if not readable or (computed and closed):
        return False
    return any(
        node["type"] == "function-after"
        or node.get("post_init")
        or (node["type"] in _MOMENTS and _LIMITS & node.keys())
        for node in nodes
    )


def runs_own_code(core: Any) -> bool:
    """Whether validating runs code of the person's: validators, hooks, computed fields.

    core: pydantic's own schema of the model.
    """
    waiting = [core]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if part.get("post_init") or part.get("custom_init") or part.get("computed_fields"):
                return True
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
        elif callable(part) and not isinstance(part, type):
            module = getattr(part, "__module__", None) or "builtins"
            if module.partition(".")[0] not in _NOT_THE_PERSONS:
                return True
    return False


def _lacks(node: Node) -> bool:
    """Whether its default is null, which it does not read: ``name: str = None``."""
    is_null = node["type"] == "default" and "default" in node and node["default"] is None
    return is_null and node["schema"].get("type") != "nullable"


def _core_nodes(core: Any) -> Iterator[Node]:
    waiting = [core]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, dict):
            if isinstance(part.get("type"), str):
                yield part
            fields = part.get("fields")  # by their names, which may be any
            waiting += fields.values() if isinstance(fields, dict) else ()
            waiting += [part[key] for key in _BELOW & part.keys()]


def strict_schema(tidy: Node) -> Node:
    """The tidy schema; a constraint that strict mode refuses becomes part of the description."""
    strict: Node = {}
    for key, value in tidy.items():
        if key in ("properties", "$defs"):
            strict[key] = {name: strict_schema(node) for name, node in value.items()}
        elif key == "anyOf":
            strict[key] = [strict_schema(node) for node in value]
        else:
            strict[key] = strict_schema(value) if key == "items" else value
    sentences = [strict["description"]] if strict.get("description") else []
    for key, bound in (("minLength", "least"), ("maxLength", "most")):
        if key in strict:
            length = strict.pop(key)
            sentences.append(f"At {bound} {length} character{'' if length == 1 else 's'}.")
    if strict.get("format", "date") not in _STRICT_FORMATS:
        sentences.append(f"In the format {strict.pop('format')}.")
    if "(?" in strict.get("pattern", ""):  # look-arounds
        sentences.append(f"Matching {strict.pop('pattern')}")
    if sentences:
        strict["description"] = " ".join(sentences)
    return strict


def json_types(node: Node) -> tuple[str, ...]:
    """The JSON types that a node allows, () for one without a type."""
    found = node.get("type", ())
    return (found,) if isinstance(found, str) else tuple(found)


class _Tidier:
    """The steps of tidy_schema over one schema's definitions."""

    def __init__(self, defs: dict[str, Node], *, as_declared: bool) -> None:
        self.defs = defs
        self.as_declared = as_declared
        self.recursive = {name for name in defs if _reaches(name, name, defs)}

    def node(self, raw: Node, path: str) -> Node:
        raw = self._resolved(raw)
        if "$ref" in raw:
            return {"$ref": raw["$ref"]}
        raw = _with_plain_description(raw)
        tidy = {key: _plain_number(raw[key]) for key in _KEPT if raw.get(key) not in _NO_BOUND}
        # pydantic fails on every single reply for a bound that the type does not have
        known = {key for kind in json_types(tidy) for key in _BOUNDS.get(kind, ())}
        for key in CONSTRAINTS:
            if key in tidy and "type" in tidy and key not in known:
                raise PlanError(f"{_at(path)} is of type {tidy['type']}, which has no {key}")
        if "const" in raw or "enum" in raw:
            return _named(tidy, raw) | _enum(raw.get("enum", [raw.get("const")]), path)
        branches = raw.get("anyOf", raw.get("oneOf"))
        if branches is not None:
            return self._any_of(tidy, branches, path)
        return tidy | self._parts(raw, path)

    def _resolved(self, raw: Node) -> Node:
        """The node that a reference or a single allOf stands for; its own keys win."""
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
        kind = others[0].get("type") if len(others) == 1 and len(nodes) == 2 else None
        if not isinstance(kind, str) or kind in ("object", "array"):
            return {**tidy, "anyOf": nodes}
        # "T or null" of a simple type is one node of two types
        nullable = {**others[0], "type": [kind, "null"]}
        if "enum" in nullable:
            nullable["enum"] = [*nullable["enum"], None]
        for branch in branches if "description" in tidy else ():
            tidy = _named(tidy, self._resolved(branch))
        return nullable | tidy

    def _parts(self, raw: Node, path: str) -> Node:
        """The parts of an object or a list, {} for a simple type."""
        kind = raw.get("type")
        if kind == "object":
            properties = raw.get("properties")
            if not properties or "patternProperties" in raw:
                raise PlanError(
                    f"{_at(path)} is a dict without fixed keys; name the keys in a pydantic "
                    "model, or ask for str"
                )
            tidy = {
                name: self.node(part, f"{path}.{name}" if path else name)
                for name, part in properties.items()
            }
            required = raw.get("required", ()) if self.as_declared else tidy
            return {"properties": tidy, "required": list(required), "additionalProperties": False}
        if kind == "array":
            if raw.get("uniqueItems") or "prefixItems" in raw or not raw.get("items"):
                raise PlanError(f"{_at(path)} is a set, a tuple or a bare list; use list[...]")
            return {"items": self.node(raw["items"], path)}
        if kind is None or raw.get("format") == "binary":
            raise PlanError(f"{_at(path)} has no fixed form; give it a type such as str or int")
        return {}


def _named(tidy: Node, raw: Node) -> Node:
    """The node, whose description also lists what the labels of an Enum stand for."""
    if NAMES not in raw:
        return tidy
    texts = filter(None, (tidy.get("description"), raw[NAMES]))
    return tidy | {"description": "\n".join(texts)}


def _reaches(start: str, goal: str, defs: dict[str, Node]) -> bool:
    """Whether the definition start refers to goal, directly or through others."""
    seen: set[str] = set()
    waiting = _references(defs[start])
    while waiting:
        name = waiting.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            waiting += _references(defs[name])
    return False


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for part in node for name in _references(part)]
    if not isinstance(node, dict):
        return []
    # a property may be named "$ref": then it is a node and no text
    own = [_target(node)] if isinstance(node.get("$ref"), str) else []
    return own + [name for part in node.values() for name in _references(part)]


def _target(node: Node) -> str:
    return str(node["$ref"]).removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")


def _enum(values: list[Any], path: str) -> Node:
    names = {str: "string", int: "integer", type(None): "null"}
    kinds = list(dict.fromkeys(names.get(type(value), "") for value in values))
    if "" in kinds:
        raise PlanError(f"{_at(path)} has labels that are neither text nor ints: {values!r}")
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _plain_number(value: Any) -> Any:
    # 1.0 and 1 are the same bound: one form, so that equal requests have equal keys
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _with_plain_description(raw: Node) -> Node:
    """The node without blank ends of its description: they say nothing to a model."""
    about = raw.get("description")
    return {**raw, "description": about.strip() or None} if isinstance(about, str) else raw


def _at(path: str) -> str:
    return f"field {path!r}" if path else "the model"
