"""Read one field as the user wrote it: what pydantic validates, and the kind of its column."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from llmframe.errors import PlanError
from llmframe.task.choices import Labels, check_labels, is_type_name, labels_in
from llmframe.task.schema import NAMES
from llmframe.task.text import excerpt, fold, listing, reason
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
    VECTOR = "vector"  # an embedding, as base64 of float32


@dataclass(frozen=True, slots=True)
class Definition:
    """One field's definition.

    annotation: what pydantic validates. labels: of a closed choice, else None.
    items: the labels of a list of closed choices, else None.
    label_descriptions: one text per label, in the labels' order; empty if there are none.
    abstain: the answer that becomes a missing cell; it is in the annotation, not in the labels.
    remark: what the model is to know about an answer that the call has added.
    """

    annotation: Any
    _: KW_ONLY
    kind: Kind
    labels: Labels | None = None
    items: Labels | None = None
    label_descriptions: tuple[str, ...] = ()
    nullable: bool = False
    abstain: str | None = None
    description: str | None = None
    remark: str = ""

    @property
    def text(self) -> str | None:
        """What the model reads about the field: its labels with their descriptions, or its own."""
        described = zip(self.labels or (), self.label_descriptions, strict=False)
        lines = [f"{label}: {text}" if text else str(label) for label, text in described]
        parts = ("\n".join(lines) or self.description, self.remark)
        return "\n".join(filter(None, parts)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a call adds to each of its closed choices.

    other: a label for rows that none of the others fits, None for none.
    abstain: the model may answer that it is unsure, which becomes a missing cell.
    """

    other: str | None = None
    abstain: bool = False

    def __post_init__(self) -> None:
        if self.abstain and self.other is not None and fold(self.other) == UNSURE:
            raise PlanError(
                f"other={self.other!r} is the label that abstain=True turns into a missing cell; "
                "give other= another text"
            )


NOTHING_ADDED = Added()


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

_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
UNSURE = "unsure"
_TOO_LITTLE = "the record does not say enough to decide"
CODE = 2  # characters; a label that is no longer says little by itself
_FIELD_IS = "a list of labels, a type such as str, int, float, bool, date, or a pydantic model"
_NAMED_KEYS = "name the keys in a pydantic model, or ask for str"
_CURES: dict[Any, str] = {  # types that no column can hold, and what to write instead
    **dict.fromkeys((bytes, bytearray), "use str"),
    **dict.fromkeys((set, frozenset), "use list[...]"),
    tuple: "use list[...] or a pydantic model",
    list: "name the type of its items: list[str], list[Literal['a', 'b']]",
    **dict.fromkeys((dict, Mapping), _NAMED_KEYS),
    **dict.fromkeys((Any, object), "say what the answer is: str, int, a list of labels"),
    Decimal: "use float",
    complex: "use float",
    type(None): "say what else it may be: str | None",
    Callable: f"a field is {_FIELD_IS}",
    pydantic.Json: "use a pydantic model",
    pydantic.SecretStr: "use str; a secret cannot be stored in a column",
    pydantic.SecretBytes: "use str; a secret cannot be stored in a column",
}


class NamingSchema(GenerateJsonSchema):
    """pydantic's JSON schema, with the names of an Enum whose values are only numbers or codes."""

    def enum_schema(self, schema: Any) -> dict[str, Any]:  # noqa: D102 - as pydantic calls it
        names = named_labels(schema["members"])
        return super().enum_schema(schema) | ({NAMES: names} if names else {})


def named_labels(members: Iterable[object]) -> str:
    """A line a label, ``1: REFUND``, of an Enum's members whose values say less; else "".

    A model that sees only 1 and 2 could but guess what they stand for.
    """
    named = [member for member in members if isinstance(member, Enum)]
    if not any(_is_code(member) for member in named):
        return ""
    return "\n".join(f"{member.value}: {member.name}" for member in named)


