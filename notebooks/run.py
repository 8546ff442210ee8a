"""Run the notebooks from beginning to end: ``run.py [name ...]``.

While it runs it says which section it has reached, and every ten seconds how many rows are
answered. The executed notebooks, the same as HTML pages, and the tables that they wrote are saved
in ``artifacts/``; ``--store`` saves the outputs in the notebooks themselves. At the end it prints
the runs' summary cards and the outputs of the cells tagged "printed".

Each notebook runs in its own folder, ``artifacts/<name>``, which is deleted once it is done. After
Ctrl-C or an error the answers stay in it, and the next start goes on with them; ``--store`` always
starts with an empty folder.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import re
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
ARTIFACTS = HERE.parent / "artifacts"
INTERVAL = 10.0  # seconds between two lines while a cell runs
PACE = 20.0  # seconds that are watched before the time left is said
INTERRUPTED = 130  # the exit code of a command that Ctrl-C has ended
ROWS_DONE = re.compile(r"([\d,]+) of ([\d,]+) rows?\b")  # how a run's live view begins
BEGAN = float(os.environ.get("RUN_BEGAN", time.monotonic()))  # first_run.py began earlier


def say(text: str) -> None:
    """Print a line with the minutes and seconds since the start."""
    seconds = int(time.monotonic() - BEGAN)
    print(f"[{seconds // 60}:{seconds % 60:02d}] {text}", flush=True)


class Progress:
    """Says which section of the notebook runs, and every ten seconds how far the cell is.

    folder: where the notebook runs; a checkpoint there has one line an answer, after its first.
    widgets: returns what the widgets of the notebook show, as HTML.
    """

    def __init__(
        self,
        notebook: nbformat.NotebookNode,
        folder: Path,
        widgets: Callable[[], list[str]] = list,
    ) -> None:
        self._cells, self._sections = notebook.cells, sections(notebook)
        self._widgets, self._before = widgets, set[str]()
        self._folder, self._shown, self._cell = folder, "", 0
        self._first: tuple[float, int] | None = None  # when this cell's rows were first seen
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
        self._cell, self._first = cell_index, None
        self._before = set(self._widgets())  # of earlier cells, which ended as they are
        section = self._sections[cell_index]
        if section != self._shown:
            self._shown = section
            say(f"  {section}")

    def _beat(self) -> None:
        while not self._done.wait(INTERVAL):
            say(f"    {self.state(time.monotonic())}")

    def state(self, now: float) -> str:
        """How far the running cell is, in words. now: seconds of any clock."""
        pages = [page for page in self._widgets() if page not in self._before]
        shown = [*texts(self._cells[self._cell]), *map(plain, pages)]
        seen = [ROWS_DONE.match(text) for text in shown]
        rows = next((found for found in reversed(seen) if found), None)
        if rows is None:
            saved = self.answers()
            return saved_words(saved) if saved else "still at work"
        done, total = (int(number.replace(",", "")) for number in rows.groups())
        if self._first is None:
            self._first = now, done
        began, before = self._first
        words = f"{done:,} of {total:,} answered"
        if done == before or now - began < PACE:  # too early to know the pace
            return words
        return f"{words}, about {duration((total - done) * (now - began) / (done - before))} left"

    def answers(self) -> int:
        """Answers that are saved in checkpoints so far."""
        return answers(self._folder)


def plain(page: str) -> str:
    """The text of a piece of HTML, with single blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def answers(folder: Path) -> int:
    """Answers that are saved in the checkpoints of a folder."""
    files = [*folder.glob(".llmframe/*.jsonl"), *folder.glob("*.jsonl")]
    return sum(max(0, file.read_bytes().count(b"\n") - 1) for file in files)


def saved_words(saved: int) -> str:
    """How many answers are saved."""
    return "1 answer is saved" if saved == 1 else f"{saved:,} answers are saved"


