"""Templates are parsed once, whole names between braces, and never evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmframe.errors import PlanError
from llmframe.frame.template import Template, parse_template


def test_names_and_literals_come_apart():
    assert parse_template("From {sender}: {text}!") == Template(
        ("sender", "text"), ("From ", ": ", "!")
    )


def test_a_template_may_be_one_name_alone():
    assert parse_template("{text}") == Template(("text",), ("", ""))


def test_doubled_braces_are_braces():
    template = parse_template('{{"q": "{{{q}}}"}}')
    assert template.fill(("x",)) == '{"q": "{x}"}'


def test_text_without_braces_names_nothing():
    assert parse_template("plain") == Template((), ("plain",))


@pytest.mark.parametrize(
    "name", ["first name", "a.b", "x.__class__", "x!r", "x:>10", "工单 内容", "0", "", "a[0]"]
)
def test_all_between_the_braces_is_the_name(name):
    assert parse_template("{" + name + "}").names == (name,)


@pytest.mark.parametrize(
    ("text", "at"),
    [("{text", 1), ("ab {text", 4), ("a } b", 3), ("{a}}", 4), ("{a{b}}", 1), ("{a}{", 4)],
)
def test_an_unbalanced_brace_is_reported_with_its_position(text, at):
    with pytest.raises(PlanError, match=rf"at character {at} of the template"):
        parse_template(text)


def test_values_are_filled_in_once_and_their_braces_mean_nothing():
    assert parse_template("{a}{b}").fill(("{b}", "{a}")) == "{b}{a}"


@given(st.lists(st.text().map(lambda s: s.replace("{", "").replace("}", ""))), st.text())
def test_any_names_between_any_literals_come_back(names, literal):
    escaped = literal.replace("{", "{{").replace("}", "}}")
    template = parse_template(escaped + escaped.join("{" + name + "}" for name in names))
    assert template.names == tuple(names)
    assert template.fill(tuple(names)) == literal + literal.join(names)


@given(st.text("{}a"))
def test_any_braces_parse_or_are_a_plan_error(text):
    try:
        template = parse_template(text)
    except PlanError:
        return
    assert len(template.literals) == len(template.names) + 1
