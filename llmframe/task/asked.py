"""One field as a person writes it -> what is asked: an annotation and the kind of its column."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo

from llmframe.errors import PlanError
from llmframe.task.choices import Labels, check_labels
from llmframe.task.text import excerpt, reason
from llmframe.text import cut

T = TypeVar("T")


class Kind(StrEnum):
    """What a field's column holds."""

    CHOICE = "choice"  # one of the labels
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"  # a date, or a date and time, as ISO text
    OBJECT = "object"  # lists and dicts


@dataclass(frozen=True, slots=True)
class Asked:
    """One field, read.

    annotation: what pydantic validates. labels: of a closed choice, else None.
    label_descriptions: one text a label, in the labels' order; empty when there are none.
    """

    annotation: Any
    kind: Kind
    labels: Labels | None = None
    label_descriptions: tuple[str, ...] = ()
    nullable: bool = False
    description: str | None = None


_SIMPLE: dict[Any, Kind] = {
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.FLOAT,
    str: Kind.TEXT,
    date: Kind.DATE,
    datetime: Kind.DATE,
}

_BY_JSON_TYPE = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.FLOAT,
    "object": Kind.OBJECT,
}

_FIELD_IS = "a list of labels, a type such as str, int, float, bool, date, or a pydantic model"
_NAMED_KEYS = "name the keys in a pydantic model, or ask for str"
_CURES: dict[Any, str] = {
    bytes: "use str",
    bytearray: "use str",
    set: "use list[...]",
    frozenset: "use list[...]",
    tuple: "use list[...] or a pydantic model",
    list: "say of what: list[str], list[Literal['a', 'b']]",
    dict: _NAMED_KEYS,
    Mapping: _NAMED_KEYS,
    Any: "say what the answer is: str, int, a list of labels",
    object: "say what the answer is: str, int, a list of labels",
    Decimal: "use float",
    complex: "use float",
    type(None): "say what else it may be: str | None",
    Callable: f"a field is {_FIELD_IS}",
    pydantic.Json: "use a pydantic model",
    pydantic.SecretStr: "use str; a secret cannot be stored in a column",
    pydantic.SecretBytes: "use str; a secret cannot be stored in a column",
}


def read_field(name: str, field: object) -> Asked:
    """What field asks for; raises PlanError naming the field where it cannot be asked."""
    if isinstance(field, list | tuple):
        labels = check_labels(name, field)
        return Asked(Literal[labels], Kind.CHOICE, labels)
    if isinstance(field, dict):
        return _described_choice(name, field)
    if not is_annotation(field):
        raise PlanError(f"field {name!r} is {_what(field)}; {_cure_for_instance(field)}")
    return _read_annotation(name, field)


def is_annotation(field: object) -> bool:
    """Whether field is a type or an annotation, and not a value."""
    return (
        isinstance(field, type | NewType | TypeVar)
        or field is Any
        or get_origin(field) is not None
        or hasattr(field, "__value__")  # a type alias
    )


def classify(name: str, annotation: object) -> tuple[Kind, Labels | None, bool]:
    """An annotation's kind, its labels where it is a closed choice, and whether it takes None."""
    core = _unwrapped(annotation)
    if get_origin(core) in (Union, types.UnionType):
        return _classify_union(name, core)
    if get_origin(core) is Literal:
        return Kind.CHOICE, _literal_labels(name, core), None in get_args(core)
    if isinstance(core, type) and issubclass(core, Enum):
        return Kind.CHOICE, check_labels(name, core, source=f"Enum {core.__qualname__}"), False
    simple = _entry(_SIMPLE, core)
    if simple is not None:
        return simple, None, False
    _refuse_unfit(name, core, set())
    if get_origin(core) is list or _is_model(core):
        return Kind.OBJECT, None, False
    return _kind_by_json_type(name, core), None, False


def _described_choice(name: str, field: dict[Any, Any]) -> Asked:
    for label, text in field.items():
        if not isinstance(text, str):
            raise PlanError(
                f"field {name!r} is a dict with {excerpt(text)} for {excerpt(label)}; a dict as "
                "a field gives a description, a text, for every label; for nested fields use a "
                "pydantic model"
            )
    labels = check_labels(name, field)
    descriptions = tuple(text.strip() for text in field.values())
    return Asked(Literal[labels], Kind.CHOICE, labels, descriptions if any(descriptions) else ())


