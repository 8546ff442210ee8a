"""The notebooks: what is stored was run from beginning to end, and runs again in both kernels."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
from kernels import search_path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))
from run import cards, execute  # noqa: E402 - it lies beside the notebooks

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEWER = ("ROWS = 10_000", "ROWS = 1_000")  # what is run here, and in how many rows instead


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code(notebook) for output in cell.outputs]


def test_a_stored_notebook_was_run_from_beginning_to_end(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert "assert " in cells[-1].source
    assert all(cell.outputs for cell in cells[:-1])
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds <= {"execute_result", "display_data", "stream"}
    assert not [o for o in outputs(notebook) if o.get("name") == "stderr"]


def test_a_stored_notebook_shows_cards_and_no_widget_that_is_gone(path):
    notebook = nbformat.read(path, as_version=4)
    text = path.read_text(encoding="utf-8")
    assert cards(notebook)
    assert "widget" not in text
    assert "10,000 rows" in cards(notebook)[0]


def test_a_stored_notebook_names_no_machine_and_no_key(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(?:home|root|tmp|usr|work|Users|private|var)/\w", text)
    assert not re.search(r"sk-\w{8}|api_key=\"", text)
    assert not re.search(r"127\.0\.0\.1:\d", text)


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.parametrize("which", ["7", "6"], ids=["ipykernel7", "ipykernel6"])
def test_a_notebook_runs_in_both_kernels(path, which, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(*FEWER)
    places = {"IPYTHONDIR": tmp_path / "ipython", "JUPYTER_RUNTIME_DIR": tmp_path / "runtime"}
    environment = {name: str(place) for name, place in places.items()}
    execute(notebook, environment={**environment, "PYTHONPATH": search_path(which)})
    assert "1,000 rows" in cards(notebook)[0]
    assert not [o for o in outputs(notebook) if o.output_type == "error"]
