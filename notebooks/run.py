"""Run the notebooks from beginning to end, each in an empty folder: ``run.py [name ...]``.

The executed notebooks, the same as HTML pages, and the tables that they wrote are saved in
``artifacts/``; ``--store`` saves the outputs in the notebooks themselves. The runs' summary cards
and the outputs of the cells tagged "printed" are printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
ARTIFACTS = HERE.parent / "artifacts"
CELL_TIMEOUT = 900  # seconds


def execute(
    notebook: nbformat.NotebookNode,
    *,
    environment: dict[str, str] | None = None,
    keep: Path | None = None,
) -> None:
    """Run all cells in a new kernel and an empty folder; CellExecutionError where one fails.

    environment: variables for the kernel, added to ours. keep: a folder for the tables it writes.
    """
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            store_widget_state=False,
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute(env={**os.environ, **(environment or {})})
        for table in sorted(Path(folder).glob("*.parquet")) if keep else ():
            shutil.copy(table, keep)


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
    """Run one notebook, save its outputs and print the results."""
    began, name = time.monotonic(), path.stem
    notebook = nbformat.read(path, as_version=4)
    print(f"{name}: {len(notebook.cells)} cells, in a new kernel ...", flush=True)
    ARTIFACTS.mkdir(exist_ok=True)
    execute(notebook, keep=ARTIFACTS)
    tidy(notebook)
    written = path if store else ARTIFACTS / path.name
    nbformat.write(notebook, written)
    (ARTIFACTS / f"{name}.html").write_text(page(notebook), encoding="utf-8")
    print("\n\n".join([*cards(notebook), *printed(notebook)]))
    print(f"\n{name}: done in {time.monotonic() - began:.0f} s")
    print(f"  notebook: {written.relative_to(HERE.parent)}")
    print(f"  page, with the cards: artifacts/{name}.html")
    for table in sorted(ARTIFACTS.glob("*.parquet")):
        print(f"  table: artifacts/{table.name}", flush=True)


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
