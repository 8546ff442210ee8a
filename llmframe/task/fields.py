"""All forms of ``fields`` -> one pydantic model and one strict JSON schema, for every row."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import EnumMeta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pydantic

from llmframe.errors import PlanError
from llmframe.task.choices import DescribedLabels, is_type_name, labels_in
from llmframe.task.definition import (
    NOTHING_ADDED,
    UNSURE,
    Added,
    Definition,
    Kind,
    NamingSchema,
    choice_in,
    classify,
    item_labels,
    read_field,
    with_added,
)
from llmframe.task.schema import (
    CONSTRAINTS,
    Node,
    has_hidden_rules,
    is_lenient,
    runs_own_code,
    strict_schema,
    tidy_schema,
)
from llmframe.task.text import excerpt, listing, reason, refuse_duplicates, shows_nothing
from llmframe.task.value_type import JSON, Part, ValueType, parts_of, value_type
from llmframe.text import cut, is_whole

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic.fields import FieldInfo

    from llmframe.task.choices import Labels

__all__ = ["FieldSet", "FieldSpec", "Kind", "resolve_fields"]

COLUMN = "label"  # of a single field
LONGEST = 300  # characters of code in a message
_CANONICAL_KEYS = ("description", "format", *CONSTRAINTS)
_CONFIG = pydantic.ConfigDict(strict=True, protected_namespaces=())


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field's column.

    labels: the closed choice in the order given, None for other kinds.
    items: the labels of a list of closed choices, None for other fields.
    abstain: the answer of a closed choice that is a missing cell, with status ok; no label.
    nullable: whether the model may answer null (a missing cell, with status ok).
    may_lack: whether the person's own model lets it be None when it is left out.
    value_type: the type of lists and dicts; None for other kinds, or when it is unknown.
    parts: the values inside a nested model, at any depth; () for other fields.
    column: the column's name, where it is not the field's.
    evidence_of: the field for which this is the model's quote; None for a field of the person's.
    """

    name: str
    _: KW_ONLY
    kind: Kind
    labels: Labels | None = None
    items: Labels | None = field(default=None, compare=False)
    abstain: str | None = None
    nullable: bool = False
    may_lack: bool = field(default=False, compare=False)
    value_type: ValueType | None = field(default=None, compare=False)
    parts: tuple[Part, ...] = field(default=(), compare=False)
    column: str | None = field(default=None, compare=False)
    evidence_of: str | None = None

    @property
    def answers(self) -> tuple[str | int, ...]:
        """All that a reply may say where it is a closed choice; () for other kinds."""
        unsure = () if self.abstain is None else (self.abstain,)
        return () if self.labels is None else (*self.labels, *unsure)


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldSet:
    """All fields of a row.

    specs: one per field, in the order given. attributes: each field's name in model.
    model: validates a reply. schema: strict JSON schema, its properties named as the fields.
    form: the same as the fields are declared: what has a default is not required in it.
    days: names of the fields that are dates. nests: whether a field holds objects.
    canonical: JSON value that is equal for equal requests, whatever pydantic's version;
        part of the checkpoint's key.
    careful: a reply must be compared with the schema even where the model accepts it,
        because pydantic takes true for a label 1, digits for a time, the last of two values,
        and fills in defaults.
    """

    specs: tuple[FieldSpec, ...]
    attributes: tuple[str, ...]
    model: type[pydantic.BaseModel]
    schema: Node
    form: Node
    days: tuple[str, ...]
    nests: bool
    canonical: Any
    careful: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The fields' names in the order given."""
        return tuple(spec.name for spec in self.specs)

    @cached_property
    def has_hidden_rules(self) -> bool:
        """Whether stored answers must be validated by the model that is given now."""
        return has_hidden_rules(getattr(self.model, "__pydantic_core_schema__", None))

    @cached_property
    def runs_own_code(self) -> bool:
        """Whether validating a reply runs code of the person's, which may take any time."""
        return runs_own_code(getattr(self.model, "__pydantic_core_schema__", None))

    def holds(self, values: dict[str, Any]) -> bool:
        """Whether the model accepts a stored answer, field name -> JSON value."""
        # what is stored is the missing cell, and the model knows "unsure" alone
        unsure = {
            spec.name: spec.abstain if spec.items is None else [spec.abstain]
            for spec in self.specs
            if spec.abstain is not None and not spec.nullable and values.get(spec.name) is None
        }
        try:
            self.model.model_validate_json(json.dumps(values | unsure), strict=True)
        except pydantic.ValidationError:
            return False
        except Exception:  # noqa: BLE001 - a validator's own fault, with which a new answer fails too
            return True
        return True