def _is_code(member: Enum) -> bool:
    """Whether a label is a number or at most two characters, and its name is another text."""
    value, name = str(member.value).strip(), fold(member.name).strip("_")
    says_more = name not in (fold(value), *_NUMBERS)
    return says_more and (len(value) <= CODE or value.lstrip("+-").isdecimal())


def read_field(name: str, field: object, added: Added = NOTHING_ADDED) -> Definition:
    """The definition of one field; raises PlanError, naming the field, for an unusable one."""
    definition = with_added(name, _definition(name, field), added)
    if definition.abstain is not None:  # the label and "unsure" are two answers
        return definition
    if definition.labels is not None and len(definition.labels) == 1 and not definition.nullable:
        [label] = definition.labels
        raise PlanError(
            f"field {name!r} has {excerpt(label)} as its only label, so every row would get it; "
            f"give at least two, [{excerpt(label)}, 'other'], or bool for yes or no"
        )
    return definition


def _definition(name: str, field: object) -> Definition:
    if isinstance(field, list | tuple):
        given = check_labels(name, field)
        names = tuple(named_labels([label]).partition(": ")[2] for label in field)
        texts = names if any(names) else ()
        return Definition(Literal[given], kind=Kind.CHOICE, labels=given, label_descriptions=texts)
    if isinstance(field, dict):
        return _described_choice(name, field)
    if not _is_annotation(field):
        raise PlanError(f"field {name!r} is {_shown(field)}; {_cure_for_value(name, field)}")
    annotation: Any = field
    info = FieldInfo.from_annotation(annotation)
    kind, labels, nullable = classify(name, annotation)
    # Only the type, its constraints and the description: our model sets the alias, and a
    # default would let a reply leave the field out.
    bare = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return Definition(
        bare,
        kind=kind,
        labels=labels,
        items=item_labels(name, annotation),
        nullable=nullable,
        description=info.description,
    )


def classify(name: str, annotation: object) -> tuple[Kind, Labels | None, bool]:
    """An annotation's kind, its labels if it is a closed choice, and whether it allows None."""
    core = _unwrapped(annotation)
    if get_origin(core) in (Union, types.UnionType):
        members = [member for member in get_args(core) if member is not type(None)]
        if len(members) != 1:
            raise PlanError(
                f"field {name!r} may be several types, {_shown(core)}, but a column has one; "
                "choose one type, T | None, or a pydantic model with a field for each"
            )
        kind, labels, nullable = classify(name, members[0])
        return kind, labels, nullable or len(members) < len(get_args(core))
    if get_origin(core) is Literal or _is_class(core, Enum):
        return Kind.CHOICE, _labels(name, core), None in get_args(core)
    simple = _entry(_SIMPLE, core)
    if simple is not None:
        return simple, None, False
    _refuse_unusable(name, core, set())
    if get_origin(core) is list or _is_class(core, pydantic.BaseModel):
        return Kind.OBJECT, None, False
    return _kind_by_json_type(name, core), None, False


def item_labels(name: str, annotation: object) -> Labels | None:
    """The labels of a list of closed choices, perhaps "or None"; None for any other type."""
    if get_origin(_without_none(annotation)) is not list:
        return None
    item = choice_in(annotation)
    is_choice = get_origin(item) is Literal or _is_class(item, Enum)
    return _labels(name, item) if is_choice else None


def choice_in(annotation: Any) -> Any:
    """The bare type of a field or, of a list, of its items."""
    core = _without_none(annotation)
    return _without_none(get_args(core)[0]) if get_origin(core) is list else core


