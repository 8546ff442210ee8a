"""The names that users rely on, what importing costs, and what no text may say."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import llmframe as lf
from llmframe.options.settings import DEFAULTS

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_pinned_and_sorted():
    assert lf.__all__ == [
        "Run", "RunReport", "__version__", "atag", "check", "configure", "errors",
        "estimate", "history", "last_run", "llm", "load", "preview", "read_checkpoint",
        "read_metadata", "read_parquet", "start", "tag", "tag_stream",
    ]  # fmt: skip
    assert all(hasattr(lf, name) for name in lf.__all__)


def test_the_tree_of_errors_is_as_promised():
    errors = lf.errors
    assert issubclass(errors.PlanError, errors.LLMFrameError)
    assert issubclass(errors.PlanError, ValueError)
    assert issubclass(errors.CheckpointError, errors.LLMFrameError)
    assert issubclass(errors.RunAborted, errors.LLMFrameError)
    assert issubclass(errors.CallError, errors.RowError)
    assert issubclass(errors.OutputError, errors.RowError)
    assert issubclass(errors.IncompleteWarning, UserWarning)


@pytest.mark.parametrize("call", [lf.tag, pd.DataFrame().llm.tag, lf.llm(pd.DataFrame()).tag])
def test_the_signature_shows_every_option_with_its_default(call):
    parameters = inspect.signature(call).parameters
    shown = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert shown == DEFAULTS


CALLS = [
    *(lf.tag, lf.atag, lf.start, lf.estimate, lf.check, lf.tag_stream, lf.preview),
    *(pd.Series([""]).llm.tag, pd.DataFrame().llm.preview),
]


@pytest.mark.parametrize("call", CALLS)
def test_help_explains_every_option_that_it_shows(call):
    doc = inspect.getdoc(call)
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert re.search(rf"\b{name}\b", doc), name


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, pandas; before = set(sys.modules); import llmframe;"
        "print(sorted({'openai', 'ipywidgets', 'tqdm', 'pyarrow', 'IPython'}"
        " & (set(sys.modules) - before)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_text_says_to_install_the_strangers_package():
    bare = re.compile(r"pip3? +install +(?:-\S+ +)*['\"]?llmframe(?![-\w])")
    for path in _texts():
        assert not bare.search(path.read_text(encoding="utf-8")), path


def test_no_text_names_a_place_of_somebodys_machine():
    place = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")
    for path in _texts():
        assert not place.search(path.read_text(encoding="utf-8")), path


def _texts():
    kinds = {".py", ".md", ".toml", ".ipynb", ".txt", ".html", ".yml"}
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [ROOT / n for n in listed if Path(n).suffix in kinds and (ROOT / n).exists()]
