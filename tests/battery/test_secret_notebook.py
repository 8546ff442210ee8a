"""A planted key and an executed notebook: outputs, saved widgets, verbose tracebacks, streams."""

from __future__ import annotations

import json
import os

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kits.canary import KEY, ROW, ways_to_write
from tests.kits.kernels import ROOT
from tests.kits.raw import Raw, good, http

pytestmark = [pytest.mark.battery, pytest.mark.kernel]

BEGIN = """
import logging, os, sys
logging.basicConfig(level=1, stream=sys.stdout)
import pandas as pd
import llmframe as lf
get_ipython().run_line_magic("xmode", "Verbose")
lf.configure(model="m", base_url=os.environ["LOOPBACK"], api_key=os.environ["CANARY"])
"""
FRAME = f'df = pd.DataFrame({{"text": [f"{ROW} {{i}}" for i in range(12)]}})'
GOOD = 'out = df.llm.tag("text", {"intent": ["a", "b"]}); out.attrs, lf.last_run()'
CELLS = {
    "the configuration": "lf.configure()",
    "a call": GOOD,
    "a call in the background": 'run = df.llm.start("text", ["a", "b"]); run.result(); run',
    "the log": 'df.llm.tag("text", {"x": ["a", "b"]}, progress="log").llm.summary()',
    "a column that is not there": 'df.llm.tag("txet", ["a", "b"])',
    "a wrong option": 'df.llm.tag("text", ["a", "b"], api_key=os.environ["CANARY"], timeout=-1)',
    "a wrong default": 'lf.configure(api_key=os.environ["CANARY"], timeout=-1)',
    "a failed row": 'df.llm.tag("text", {"y": str}, on_error="raise", model="fails")',
    "a hopeless run": 'df.llm.tag("text", {"z": str}, model="forbidden")',
    "awaited": 'await df.llm.atag("text", {"w": str}, model="forbidden", '
    'api_key=os.environ["CANARY"])',
    "a crash of the person's own": 'df.llm.tag("text", {"v": str}, client=lambda: 1 / 0)',
}


ERRORS = {
    "a column that is not there": "PlanError",
    "a wrong option": "PlanError",
    "a wrong default": "PlanError",
    "a failed row": "CallError",
    "a hopeless run": "RunAborted",
    "awaited": "RunAborted",
    "a crash of the person's own": "ZeroDivisionError",
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The notebook as it is saved, with the state of its widgets."""
    place = tmp_path_factory.mktemp("notebook")
    environment = {
        **os.environ, "CANARY": KEY, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(place / "ipython"),
    }  # fmt: skip
    cells = [nbformat.v4.new_code_cell(code) for code in (BEGIN, FRAME, *CELLS.values())]
    book = nbformat.v4.new_notebook(cells=cells)
    faults = {"fails": "context_length_exceeded", "forbidden": "forbidden"}

    def script(asked):
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        code = faults.get(asked.body["model"])
        error = {"message": f"{KEY}, {asked.headers}", "code": code}
        if code:
            return http({"error": error}, "403 No" if code == "forbidden" else "400 Bad")
        return good(asked)

    with Raw(script) as server:
        client = NotebookClient(
            book, timeout=60, kernel_name="python3", allow_errors=True, store_widget_state=True,
            resources={"metadata": {"path": str(place)}},
        )  # fmt: skip
        client.execute(env={**environment, "LOOPBACK": server.url})
    return book


def outputs(book, name):
    return json.dumps(book.cells[2 + list(CELLS).index(name)].outputs)


@pytest.mark.parametrize("name", CELLS)
def test_no_output_of_a_cell_holds_the_key(notebook, name):
    """Key leak: displays, streams at DEBUG, and tracebacks that show variables."""
    shown = outputs(notebook, name).encode()
    assert len(shown) > 10
    assert not any(form in shown for form in ways_to_write(KEY))


def test_the_saved_notebook_and_its_widgets_hold_no_key(notebook):
    """Key leak: the whole file, byte for byte."""
    saved = nbformat.writes(notebook).encode()
    assert not any(form in saved for form in ways_to_write(KEY))
    assert KEY[3:].encode() not in saved


def test_the_notebook_did_what_it_was_to_do(notebook):
    """The test's own premise: errors were raised, verbose ones, and answers shown."""
    for name, error in ERRORS.items():
        assert error in outputs(notebook, name)
    assert "12 rows" in outputs(notebook, "a call")
    assert "api_key=***" in outputs(notebook, "the configuration")


def test_the_card_and_the_log_quote_no_row(notebook):
    """Row text at rest: what stays in a notebook after a run has no row in it."""
    for name in ("a call", "a call in the background", "the log"):
        assert ROW not in outputs(notebook, name)
