"""Run the notebooks from beginning to end, each in an empty folder: ``run.py [name ...]``.

The executed copies, as notebooks and as pages, are put into ``artifacts/`` with the tables that
they wrote; ``--store`` puts the outputs into the notebooks themselves. What a run left and what
the cells tagged "told" show is printed.
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
PATIENCE = 900  # seconds for one cell


def execute(
    notebook: nbformat.NotebookNode,
    *,
    environment: dict[str, str] | None = None,
    keep: Path | None = None,
) -> None:
    """Run all cells in a new kernel and an empty folder; CellExecutionError where one fails.

    environment: what the kernel gets beside ours. keep: a folder for the tables it writes.
    """
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=PATIENCE,
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
    """Leave out what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def page(notebook: nbformat.NotebookNode) -> str:
    """The notebook as HTML."""
    from nbconvert import HTMLExporter

    return HTMLExporter().from_notebook_node(notebook)[0]


def cards(notebook: nbformat.NotebookNode) -> list[str]:
    """What the runs left, as text."""
    return [
        text for cell in notebook.cells for text in texts(cell) if text.startswith("llmframe: ")
    ]


def told(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells show that are tagged "told", as text."""
    meant = [cell for cell in notebook.cells if "told" in cell.metadata.get("tags", ())]
    return [text for cell in meant for text in texts(cell)]


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """The outputs of a cell that can be displayed, as text."""
    return [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())]


def run(path: Path, *, store: bool) -> None:
    """Run one, keep its outputs and print what it comes to."""
    began, name = time.monotonic(), path.stem
    notebook = nbformat.read(path, as_version=4)
    print(f"{name}: {len(notebook.cells)} cells are run in a new kernel ...", flush=True)
    ARTIFACTS.mkdir(exist_ok=True)
    execute(notebook, keep=ARTIFACTS)
    tidy(notebook)
    written = path if store else ARTIFACTS / path.name
    nbformat.write(notebook, written)
    (ARTIFACTS / f"{name}.html").write_text(page(notebook), encoding="utf-8")
    print("\n\n".join([*cards(notebook), *told(notebook)]))
    print(f"\n{name}: done in {time.monotonic() - began:.0f} s")
    print(f"  notebook: {written.relative_to(HERE.parent)}")
    print(f"  page, with the cards: artifacts/{name}.html")
    for table in sorted(ARTIFACTS.glob("*.parquet")):
        print(f"  table: artifacts/{table.name}", flush=True)


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb; all if none is named")
    parser.add_argument("--store", action="store_true", help="keep the outputs in the notebooks")
    given = parser.parse_args()
    names = given.names or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        run(HERE / f"{name}.ipynb", store=given.store)


if __name__ == "__main__":
    main()
