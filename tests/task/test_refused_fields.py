"""Mistakes in ``fields``, each a PlanError that names the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Literal, Optional, TypeVar

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasPath, BaseModel, Field, RootModel

from llmframe.errors import PlanError
from llmframe.task.fields import resolve_fields
from tests.kits.fields import Color, Ticket, refusal

# What is refused


@pytest.mark.parametrize(
    ("fields", "message_part"),
    [
        ({}, "empty dict"),
        ({"": str}, "not blank"),
        ({" \t": str}, "not blank"),
        ({3: str}, "3 (int)"),
        ({None: str}, "None"),
        ({"a\ud800": str}, "half a character"),
        ({"a": ["x", "y"], "b": "text of mine"}, "mixes descriptions and fields: 'b'"),
        ({"a": "str"}, "without quotes"),
        ({"a": "str", "b": int}, "without quotes"),
        ({"a": "str", "b": "int"}, "without quotes"),
        ("summary", "'summary' (str)"),
        (None, "None"),
        (42, "42 (int)"),
        (BaseModel, "has no fields"),
        (Ticket.model_construct(), "give the class"),
        (RootModel[list[str]], "RootModel"),
    ],
)
def test_mistakes_in_fields_are_named(fields, message_part):
    assert message_part in refusal(fields)


@pytest.mark.parametrize(
    ("field", "message_part"),
    [
        ([], "empty list of labels"),
        ([""], "blank label"),
        (["a", " \u3000"], "blank label"),
        (["a", 1], "mixes text and int"),
        ([True, False], "use bool"),
        (["a", None], "None among its labels"),
        ([1.5], "type float"),
        ([[1]], "type list"),
        (["a", "a"], "'a' twice"),
        ([1, 1], "1 twice"),
        (["Refund", "refund "], "'Refund' and 'refund '"),
        (["straße", "STRASSE"], "'straße' and 'STRASSE'"),
        (["A", "Ａ"], "'A' and 'Ａ'"),
        ([2**63], "64 bits"),
        (["a\ud800"], "half a character"),
        (Enum("Empty", {}), "Enum Empty"),
        (Enum("Mixed", {"A": 1, "B": "b"}), "Enum Mixed"),
        (Enum("Pairs", {"A": (1, 2)}), "Enum Pairs"),
        (list[Enum("Odd", {"A": 1.5})], "Enum Odd"),
        (list[Literal["a", "A"]], "'a' and 'A'"),
        (Literal[None], "empty list of labels"),
        (Literal[True, False], "use bool"),
        (Literal[Color.RED, Color.BLUE], "the Enum itself"),
        (list[Literal[Color.RED]], "the Enum itself"),
        (GenericAlias(list, (["a", "b"],)), "list[Literal['a', 'b']]"),
        (GenericAlias(list, ({"a": "b"},)), "list[Literal['a', 'b']]"),
        ({"a": "d", "b": ["x"]}, "['x'] for 'b'"),
        ({"a": None}, "None for 'a'"),
        ({"a": {"b": "c"}}, "pydantic model"),
        ({}, "empty list of labels"),
        (bytes, "use str"),
        (set[str], "use list"),
        (frozenset[str], "use list"),
        (tuple[str, int], "use list"),
        (list, "list[str]"),
        (list[Any], "say what the answer is"),
        (Any, "say what the answer is"),
        (object, "say what the answer is"),
        (dict, "name the keys"),
        (dict[str, int], "name the keys"),
        (list[dict[str, str]], "name the keys"),
        (Decimal, "use float"),
        (list[Decimal | None], "use float"),
        (complex, "use float"),
        (type(None), "str | None"),
        (Callable[[int], str], "a field is a list of labels"),
        (pydantic.SecretStr, "a secret"),
        (pydantic.Json, "pydantic model"),
        (int | str, "several types"),
        (int | str | None, "several types"),
        (Iterable[str], "list[...]"),
        (TypeVar("T"), "~T"),
        (ClassVar[int], "ClassVar"),
        (range(5), "as a list"),
        ({"a", "b"}, "as a list"),
        (np.array(["a"]), "as a list"),
        ((letter for letter in "ab"), "as a list"),
        (print, "built-in function print"),
        (Field(description="d"), "Annotated[str, Field"),
        ("a b c", "mixes descriptions"),
        (type("Own", (), {}), "Own"),
        (list["Nowhere"], "not fully defined"),  # noqa: F821
        (Annotated[str, Field(pattern="(")], "regex"),
        (Annotated[str, Field(description="\ud800")], "half a character"),
        (Annotated[int, Field(max_length=3)], "x"),
        (Optional, "typing.Optional"),
    ],
)
def test_mistakes_in_a_field_are_named(field, message_part):
    message = refusal({"good": int, "x": field})
    assert message_part in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("inner", "message_part"),
    [
        (bytes, "x.part"),
        (dict[str, int], "x.part"),
        (Decimal, "use float"),
        (list[Any], "x.part"),
        (Literal["a", "A"], "'a' and 'A'"),
    ],
)
def test_mistakes_inside_a_nested_model_are_named_with_their_path(inner, message_part):
    nested = pydantic.create_model("Nested", part=(inner, ...))
    assert message_part in refusal({"x": nested})
    assert message_part in refusal({"x": list[nested]})


def test_a_model_without_keys_has_no_place_in_a_column():
    assert "without fixed keys" in refusal({"x": pydantic.create_model("Nothing")})


def test_a_model_with_one_name_for_two_fields_is_refused():
    class Twice(BaseModel):
        a: str = Field(alias="same")
        b: str = Field(alias="same")

    assert "'same'" in refusal(Twice)


def test_a_model_read_through_a_path_is_refused():
    class Deep(BaseModel):
        a: str = Field(validation_alias=AliasPath("z", 0))

    assert "plain alias" in refusal(Deep)


def test_a_model_that_bends_its_schema_is_refused():
    class Bent(BaseModel):
        a: str

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            return {"type": "object", "properties": {"b": {"type": "string"}}}

    class Broken(BaseModel):
        a: str

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            raise KeyError("boom")

    assert "does not have the model's fields" in refusal(Bent)
    assert "boom" in refusal(Broken)


def test_an_alias_that_holds_itself_is_refused_not_followed_for_ever():
    assert "'x'" in refusal({"x": pydantic.JsonValue})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=6,
    )
)
def test_any_value_is_either_fields_or_a_plan_error(fields):
    try:
        resolved = resolve_fields(fields)
    except PlanError as error:
        assert str(error)  # noqa: PT017
    else:
        assert resolved.specs
