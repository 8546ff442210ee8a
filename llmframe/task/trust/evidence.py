"""``evidence=``: a quote is asked for beside each answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pydantic

from llmframe.errors import PlanError
from llmframe.task.definition import NamingSchema
from llmframe.task.fields import FieldSet, FieldSpec, Kind, field_set
from llmframe.task.text import reason, refuse_duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIX = "_evidence"
_ABOUT = (
    "The shortest part of the record that shows {name}, copied exactly, character by character; "
    "null if no part of it does."
)


def with_evidence(fields: FieldSet, wanted: bool | str | Sequence[str]) -> FieldSet:
    """The fields, each that is wanted followed by one for its quote. wanted: True for all.

    Raises PlanError for a name that is no field.
    """
    names = _wanted(fields, wanted)
    refuse_duplicates(
        [*fields.names, *(name + SUFFIX for name in names)],
        "evidence= adds fields named {names}, which exist already; give those another name",
    )
    quotes: dict[str, Any] = {
        f"llmframe_quote_{number}": (
            str | None,
            # a default: a reply that leaves the quote out is an answer all the same
            pydantic.Field(None, alias=name + SUFFIX, description=_ABOUT.format(name=repr(name))),
        )
        for number, name in enumerate(names)
    }
    model = fields.model
    try:
        asked = pydantic.create_model(
            model.__name__, __base__=model, __doc__=model.__doc__, **quotes
        )
        raw = asked.model_json_schema(schema_generator=NamingSchema)
    except Exception as exc:  # pydantic's and the model's own hooks raise anything
        raise PlanError(
            f"evidence= cannot add its fields to the model {model.__name__}: {reason(exc)}"
        ) from exc
    added = [
        FieldSpec(name + SUFFIX, kind=Kind.TEXT, nullable=True, evidence_of=name) for name in names
    ]
    return _interleaved(field_set(asked, raw, [*fields.specs, *added]))


def _wanted(fields: FieldSet, wanted: bool | str | Sequence[str]) -> list[str]:
    if wanted is True:
        return [*fields.names]
    names = [wanted] if isinstance(wanted, str) else [*(wanted or ())]
    unknown = [name for name in names if name not in fields.names]
    if unknown:
        raise PlanError(
            f"evidence={unknown[0]!r} is no field; the fields are {', '.join(fields.names)}"
        )
    return [name for name in fields.names if name in names]


def _interleaved(fields: FieldSet) -> FieldSet:
    """The same with each quote directly after its field, in the prompt and in the columns."""
    specs = dict(zip(fields.names, fields.specs, strict=True))
    attributes = dict(zip(fields.names, fields.attributes, strict=True))
    quotes = {spec.evidence_of: spec.name for spec in fields.specs if spec.evidence_of}
    order = [
        name
        for spec in fields.specs
        if not spec.evidence_of
        for name in (spec.name, quotes.get(spec.name))
        if name is not None
    ]
    properties = {name: fields.schema["properties"][name] for name in order}
    # required, default or not: strict structured outputs want every property to be
    return replace(
        fields,
        specs=tuple(specs[name] for name in order),
        attributes=tuple(attributes[name] for name in order),
        schema=fields.schema | {"properties": properties, "required": order},
    )
