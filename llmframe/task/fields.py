"""What is asked of every row: all forms of ``fields`` -> one pydantic model, one strict schema."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pydantic

from llmframe.errors import PlanError
from llmframe.task.asked import Asked, Kind, classify, read_field
from llmframe.task.schema import CONSTRAINTS, Node, is_lenient, strict_schema, tidy_schema
from llmframe.task.shape import Shape, shape_of
from llmframe.task.text import excerpt, reason, shows_nothing
from llmframe.text import is_whole

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from llmframe.task.choices import Labels

__all__ = ["FieldSet", "FieldSpec", "Kind", "resolve_fields"]

_TYPE_NAMES = frozenset(
    {"str", "string", "text", "int", "integer", "float", "number", "bool", "boolean", "date"}
)
_CANONICAL_KEYS = ("description", "format", *CONSTRAINTS)
_CONFIG = pydantic.ConfigDict(strict=True, protected_namespaces=())


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field's column.

    labels: the closed choice in the order given, None for other kinds.
    nullable: whether a null of the model is an answer (missing, with status ok).
    shape: of lists and dicts, what they are made of; None where nobody knows.
    """

    name: str
    kind: Kind
    labels: Labels | None = None
    nullable: bool = False
    shape: Shape | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class FieldSet:
    """All that is asked of a row.

    specs: one a field, in the order asked. attributes: each field's name in model.
    model: validates a reply. schema: strict JSON schema, its properties named as the fields.
    canonical: JSON value that is equal for equal requests, whatever pydantic's version;
        part of the checkpoint's key.
    careful: a reply must be compared with the schema even where the model accepts it,
        because pydantic takes true for a label 1, digits for a date, and fills in defaults.
    """

    specs: tuple[FieldSpec, ...]
    attributes: tuple[str, ...]
    model: type[pydantic.BaseModel]
    schema: Node
    canonical: Any
    careful: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The fields' names in the order asked."""
        return tuple(spec.name for spec in self.specs)


def resolve_fields(fields: object, *, into: str = "label") -> FieldSet:
    """What fields asks for.

    fields: dict name -> field, a pydantic model class, or a single field, which gets the
        name into. A dict whose values are all texts is one closed choice, label -> description.
    Raises PlanError, naming the field, for all that cannot be asked or kept in a column.
    """
    if isinstance(fields, type) and issubclass(fields, pydantic.BaseModel):
        return _of_model(fields)
    named = fields if isinstance(fields, dict) else {into: fields}
    if isinstance(fields, dict) and _is_single_choice(fields):
        named = {into: fields}
    return _of_asked({_checked_name(name): read_field(name, f) for name, f in named.items()})


def _is_single_choice(fields: dict[Any, Any]) -> bool:
    if not fields:
        raise PlanError("fields is an empty dict; name at least one field: {'summary': str}")
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    if texts and all(value.strip().lower() in _TYPE_NAMES for value in texts.values()):
        name, value = next(iter(texts.items()))
        raise PlanError(
            f"field {excerpt(name)} is the text {value!r}; write the type itself, without quotes: "
            f"{{{excerpt(name)}: str}}"
        )
    if texts and len(texts) < len(fields):
        name, value = next(iter(texts.items()))
        raise PlanError(
            f"fields mixes descriptions and fields: {excerpt(name)} is the text {excerpt(value)}. "
            "Either all values are texts (one closed choice, label -> description) or none is; "
            "to describe a field write Annotated[str, Field(description=...)]"
        )
    return bool(texts)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or shows_nothing(name):
        raise PlanError(
            f"a field's name is {excerpt(name)} ({type(name).__name__}); "
            "it must be a text that is not blank"
        )
    if not is_whole(name):
        raise PlanError(
            f"the field name {excerpt(name)} holds half a character (a lone surrogate); "
            "write it anew"
        )
    return str.__str__(name)


def _of_asked(asked: dict[str, Asked]) -> FieldSet:
    specs = tuple(
        FieldSpec(name, field.kind, field.labels, field.nullable) for name, field in asked.items()
    )
    return _field_set(*_built(asked), specs)