def duration(seconds: float) -> str:
    """A rough time in words: ``40 s``, ``12 min``."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def sections(notebook: nbformat.NotebookNode) -> list[str]:
    """The heading above each cell."""
    heading, found = "", []
    for cell in notebook.cells:
        first = cell.source.partition("\n")[0]
        if cell.cell_type == "markdown" and first.startswith("#"):
            heading = first.lstrip("# ")
        found.append(heading)
    return found


class Execution(threading.Thread):
    """Runs a notebook on a thread, because nbclient would take Ctrl-C from the main thread.

    error: what ended it, None if every cell ran.
    """

    def __init__(self, client: NotebookClient, environment: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._work = self._loop.create_task(client.async_execute(env=environment))

    def run(self) -> None:
        """Run all cells."""
        try:
            self._loop.run_until_complete(self._work)
        except BaseException as exc:  # noqa: BLE001 - the main thread raises it
            self.error = exc
        finally:
            self._loop.close()

    def stop(self) -> None:
        """End the kernel and wait for its end."""
        self._client.shutdown_kernel = "immediate"
        self._loop.call_soon_threadsafe(self._work.cancel)
        self.join()


def execute(
    notebook: nbformat.NotebookNode,
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    timeout: int | None = None,
) -> None:
    """Run all cells in a new kernel, in a folder; CellExecutionError where one fails.

    environment: variables for the kernel, added to ours. timeout: seconds that a cell may take;
    none, as a slow machine may take long, and its owner sees how far it is.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=True,  # Progress reads it; tidy removes it
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
    )
    with Progress(notebook, folder, lambda: values(client.widget_state)) as seen:
        client.on_cell_start = seen.cell
        execution = Execution(client, {**os.environ, **(environment or {})})
        execution.start()
        try:
            while execution.is_alive():
                execution.join(0.5)  # with a limit, or Windows would not hear Ctrl-C
        except KeyboardInterrupt:
            execution.stop()
            raise
    if execution.error is not None:
        raise execution.error


def values(widgets: dict[str, Any]) -> list[str]:
    """The values of text widgets, whose states nbclient keeps."""
    states = [state.get("value") for state in list(widgets.values())]
    return [value for value in states if isinstance(value, str)]


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
    folder = ARTIFACTS / name
    if store:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    saved = answers(folder)
    goes_on = f", which goes on: {saved_words(saved)}" if saved else ""
    say(f"Running {name} in a new kernel{goes_on}")
    execute(notebook, folder)
    tables = [Path(shutil.copy(one, ARTIFACTS)) for one in sorted(folder.glob("*.parquet"))]
    shutil.rmtree(folder, ignore_errors=True)
    tidy(notebook)
    written = path if store else ARTIFACTS / path.name
    nbformat.write(notebook, written)
    web_page = ARTIFACTS / f"{name}.html"
    web_page.write_text(page(notebook), encoding="utf-8")
    print("\n" + "\n\n".join([*cards(notebook), *printed(notebook)]) + "\n")
    say(f"{name} is done. You find:")
    print(f"  {web_page.relative_to(root)}: the notebook as a page for your browser")
    print(f"  {written.relative_to(root)}: the same as a notebook, with its outputs")
    for table in tables:
        print(f"  {table.relative_to(root)}: the tagged table", flush=True)


def stopped(name: str) -> int:
    """Say that the person has stopped it; the exit code."""
    saved = answers(ARTIFACTS / name)
    say(f"Stopped{f', {saved_words(saved)}' if saved else ''}; run it again to go on.")
    return INTERRUPTED


def failed(name: str, error: Exception) -> int:
    """Say why a notebook failed, where the whole error is, and what to do; the exit code."""
    ARTIFACTS.mkdir(exist_ok=True)
    whole = ARTIFACTS / f"{name}.error.txt"
    whole.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, CellExecutionError):
        why = f"{error.ename}: {error.evalue}"
    say(f"{name} failed: {why}")
    print(
        f"The whole error is in {whole.relative_to(HERE.parent)}; "
        f"{saved_words(answers(ARTIFACTS / name))}. Run it again to go on."
    )
    return 1


def main() -> int:
    """Run the named notebooks, or all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, without .ipynb; default: all")
    parser.add_argument("--store", action="store_true", help="save the outputs in the notebooks")
    given = parser.parse_args()
    names = given.names or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        try:
            run(HERE / f"{name}.ipynb", store=given.store)
        except KeyboardInterrupt:
            return stopped(name)
        except Exception as exc:  # noqa: BLE001 - a cell may raise anything
            return failed(name, exc)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code == INTERRUPTED:
        os._exit(code)  # nbclient's exit hook would end the kernel once more, and print an error
    sys.exit(code)