def resolve_fields(
    fields: object, *, into: str | None = None, added: Added = NOTHING_ADDED
) -> FieldSet:
    """The field set that the option ``fields`` describes.

    fields: dict name -> field, a pydantic model class, or a single field, which gets the
        name into, or "label". Where into is given, a dict of texts is one closed choice, label
        -> description; without it the texts could as well describe fields.
    added: what the call adds to each closed choice that is a field, or a list that is one.
    Raises PlanError, naming the field, for a field that has no JSON schema or no column type.
    """
    found = _resolved(fields, into, added)
    _check_added(found.specs, added)
    return found


def _resolved(fields: object, into: str | None, added: Added) -> FieldSet:
    if isinstance(fields, type) and issubclass(fields, pydantic.BaseModel):
        return _from_model(fields, added)
    is_dict = isinstance(fields, dict) and not _is_single_choice(fields, into)
    named: Any = fields if is_dict else {into or COLUMN: fields}
    definitions = {_checked_name(name): read_field(name, one, added) for name, one in named.items()}
    specs = [_spec(name, one) for name, one in definitions.items()]
    return field_set(*_built_model(definitions), specs)


def _spec(name: str, one: Definition, *, may_lack: bool = False) -> FieldSpec:
    return FieldSpec(
        name,
        kind=one.kind,
        labels=one.labels,
        items=one.items,
        abstain=one.abstain,
        nullable=one.nullable,
        may_lack=may_lack,
    )


def _check_added(specs: tuple[FieldSpec, ...], added: Added) -> None:
    """Raise PlanError for an option about closed choices where no field is one."""
    labels = [spec.labels or spec.items for spec in specs if spec.labels or spec.items]
    if added.other is not None and not any(isinstance(each[0], str) for each in labels if each):
        raise PlanError(
            f"other={added.other!r} adds a label to the closed choices of texts, and no field is "
            "one; leave it out, or give a list of labels"
        )
    if added.abstain and not labels:
        raise PlanError(
            f'abstain=True adds "{UNSURE}" to the closed choices, and no field is one; leave it '
            "out, or write bool | None, str | None: a null is a missing cell, too"
        )


def some_fields(fields: Any, names: Collection[str]) -> Any:
    """The option ``fields`` with only the named ones: a dict of fields, or a pydantic model.

    Raises PlanError for a model with validators, which may need the other fields.
    """
    if isinstance(fields, dict):
        return {name: field for name, field in fields.items() if name in names}
    own = fields.__pydantic_decorators__
    if own.field_validators or own.model_validators or own.validators or own.root_validators:
        raise PlanError(
            f"the model {fields.__name__} has validators, so its new fields cannot be asked for "
            "alone; give them as a dict or a model of their own, or leave extend=True out"
        )
    parts: Any = {
        attribute: (info.annotation, copy(info))
        for attribute, info in fields.model_fields.items()
        if (info.validation_alias or info.alias or attribute) in names
    }
    made: Any = pydantic.create_model(
        fields.__name__, __config__=fields.model_config, __doc__=fields.__doc__, **parts
    )
    return made


def vector_field(name: str, *, column: str) -> FieldSet:
    """The one field of a call for embeddings. name: of the stored value."""
    spec = FieldSpec(name, kind=Kind.VECTOR, column=column)
    described = {"fields": [{"name": name, "kind": spec.kind.value}]}
    return replace(resolve_fields({name: list[float]}), specs=(spec,), canonical=described)


def _is_single_choice(fields: dict[Any, Any], into: str | None) -> bool:
    """Whether a dict describes the labels of one field. into: its name, None if none is given."""
    if isinstance(fields, DescribedLabels):
        return True
    if not fields:
        raise PlanError("fields is an empty dict; name at least one field: {'summary': str}")
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    if "properties" in fields and len(texts) < len(fields):
        raise PlanError(
            "fields looks like a JSON schema; give a dict of names and types instead, "
            "{'intent': ['refund', 'other'], 'summary': str}, or a pydantic model"
        )
    if not texts:
        return False
    name, value = next(iter(texts.items()))
    # {"name": "str"} is a type in quotes far more often than a label described as "str"
    if all(map(is_type_name, texts.values())):
        raise PlanError(
            f"field {excerpt(name)} is the text {value!r}; write the type itself, without quotes: "
            f"{{{excerpt(name)}: str}}, list[str], float, date, a list of labels"
        )
    # "refund, other" is a list that somebody wrote as one text
    listed = {name: labels for name, text in texts.items() if len(labels := labels_in(text)) > 1}
    if listed and not (into and len(texts) == len(fields)):
        shown = ", ".join(f"{excerpt(name)}: {labels!r}" for name, labels in listed.items())
        raise PlanError(f"give the labels as a list: {{{cut(shown, LONGEST)}}}")
    if len(texts) < len(fields):
        raise PlanError(
            f"fields mixes descriptions and fields: {excerpt(name)} is the text {excerpt(value)}; "
            f"give it a type or labels, like the others: {{{_as_field(name, value)}}}"
        )
    if into:
        return True
    raise PlanError(_two_meanings(texts))