def _built(asked: dict[str, Asked]) -> tuple[type[pydantic.BaseModel], Node]:
    """A model with safe names, the person's as aliases, and its JSON schema."""
    definitions: dict[str, Any] = {
        f"f{i}": (field.annotation, pydantic.Field(alias=name, description=_description(field)))
        for i, (name, field) in enumerate(asked.items())
    }
    try:
        model = pydantic.create_model("Answer", __config__=_CONFIG, **definitions)
        return model, model.model_json_schema()
    except Exception as exc:  # pydantic and the annotations' own code raise what they like
        for name, field in asked.items() if len(asked) > 1 else ():
            _built({name: field})  # raises for the one that is to blame
        raise PlanError(f"field {next(iter(asked))!r} cannot be asked for: {reason(exc)}") from exc


def _description(field: Asked) -> str | None:
    told = [
        f"{label}: {text}" if text else str(label)
        for label, text in zip(field.labels or (), field.label_descriptions, strict=False)
    ]
    return "\n".join(told) or field.description


def _of_model(model: type[pydantic.BaseModel]) -> FieldSet:
    if issubclass(model, pydantic.RootModel):
        raise PlanError(f"{model.__name__} is a RootModel; give the type inside it as the field")
    if not model.model_fields:
        raise PlanError(f"the model {model.__name__} has no fields; give it at least one")
    names = [_property_name(model, name, info) for name, info in model.model_fields.items()]
    classified = [classify(name, info.annotation) for name, info in model.model_fields.items()]
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"two fields of the model {model.__name__} have the name {name!r}")
    specs = tuple(FieldSpec(name, *found) for name, found in zip(names, classified, strict=True))
    try:
        raw = model.model_json_schema()
    except Exception as exc:  # pydantic's and the model's own hooks
        text = f"the model {model.__name__} cannot be asked for: {reason(exc)}"
        raise PlanError(text) from exc
    return _field_set(model, raw, specs)


def _property_name(model: type[pydantic.BaseModel], name: str, info: FieldInfo) -> str:
    """The name under which the model expects the field in a reply."""
    alias = info.validation_alias or info.alias or name
    if not isinstance(alias, str):
        raise PlanError(
            f"field {name!r} of the model {model.__name__} has the validation alias "
            f"{excerpt(alias)}; give it one plain alias, a text"
        )
    return _checked_name(alias)


def _field_set(
    model: type[pydantic.BaseModel], raw: Node, specs: tuple[FieldSpec, ...]
) -> FieldSet:
    tidy = tidy_schema(raw)
    if list(tidy.get("properties", ())) != [spec.name for spec in specs]:
        raise PlanError(
            f"the JSON schema of the model {model.__name__} does not have the model's fields; "
            "leave the schema to pydantic"
        )
    _refuse_unsendable(tidy)
    return FieldSet(
        specs=tuple(_with_shape(spec, tidy) for spec in specs),
        attributes=tuple(model.model_fields),
        model=model,
        schema=strict_schema(tidy),
        canonical=_canonical(specs, tidy),
        careful=is_lenient(raw),
    )


def _with_shape(spec: FieldSpec, tidy: Node) -> FieldSpec:
    if spec.kind is not Kind.OBJECT:
        return spec
    return replace(spec, shape=shape_of(tidy["properties"][spec.name]))


def _refuse_unsendable(tidy: Node) -> None:
    if not is_whole(json.dumps(tidy, ensure_ascii=False)):
        raise PlanError(
            "a description among the fields holds half a character (a lone surrogate); "
            "write it anew"
        )


def _canonical(specs: tuple[FieldSpec, ...], tidy: Node) -> Any:
    """What is asked, in our own words; a change here buys every stored answer again."""
    whole: dict[str, Any] = {
        "fields": [_canonical_field(spec, tidy["properties"][spec.name]) for spec in specs]
    }
    whole.update({key: tidy[key] for key in ("description", "$defs") if key in tidy})
    return _sorted(whole)


def _canonical_field(spec: FieldSpec, node: Node) -> Node:
    field: Node = {"name": spec.name, "kind": spec.kind.value}
    if spec.nullable:
        field["nullable"] = True
    if spec.labels is not None:
        field["labels"] = list(spec.labels)
    if spec.kind is Kind.OBJECT:
        return field | {"schema": node}
    return field | {key: node[key] for key in _CANONICAL_KEYS if key in node}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(part) for part in value] if isinstance(value, list) else value