def _read_annotation(name: str, annotation: Any) -> Asked:
    info = FieldInfo.from_annotation(annotation)
    kind, labels, nullable = classify(name, annotation)
    # Only type, constraints and description count: an alias or a default has no place here.
    bare = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return Asked(bare, kind, labels, (), nullable, info.description)


def _unwrapped(annotation: Any) -> Any:
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__") and not isinstance(annotation, type):
            annotation = annotation.__value__
        else:
            return annotation


def _classify_union(name: str, union: object) -> tuple[Kind, Labels | None, bool]:
    members = [member for member in get_args(union) if member is not type(None)]
    if len(members) != 1:
        raise PlanError(
            f"field {name!r} may be several types, {_what(union)}, but a column has one; "
            "choose one type, T | None, or a pydantic model with a field for each"
        )
    kind, labels, nullable = classify(name, members[0])
    return kind, labels, nullable or len(members) < len(get_args(union))


def _refuse_unfit(name: str, annotation: Any, seen: set[int]) -> None:
    """Look for what has no place in a column, through lists and models, however deep."""
    core = _unwrapped(annotation)
    if id(core) in seen:  # models and aliases may hold themselves
        return
    seen.add(id(core))
    origin = get_origin(core)
    cure = None if origin is list else _entry(_CURES, origin or core)
    if isinstance(core, list | tuple | dict):
        cure = "for several labels a row write list[Literal['a', 'b']]"
    if cure is not None:
        raise PlanError(f"field {name!r} has the type {_what(core)}; {cure}")
    if isinstance(core, type) and issubclass(core, Enum):
        check_labels(name, core, source=f"Enum {core.__qualname__}")
    elif origin is Literal:
        _literal_labels(name, core)
    elif _is_model(core):
        for part, info in core.model_fields.items():
            _refuse_unfit(f"{name}.{part}", info.annotation, seen)
    else:
        for part in get_args(core):
            if part is not type(None):
                _refuse_unfit(name, part, seen)


def _literal_labels(name: str, literal: object) -> Labels:
    values = [value for value in get_args(literal) if value is not None]
    if any(isinstance(value, Enum) for value in values):  # pydantic reads them from no JSON
        raise PlanError(
            f"field {name!r} is {_what(literal)}; give the Enum itself, or the members' values"
        )
    return check_labels(name, values)


def _entry(table: Mapping[Any, T], core: Any) -> T | None:
    try:
        return table.get(core)
    except TypeError:  # what cannot be hashed is no type of ours
        return None


def _is_model(core: object) -> bool:
    return isinstance(core, type) and issubclass(core, pydantic.BaseModel)


def _kind_by_json_type(name: str, core: Any) -> Kind:
    try:
        json_type = pydantic.TypeAdapter(core).json_schema().get("type")
    except Exception as exc:
        raise PlanError(
            f"field {name!r} is {_what(core)}, which cannot be asked for; a field is {_FIELD_IS}. "
            f"pydantic says: {reason(exc)}"
        ) from exc
    kind = _BY_JSON_TYPE.get(str(json_type))
    if kind is None:
        raise PlanError(
            f"field {name!r} has the type {_what(core)}; use str, int, float, bool, date, "
            "list[...] or a pydantic model"
        )
    return kind


def _what(field: object) -> str:
    if isinstance(field, type) and get_origin(field) is None:
        return field.__qualname__
    if is_annotation(field):
        return cut(str(field).replace("typing.", ""), 80)
    return f"{excerpt(field)} ({type(field).__name__})"


def _cure_for_instance(field: object) -> str:
    if isinstance(field, str):
        return "write the type itself, str or int, or a list of labels"
    if isinstance(field, FieldInfo):
        return "write Annotated[str, Field(description=...)]"
    if isinstance(field, pydantic.BaseModel):
        return "give the class, not an instance of it"
    if isinstance(field, Iterable):
        return "for a closed choice give its labels as a list: list(...)"
    return f"a field is {_FIELD_IS}"