def with_added(name: str, given: Definition, added: Added) -> Definition:
    """The definition with what the call adds; the same one if that is nothing."""
    labels = given.labels or given.items
    if labels is None:
        return given
    if not isinstance(labels[0], str):
        # a text among numbers would be a second type, which some endpoints refuse in an enum
        return _or_null(given) if added.abstain else given
    texts = [label for label in labels if isinstance(label, str)]
    wider = _with_label(texts, added.other)
    both = _with_label(wider, UNSURE if added.abstain else None)
    unsure = next((one for one in both if added.abstain and fold(one) == UNSURE), None)
    kept = tuple(label for label in wider if label != unsure)
    if (both == texts and unsure is None) or not kept:
        return given
    check_labels(name, both)
    described = (*given.label_descriptions, *[""] * (len(wider) - len(texts)))
    if both != texts:
        given = _relabelled(given, tuple(both))
    return replace(
        given,
        labels=None if given.labels is None else kept,
        items=None if given.items is None else kept,
        label_descriptions=described if given.label_descriptions else (),
        abstain=unsure,
        remark=f"{UNSURE}: {_TOO_LITTLE}" if len(both) > len(wider) else "",
    )


def _with_label(labels: list[str], label: str | None) -> list[str]:
    """The labels and one more, unless it is None or among them already."""
    is_there = label is None or fold(label) in map(fold, labels)
    return labels if is_there or label is None else [*labels, label]


def _or_null(given: Definition) -> Definition:
    remark = f"null: {_TOO_LITTLE}"
    return replace(given, annotation=given.annotation | None, nullable=True, remark=remark)


def _relabelled(given: Definition, labels: tuple[str, ...]) -> Definition:
    """The definition with these labels in its annotation, whose names it must then tell itself."""
    core = choice_in(given.annotation)
    names = named_labels(core) if _is_class(core, Enum) else ""
    return replace(
        given,
        annotation=_with_labels(given.annotation, labels),
        description="\n".join(filter(None, (given.description, names))) or None,
    )