def _two_meanings(texts: dict[Any, str]) -> str:
    """The message for a dict of texts, which may describe fields or the labels of one field."""
    first, *others = texts
    fields = [
        f"{excerpt(first)}: str",
        *(f"{excerpt(name)}: ['...', '...']" for name in others[:1]),
    ]
    more = ", ..." if len(texts) > len(fields) else ""
    return (
        f"fields gives only texts, for {listing(tuple(map(str, texts)))}: these could be fields "
        f"or labels. Fields need a type or their labels: {{{', '.join(fields)}{more}}} (with a "
        f"description: {{{_as_field(first, texts[first])}}}). Labels with descriptions need the "
        f"name of their field: fields={{...}}, into='{COLUMN}'"
    )


def _as_field(name: object, description: str) -> str:
    return f"{excerpt(name)}: Annotated[str, Field(description={excerpt(description)})]"


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
    return str.__str__(name)  # without its subclass, such as NumPy's


def _built_model(definitions: dict[str, Definition]) -> tuple[type[pydantic.BaseModel], Node]:
    """A model with attributes f0, f1, ..., the fields' names as aliases, and its JSON schema.

    A field may bear any name, and pydantic accepts few as attributes.
    """
    attributes: dict[str, Any] = {}
    for name, one in definitions.items():
        info = pydantic.Field(alias=name, description=one.text)
        attributes[f"f{len(attributes)}"] = (one.annotation, info)
    try:
        model = pydantic.create_model("Answer", __config__=_CONFIG, **attributes)
        return model, model.model_json_schema(schema_generator=NamingSchema)
    except Exception as exc:  # pydantic and the annotations' own code raise anything
        for name, one in definitions.items() if len(definitions) > 1 else ():
            _built_model({name: one})  # raises for the field at fault, and so names it
        name = next(iter(definitions))
        raise PlanError(f"field {name!r} has no JSON schema: {reason(exc)}") from exc


def _from_model(model: type[pydantic.BaseModel], added: Added) -> FieldSet:
    """The fields of a user's own pydantic model."""
    if issubclass(model, pydantic.RootModel):
        raise PlanError(f"{model.__name__} is a RootModel; give the type inside it as the field")
    if not model.model_fields:
        raise PlanError(f"the model {model.__name__} has no fields; give it at least one")
    definitions = {name: _of_attribute(name, info) for name, info in model.model_fields.items()}
    wider = {name: with_added(name, one, added) for name, one in definitions.items()}
    changed = {name: one for name, one in wider.items() if one is not definitions[name]}
    model = _with_attributes(model, changed) if changed else model
    specs = []
    for attribute, info in model.model_fields.items():
        name = info.validation_alias or info.alias or attribute  # as a reply must write it
        if not isinstance(name, str):
            raise PlanError(
                f"field {attribute!r} of the model {model.__name__} has the validation alias "
                f"{excerpt(name)}; give it one plain alias, a text"
            )
        # None by default: an example may then leave the field out
        lacks = info.default is None
        specs.append(_spec(_checked_name(name), wider[attribute], may_lack=lacks))
    # two attributes may share one alias: a reply could not fill both
    names = [spec.name for spec in specs]
    refuse_duplicates(names, f"two fields of the model {model.__name__} have the name {{names}}")
    try:
        raw = model.model_json_schema(schema_generator=NamingSchema)
    except Exception as exc:  # pydantic's and the model's own hooks raise anything
        text = f"the model {model.__name__} has no JSON schema: {reason(exc)}"
        raise PlanError(text) from exc
    return field_set(model, raw, specs)


def _of_attribute(name: str, info: FieldInfo) -> Definition:
    """The definition of one attribute of a user's own model."""
    kind, labels, nullable = classify(name, info.annotation)
    items = item_labels(name, info.annotation)
    return Definition(
        info.annotation,
        kind=kind,
        labels=labels,
        items=items,
        nullable=nullable,
        description=info.description,
    )


