"""The declaration of each option: type, default, rule and words agree."""

from __future__ import annotations

import inspect
import pydoc
import re
import typing
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe.options.presets import PRESETS
from llmframe.options.settings import DEFAULTS, FIRST, OPTIONS, Options, Settings, table

TYPES = typing.get_type_hints(Settings)
HELP = pydoc.plain(pydoc.render_doc(pd.DataFrame().llm.tag))
SAMPLES = {
    bool: (True, False),
    int: (3,),
    float: (2.5,),
    str: ("https://api.example.com/v1",),
    tuple: ((1.0, 2.0),),
    dict: ({"in": 1.0, "out": 2.0},),
    Path: (Path("answers.jsonl"),),
    type(len): (str.upper,),
    type(None): (None,),
    list: ([object()],),
    object: (object(),),
}


def parts(kind):
    """The members of a union, the choices of a Literal among them."""
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    members = typing.get_args(kind) if typing.get_origin(kind) in UNIONS else (kind,)
    return [kind] if members == (kind,) else [each for one in members for each in parts(one)]


UNIONS = (typing.Union, type(int | str))


def choices(name):
    return [part for part in parts(TYPES[name]) if isinstance(part, str)]


def takes(name, kind):
    """Whether the option's type takes values of this class."""
    for part in parts(TYPES[name]):
        if part in (typing.Any, typing.Hashable) or isinstance(part, str):
            continue
        base = type(part) if isinstance(part, int) else typing.get_origin(part) or part
        if isinstance(base, type) and issubclass(kind, base) and (kind, base) != (bool, int):
            return True
        if (kind, base) in ((int, float), (type(len), typing.get_origin(typing.Callable))):
            return True
    return False


def test_the_two_lists_of_types_are_the_same():
    declared = {name: kind for name, kind in TYPES.items() if name in OPTIONS}
    assert list(typing.get_type_hints(Options).items()) == list(declared.items())


def test_every_field_but_given_is_a_declared_option():
    assert set(TYPES) - set(OPTIONS) == {"given"}
    assert all(getattr(Settings(), name) == default for name, default in DEFAULTS.items())


@pytest.mark.parametrize("name", OPTIONS)
def test_a_rule_takes_the_default_as_it_is(name):
    option = OPTIONS[name]
    assert option.accepts(option.default)
    assert option.default is None or option.rule.convert(option.default) is option.default


@pytest.mark.parametrize("name", OPTIONS)
def test_a_rule_takes_none_where_the_type_does_and_says_so(name):
    optional = type(None) in parts(TYPES[name]) or name == "client"
    assert OPTIONS[name].accepts(None) == optional
    assert optional == ("None" in OPTIONS[name].takes)


@pytest.mark.parametrize("name", [name for name in OPTIONS if choices(name)])
def test_a_rule_takes_the_words_of_the_type_and_all_texts_name_them(name):
    for choice in choices(name):
        assert OPTIONS[name].accepts(choice)
        assert f'"{choice}"' in OPTIONS[name].takes
        assert f'"{choice}"' in OPTIONS[name].doc
    assert not OPTIONS[name].accepts("no such word")


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"client", "id", "checkpoint", "where"}))
def test_a_rule_takes_the_classes_of_the_type_and_no_other(name, kind):
    if kind is str and choices(name):
        return  # see above
    accepted = any(
        OPTIONS[name].accepts(OPTIONS[name].rule.convert(sample)) for sample in SAMPLES[kind]
    )
    # a list of two prices is taken, too, and a list of names, which the sample does not hold
    differ = name in ("prices", "evidence") and kind is list
    assert accepted == takes(name, kind) or differ


@pytest.mark.parametrize("unit", ["seconds", "tokens", "requests a minute", "tokens a minute"])
def test_a_unit_that_an_error_names_stands_in_help_too(unit):
    named = [option for option in OPTIONS.values() if unit in option.takes]
    assert named
    assert all(unit in option.doc for option in named)


def test_help_shows_every_option_once_in_its_group_with_its_default():
    lines = table(OPTIONS).splitlines()
    entries = [line.split()[0] for line in lines if re.match(r"  \w+=", line)]
    order = list(dict.fromkeys((*FIRST, *DEFAULTS)))
    assert [entry.partition("=")[0] for entry in entries] == order
    assert {n: eval(d) for n, _, d in (e.partition("=") for e in entries)} == DEFAULTS
    groups = [line for line in lines if line[:1].isalpha()]
    assert groups == ["Used first", *dict.fromkeys(option.group for option in OPTIONS.values())]


def test_help_begins_with_an_example_and_fits_a_narrow_window():
    signature, doc = HELP.split(" instance\n", 1)
    assert re.search(r"\ntag\(\s*input", signature)  # from Python 3.13 on a line per parameter
    lines = doc.splitlines()
    assert ">>> out = df.llm.tag(" in "\n".join(lines[:4])
    assert max(map(len, lines)) <= 88


def test_help_names_every_provider():
    assert all(name in OPTIONS["provider"].doc for name in PRESETS)


def test_check_explains_the_options_that_it_uses_and_no_other():
    doc = inspect.getdoc(lf.check)
    assert "  base_url=None" in doc
    assert "concurrency=" not in doc
    assert set(re.findall(r"(?m)^  (\w+)=", doc)) == {
        parameter.name for parameter in inspect.signature(lf.check).parameters.values()
    }


def test_printed_settings_show_what_was_changed_with_long_instructions_cut():
    shown = repr(Settings(instructions="x" * 100, timeout=5.0, base_url="https://me:pw@a.example"))
    assert "timeout=5.0" in shown
    assert "pw" not in shown
    assert "x" * 79 + "…" in shown
