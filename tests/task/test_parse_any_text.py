"""Any text is read or refused, and never raises anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmframe.errors import OutputError
from llmframe.task.fields import resolve_fields
from llmframe.task.parse import parse_reply
from tests.kits.replies import EVERYTHING, GOOD, LISTS, PLAIN, TICKET, refusal

# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELD_SETS = [TICKET, EVERYTHING, PLAIN, LISTS]


def near(fields: Any) -> st.SearchStrategy[str]:
    """Replies that have the right names and any values."""
    return st.fixed_dictionaries(dict.fromkeys(fields.names, JSON)).map(json.dumps)


def check(reply: str | None, fields: Any) -> None:
    """Values that fit, or an OutputError that can be shown, stored and sent."""
    try:
        values = parse_reply(reply, fields)
    except OutputError as error:
        assert 0 < len(str(error)) < 1500  # noqa: PT017
        assert "\n" not in str(error).partition("\n")[0]  # noqa: PT017
        return
    assert list(values) == list(fields.names)
    json.dumps(values, allow_nan=False, ensure_ascii=False).encode()
    for spec in fields.specs:
        value = values[spec.name]
        assert spec.nullable or value is not None
        if spec.labels is not None and value is not None:
            assert value in spec.labels
            assert not isinstance(value, bool)


@settings(max_examples=300)
@given(st.one_of(st.none(), st.text(), JSON.map(json.dumps)))
@example("{" * 5000)
@example('{"' * 5000)
@example("{ " * 5000 + '"')
@example('\\ud800 {"intent": "\ud800"}')
@example('{"int": ' + "1" * 5000 + "}")
@example('{"tags": ' + "[" * 150 + "]" * 150 + "}")
@example('{"tags": ' + "[" * 900 + "]" * 900 + ', "n": 1}')
def test_any_text_is_read_or_refused_but_never_raises_anything_else(reply):
    for fields in FIELD_SETS:
        check(reply, fields)


@settings(max_examples=200)
@given(st.data())
def test_any_values_under_the_right_names_are_read_or_refused(data):
    fields = data.draw(st.sampled_from(FIELD_SETS))
    check(data.draw(near(fields)), fields)


# no word that casts doubt on an object ("maybe", "no", "hmm", "草稿") can be written without these
SPELL_DOUBTS = "aeiouyhAEIOUYH" + "ыЫ" + "思推分草也可例た等不"
PROSE = st.text(
    st.characters(categories=("L", "N", "Zs"), exclude_characters=SPELL_DOUBTS), max_size=40
)


@given(PROSE, st.sampled_from([":\n", ":\n\n", ": ", ":\n```json\n"]), PROSE)
def test_a_good_object_that_stands_apart_from_prose_is_found(before, apart, after):
    ends = "\n```\n" if "`" in apart else "\n"
    reply = before + apart + json.dumps(GOOD) + ends + after + "."
    assert parse_reply(reply, TICKET) == GOOD


@given(st.integers(0, len(json.dumps(GOOD)) - 1))
def test_a_reply_cut_anywhere_is_never_accepted(length):
    refusal(json.dumps(GOOD)[:length])


@given(st.sampled_from(["refund", "Straße", "退款", "ｆｕｌｌ", "İstanbul"]), st.randoms())
def test_a_label_in_any_case_with_any_blanks_is_found(label, random):
    varied = "".join(random.choice([c, c.upper(), c.lower()]) for c in label)
    fields = resolve_fields({"x": [label, "another"]})
    for text in (f" {label}\t", varied if varied.casefold() == label.casefold() else label):
        assert parse_reply(json.dumps({"x": text}), fields) == {"x": label}
