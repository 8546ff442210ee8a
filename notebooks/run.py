"""Run the notebooks from beginning to end, each in an empty folder: ``run.py [name ...]``.

While it runs it says which section it has reached, and every ten seconds how many answers are
saved. The executed notebooks, the same as HTML pages, and the tables that they wrote are saved in
``artifacts/``; ``--store`` saves the outputs in the notebooks themselves. At the end it prints the
runs' summary cards and the outputs of the cells tagged "printed".
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
ARTIFACTS = HERE.parent / "artifacts"
CELL_TIMEOUT = 3600  # seconds: a slow machine may take long, and its owner sees how far it is
INTERVAL = 10.0  # seconds between two lines while a cell runs
BEGAN = float(os.environ.get("RUN_BEGAN", time.monotonic()))  # first_run.py began earlier


def say(text: str) -> None:
    """Print a line with the minutes and seconds since the start."""
    seconds = int(time.monotonic() - BEGAN)
    print(f"[{seconds // 60}:{seconds % 60:02d}] {text}", flush=True)


class Progress:
    """Says which section of the notebook runs, and every ten seconds what is saved so far.

    folder: where the notebook runs; its checkpoint has one line an answer, after its first line.
    """

    def __init__(self, notebook: nbformat.NotebookNode, folder: Path) -> None:
        self._sections = sections(notebook)
        self._folder, self._shown = folder, ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def cell(self, cell_index: int, **_: object) -> None:
        """Say the section of the cell that starts, unless it was said before."""
        section = self._sections[cell_index]
        if section != self._shown:
            self._shown = section
            say(f"  {section}")

    def _beat(self) -> None:
        while not self._done.wait(INTERVAL):
            saved = self.answers()
            say(f"    {saved:,} answers are saved" if saved else "    still at work")

    def answers(self) -> int:
        """Answers that are saved in checkpoints so far."""
        files = [*self._folder.glob(".llmframe/*.jsonl"), *self._folder.glob("*.jsonl")]
        return sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files)


def sections(notebook: nbformat.NotebookNode) -> list[str]:
    """The heading above each cell."""
    heading, found = "", []
    for cell in notebook.cells:
        first = cell.source.partition("\n")[0]
        if cell.cell_type == "markdown" and first.startswith("#"):
            heading = first.lstrip("# ")
        found.append(heading)
    return found


def execute(
    notebook: nbformat.NotebookNode,
    *,
    environment: dict[str, str] | None = None,
    keep: Path | None = None,
    progress: Callable[[nbformat.NotebookNode, Path], Progress] = Progress,
) -> list[Path]:
    """Run all cells in a new kernel and an empty folder; CellExecutionError where one fails.

    environment: variables for the kernel, added to ours. keep: a folder for the tables it
    writes, which are returned.
    """
    with tempfile.TemporaryDirectory() as folder, progress(notebook, Path(folder)) as seen:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            store_widget_state=False,
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            on_cell_start=seen.cell,
        )
        client.execute(env={**os.environ, **(environment or {})})
        tables = sorted(Path(folder).glob("*.parquet")) if keep else []
        return [Path(shutil.copy(table, keep)) for table in tables if keep]


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Remove metadata that differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def page(notebook: nbformat.NotebookNode) -> str:
    """The notebook as HTML."""
    from nbconvert import HTMLExporter

    return HTMLExporter().from_notebook_node(notebook)[0]


def cards(notebook: nbformat.NotebookNode) -> list[str]:
    """The summary cards of the runs, as text."""
    return [
        text for cell in notebook.cells for text in texts(cell) if text.startswith("llmframe: ")
    ]


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """The outputs of the cells tagged "printed", as text."""
    tagged = [cell for cell in notebook.cells if "printed" in cell.metadata.get("tags", ())]
    return [text for cell in tagged for text in texts(cell)]


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """The displayed outputs of a cell, as text."""
    return [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())]


def run(path: Path, *, store: bool) -> None:
    """Run one notebook, save its outputs, print the results and where they are."""
    name, root = path.stem, HERE.parent
    notebook = nbformat.read(path, as_version=4)
    say(f"Running {name} in a new kernel")
    ARTIFACTS.mkdir(exist_ok=True)
    tables = execute(notebook, keep=ARTIFACTS)
    tidy(notebook)
    written = path if store else ARTIFACTS / path.name
    nbformat.write(notebook, written)
    html = ARTIFACTS / f"{name}.html"
    html.write_text(page(notebook), encoding="utf-8")
    print("\n" + "\n\n".join([*cards(notebook), *printed(notebook)]) + "\n")
    say(f"{name} is done. You find:")
    print(f"  {html.relative_to(root)}: the notebook as a page for your browser")
    print(f"  {written.relative_to(root)}: the same as a notebook, with its outputs")
    for table in tables:
        print(f"  {table.relative_to(root)}: the tagged table", flush=True)


def main() -> None:
    """Run the named notebooks, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, without .ipynb; default: all")
    parser.add_argument("--store", action="store_true", help="save the outputs in the notebooks")
    given = parser.parse_args()
    names = given.names or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        run(HERE / f"{name}.ipynb", store=given.store)


if __name__ == "__main__":
    main()