def _with_attributes(
    model: type[pydantic.BaseModel], definitions: dict[str, Definition]
) -> type[pydantic.BaseModel]:
    """A subclass of a user's model, with all its rules, where these attributes are wider."""
    attributes: dict[str, Any] = {}
    for name, one in definitions.items():
        info = copy(model.model_fields[name])
        was, now = (isinstance(choice_in(each.annotation), EnumMeta) for each in (info, one))
        # further labels make a choice of texts of it: nobody can add members to an Enum
        if was and not now and runs_own_code(model.__pydantic_core_schema__):
            raise PlanError(
                f"field {name!r} of the model {model.__name__} is an Enum, and the model's own "
                "validators would get texts instead of its members; write the further labels into "
                "the Enum"
            )
        info.description = one.text
        attributes[name] = (one.annotation, info)
    try:
        return pydantic.create_model(
            model.__name__, __base__=model, __doc__=model.__doc__, **attributes
        )
    except Exception as exc:  # hooks of the user's own that refuse a subclass
        raise PlanError(
            f"the model {model.__name__} takes no further labels ({reason(exc)}); write them into "
            "it, and leave out other= and abstain="
        ) from exc


def field_set(model: type[pydantic.BaseModel], raw: Node, specs: list[FieldSpec]) -> FieldSet:
    """The field set of a model. raw: pydantic's schema of it. specs: in the schema's order."""
    tidy = tidy_schema(raw)
    properties = tidy.get("properties", {})
    # a model may replace its schema, and a reply by that one would not fit its fields
    if list(properties) != [spec.name for spec in specs]:
        raise PlanError(
            f"the JSON schema of the model {model.__name__} does not have the model's fields; "
            "do not replace the schema that pydantic makes"
        )
    if not is_whole(json.dumps(tidy, ensure_ascii=False)):
        raise PlanError(
            "a description among the fields holds half a character (a lone surrogate); "
            "write it anew"
        )
    typed = (
        _as_written(spec, info.annotation) if spec.kind is Kind.OBJECT else spec
        for spec, info in zip(specs, model.model_fields.values(), strict=True)
    )
    days = tuple(name for name, node in properties.items() if node.get("format") == "date")
    return FieldSet(
        specs=tuple(typed),
        attributes=tuple(model.model_fields),
        model=model,
        schema=strict_schema(tidy),
        form=tidy_schema(raw, as_declared=True),
        days=days,
        nests="$defs" in tidy or '"properties"' in json.dumps(list(properties.values())),
        canonical=_canonical(specs, tidy),
        careful=is_lenient(raw, days),
    )


def _as_written(spec: FieldSpec, annotation: Any) -> FieldSpec:
    """The spec with what its values hold as they are written: computed fields, other aliases."""
    try:
        raw = pydantic.TypeAdapter(annotation).json_schema(mode="serialization")
        node = tidy_schema(raw)
        return replace(spec, value_type=value_type(node), parts=parts_of(node))
    except Exception:  # noqa: BLE001 - no fixed form, or a serializer's own code
        return replace(spec, value_type=JSON)


def _canonical(specs: list[FieldSpec], tidy: Node) -> Any:
    """The fields in a form that no version of pydantic changes, its keys sorted.

    Any change here changes every checkpoint's keys, so that all stored answers are paid again.
    """
    fields = []
    for spec in specs:
        node = tidy["properties"][spec.name]
        one: Node = {"name": spec.name, "kind": spec.kind.value}
        if spec.nullable:
            one["nullable"] = True
        if spec.evidence_of is not None:
            one["evidence_of"] = spec.evidence_of
        if spec.labels is not None:
            one["labels"] = _labels_asked(spec, node)
        if spec.abstain is not None:  # what is stored for it is no label
            one["abstain"] = spec.abstain
        if spec.kind is Kind.OBJECT:
            one["schema"] = node
        else:
            one |= {key: node[key] for key in _CANONICAL_KEYS if key in node}
        fields.append(one)
    whole: Node = {"fields": fields}
    whole |= {key: tidy[key] for key in ("description", "$defs") if key in tidy}
    return json.loads(json.dumps(whole, sort_keys=True))


def _labels_asked(spec: FieldSpec, node: Node) -> list[str | int]:
    """The labels in the order in which the model reads them."""
    if spec.abstain is None:
        return list(spec.labels or ())
    return [label for label in node["enum"] if label is not None]
