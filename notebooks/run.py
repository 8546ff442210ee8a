"""Run the notebooks from beginning to end, each in an empty folder: ``run.py [name ...]``.

The executed copies, as notebooks and as pages, are put into ``artifacts/``; ``--store`` puts the
outputs into the notebooks themselves.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
ARTIFACTS = HERE.parent / "artifacts"
PATIENCE = 900  # seconds for one cell


def execute(notebook: nbformat.NotebookNode, *, environment: dict[str, str] | None = None) -> None:
    """Run all cells in a new kernel and an empty folder; CellExecutionError where one fails.

    environment: what the kernel gets beside ours.
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
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output.get("data", {}).get("text/plain", "") for output in shown]
    return [text for text in texts if text.startswith("llmframe: ")]


def main() -> None:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks without .ipynb; all if none is named")
    parser.add_argument("--store", action="store_true", help="keep the outputs in the notebooks")
    given = parser.parse_args()
    names = given.names or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        path, began = HERE / f"{name}.ipynb", time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        print(f"{name}: {len(notebook.cells)} cells are run in a new kernel ...", flush=True)
        execute(notebook)
        tidy(notebook)
        ARTIFACTS.mkdir(exist_ok=True)
        nbformat.write(notebook, path if given.store else ARTIFACTS / path.name)
        (ARTIFACTS / f"{name}.html").write_text(page(notebook), encoding="utf-8")
        print("\n\n".join(cards(notebook)))
        seconds = time.monotonic() - began
        print(f"{name}: done in {seconds:.0f} s; to read: artifacts/{name}.html", flush=True)


if __name__ == "__main__":
    main()