def _with_labels(annotation: Any, labels: tuple[str, ...]) -> Any:
    """The annotation with other labels in its closed choice, and all else as it is."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[_with_labels(args[0], labels), *args[1:]]
    if origin in (Union, types.UnionType):
        parts = [part if part is type(None) else _with_labels(part, labels) for part in args]
        return Union[tuple(parts)]  # noqa: UP007 - of as many parts as there are
    if origin is list:
        return list[_with_labels(args[0], labels)]  # type: ignore[misc]
    if (core := _unwrapped(annotation)) is not annotation:
        return _with_labels(core, labels)
    return Literal[(*labels, None)] if None in args else Literal[labels]


def _described_choice(name: str, field: dict[Any, Any]) -> Definition:
    for label, text in field.items():
        if label == "enum" and isinstance(text, list):
            raise PlanError(
                f"field {name!r} is a JSON schema; give its labels alone: {excerpt(text)}"
            )
        if not isinstance(text, str):
            raise PlanError(
                f"field {name!r} is a dict with {excerpt(text)} for {excerpt(label)}; a dict as "
                "a field gives a description, a text, for every label; for nested fields use a "
                "pydantic model"
            )
    labels = check_labels(name, field)
    if len(labels) == 1 or is_type_name(str(field.get("type", ""))):
        raise PlanError(
            f"field {name!r} is a choice between {listing(labels)}, as a dict describes labels; "
            "give at least two labels, or write the type of the answer: str, int, list[str], or "
            "Annotated[str, Field(description=...)]"
        )
    texts = tuple(text.strip() for text in field.values())
    about = texts if any(texts) else ()
    return Definition(Literal[labels], kind=Kind.CHOICE, labels=labels, label_descriptions=about)


def _is_annotation(field: object) -> bool:
    """Whether field is a type or an annotation, and not a value."""
    return (
        isinstance(field, type | NewType | TypeVar)
        or field is Any
        or get_origin(field) is not None
        or hasattr(field, "__value__")  # a type alias
    )


def _unwrapped(annotation: Any) -> Any:
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__") and not isinstance(annotation, type):
            annotation = annotation.__value__  # a type alias
        else:
            return annotation


def _without_none(annotation: Any) -> Any:
    """The annotation without Annotated, aliases and "or None"."""
    core = _unwrapped(annotation)
    if get_origin(core) not in (Union, types.UnionType):
        return core
    members = [member for member in get_args(core) if member is not type(None)]
    return _without_none(members[0]) if len(members) == 1 else core


def _refuse_unusable(name: str, annotation: Any, seen: set[int]) -> None:
    """Raise PlanError for a type that no column can hold, at any depth of lists and models."""
    core = _unwrapped(annotation)
    if id(core) in seen:  # models and aliases may contain themselves
        return
    seen.add(id(core))
    origin = get_origin(core)
    cure = None if origin is list else _entry(_CURES, origin or core)
    if isinstance(core, list | tuple | dict):
        cure = "for several labels a row write list[Literal['a', 'b']]"
    if cure is not None:
        raise PlanError(f"field {name!r} has the type {_shown(core)}; {cure}")
    if origin is Literal or _is_class(core, Enum):
        _labels(name, core)
    elif _is_class(core, pydantic.BaseModel):
        for part, info in core.model_fields.items():
            _refuse_unusable(f"{name}.{part}", info.annotation, seen)
    else:
        for part in get_args(core):
            if part is not type(None):
                _refuse_unusable(name, part, seen)


def _labels(name: str, choice: Any) -> Labels:
    """The checked labels of a Literal or an Enum."""
    if get_origin(choice) is not Literal:
        return check_labels(name, choice, source=f"Enum {choice.__qualname__}")
    values = [value for value in get_args(choice) if value is not None]
    # pydantic accepts an Enum's member inside a Literal, but never reads one from JSON
    if any(isinstance(value, Enum) for value in values):
        raise PlanError(
            f"field {name!r} is {_shown(choice)}; give the Enum itself, or the members' values"
        )
    return check_labels(name, values)


def _entry(table: Mapping[Any, T], core: Any) -> T | None:
    try:
        return table.get(core)
    except TypeError:  # an unhashable annotation is in no table
        return None


def _is_class(core: object, base: type) -> bool:
    return isinstance(core, type) and issubclass(core, base)


def _kind_by_json_type(name: str, core: Any) -> Kind:
    """The kind of any other type, by the JSON that pydantic reads for it."""
    try:
        json_type = pydantic.TypeAdapter(core).json_schema().get("type")
    except Exception as exc:  # a type's own hooks raise anything
        raise PlanError(
            f"field {name!r} is {_shown(core)}, which has no JSON schema; a field is {_FIELD_IS}. "
            f"pydantic reports: {reason(exc)}"
        ) from exc
    kind = _BY_JSON_TYPE.get(str(json_type))
    if kind is None:
        raise PlanError(
            f"field {name!r} has the type {_shown(core)}; use str, int, float, bool, date, "
            "list[...] or a pydantic model"
        )
    return kind


def _shown(field: object) -> str:
    if isinstance(field, type) and get_origin(field) is None:
        return field.__qualname__
    if _is_annotation(field):
        return cut(str(field).replace("typing.", ""), 80)
    kind = type(field).__name__
    return f"a {kind}" if excerpt(field) == f"<{kind}>" else f"{excerpt(field)} ({kind})"


def _cure_for_value(name: str, field: object) -> str:
    if isinstance(field, str):
        if len(labels := labels_in(field)) > 1:
            return f"give the labels as a list: {{{excerpt(name)}: {excerpt(labels)}}}"
        return (
            "write the type of the answer, without quotes, or its labels: "
            "{'intent': ['refund', 'other'], 'summary': str}"
        )
    if isinstance(field, FieldInfo):
        return "write Annotated[str, Field(description=...)]"
    if isinstance(field, pydantic.BaseModel):
        return "give the class, not an instance of it"
    if type(field).__name__ == "DataFrame":  # by name: this room knows no DataFrame
        return "give a dict of names and types: {'intent': ['refund', 'other'], 'summary': str}"
    if type(field).__name__ in ("Series", "Index"):
        return "for its values as labels: column.dropna().unique().tolist()"
    if isinstance(field, Iterable):
        return "for a closed choice give its labels as a list: list(...)"
    return f"a field is {_FIELD_IS}"
