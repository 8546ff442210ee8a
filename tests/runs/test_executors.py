"""A notebook run without a page, by each program that does so: the card is kept, no widget."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from llmframe import testing
from tests.kits.scripts import BEGIN

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).parents[2]
CELLS = [
    BEGIN.replace("progress=False, ", ""),
    'out = frame(30).llm.tag("text", FIELDS)',
    'run = frame(30, "other").llm.start("text", FIELDS)',
    "rest = await run",
    'assert set(out["llm_status"]) == set(rest["llm_status"]) == {"ok"}',
]
EXECUTORS = {
    "papermill": ["-m", "papermill", "in.ipynb", "out.ipynb", "-k", "python3", "--no-progress-bar"],
    "jupyter-execute": ["-m", "jupyter", "execute", "in.ipynb", "--output", "out.ipynb"],
    "nbconvert": [
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "in.ipynb",
        "--output",
        "out",
    ],
}


@pytest.fixture
def executed(request, tmp_path):
    """The notebook after one of the programs has run it."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(notebook, tmp_path / "in.ipynb")
    own = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with testing.serve(latency=0.02) as server:
        done = subprocess.run(
            [sys.executable, *EXECUTORS[request.param]],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, **own, "LOOPBACK": server.url},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return nbformat.read(tmp_path / "out.ipynb", as_version=4)


@pytest.mark.parametrize("executed", EXECUTORS, indirect=True)
def test_the_card_is_kept_and_no_widget_is_left_spinning(executed):
    for cell, rows in ((executed.cells[1], 30), (executed.cells[2], 30)):
        [shown] = [output.data for output in cell.outputs if output.output_type == "display_data"]
        assert set(shown) == {"text/html", "text/plain"}
        assert f"finished, {rows} rows" in shown["text/plain"]
    assert not any(output.output_type == "error" for c in executed.cells for output in c.outputs)
