"""What Shift-Tab and ``help()`` show: a sentence, an example, the options used first."""

from __future__ import annotations

import inspect
import pydoc
import re

import pandas as pd
import pytest

import llmframe as lf
from llmframe.options.settings import DEFAULTS, FIRST, OPTIONS, WIDTH
from tests.kits.option_page import PAGE, page

DF = pd.DataFrame({"text": ["a parcel"]})
CALLS = [lf.tag, lf.atag, lf.start, DF.llm.tag, DF.llm.atag, DF.llm.start, DF["text"].llm.tag]
METHODS = [getattr(DF.llm, name) for name in dir(DF.llm)]
FUNCTIONS = [getattr(lf, name) for name in lf.__all__ if inspect.isroutine(getattr(lf, name))]
INTERNAL = re.compile(r"doctest|thin shell|noqa|TODO|\{options\}|nothing is kept|See LLM")


@pytest.mark.parametrize("call", CALLS)
def test_the_sentence_comes_first_then_an_example_then_the_options_used_first(call):
    doc = inspect.getdoc(call)
    places = [doc.index(mark) for mark in (".\n", ">>> ", "Used first\n", "\nEndpoint\n")]
    assert places == sorted(places)
    shown = re.findall(r"^  (\w+)=", doc, re.MULTILINE)
    assert shown[: len(FIRST)] == [*FIRST]
    assert len(FIRST) == 8


@pytest.mark.parametrize("call", CALLS)
def test_the_signature_begins_with_the_same_and_bears_no_types(call):
    options = [p for p in inspect.signature(call).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert [one.name for one in options[: len(FIRST)]] == [*FIRST]
    assert "->" in str(inspect.signature(call))
    assert ": " not in str(inspect.signature(call))


def test_all_other_options_take_one_line_each():
    lines = inspect.getdoc(DF.llm.tag).splitlines()
    for name in set(DEFAULTS) - {*FIRST}:
        [at] = [at for at, line in enumerate(lines) if line.startswith(f"  {name}=")]
        assert not lines[at + 1].startswith("   "), name
        assert len(lines[at]) <= WIDTH


@pytest.mark.parametrize("call", [*METHODS, *FUNCTIONS, DF["text"].llm.tag, DF.llm, DF["text"].llm])
def test_no_help_holds_a_note_for_developers(call):
    assert not INTERNAL.search(inspect.getdoc(call))


def test_an_async_function_is_shown_like_any_function():
    assert inspect.isfunction(lf.atag)
    shown = pydoc.plain(pydoc.render_doc(lf.atag)).partition("\n\n")[2]
    # Python 3.13 writes each parameter of a long signature on a line of its own
    assert "".join(shown.split()).startswith("asyncatag(df,input")


def test_the_page_of_options_is_made_from_their_declarations():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.kits.option_page"
    assert all(option.doc.partition("\n")[0].strip() for option in OPTIONS.values())
