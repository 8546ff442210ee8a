"""The views in a real Jupyter kernel: what is saved, and that a click reaches a blocked cell."""

import os
import queue
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from llmframe.notebook.drawing.card import card_html, card_text
from tests.kits.notebook_cases import FINISHED

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds for any one answer of the kernel

BEGIN = """
import threading, time
from tests.kits.notebook_cases import *
from llmframe.notebook import make_view
class Clicks:
    def __init__(self):
        self.asked, self.stopped = [], threading.Event()
    def stop(self):
        self.asked.append(threading.current_thread().name)
        self.stopped.set()
    def pause(self):
        pass
    def resume(self):
        pass
clicks = Clicks()
"""
BLOCKING = """
view = make_view(True, controls=clicks, blocking=True)
view.open()
for ok in (10, 20, 30):
    view.refresh(replace(RUNNING, ok=ok))
view.close(FINISHED)
"""
BACKGROUND = """
view = make_view(True, controls=clicks, blocking=False)
view.open()
def run():
    for ok in range(50):
        view.refresh(replace(RUNNING, ok=ok))
    view.close(FINISHED)
thread = threading.Thread(target=run)
go = threading.Event()
"""
CLICKED = """
view = make_view(True, controls=clicks, blocking=True)
view.open()
end = time.monotonic() + 30
while not clicks.stopped.wait(0.05) and time.monotonic() < end:
    view.refresh(RUNNING)
view.close(FINISHED)
print(clicks.asked)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A kernel that finds this package and writes nowhere else."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def executed(*cells, **options):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", **options).execute()
    return notebook


def assert_card(cell):
    [output] = cell.outputs
    assert output.data == {"text/html": card_html(FINISHED), "text/plain": card_text(FINISHED)}


@pytest.mark.parametrize("keep", [True, False])
def test_an_executed_notebook_holds_the_card_and_no_widget(keep):
    assert_card(executed(BEGIN, BLOCKING, store_widget_state=keep).cells[1])


def test_without_ipywidgets_the_notebook_holds_the_same_card():
    blocked = BEGIN + "import sys; sys.modules['ipywidgets'] = None"
    assert_card(executed(blocked, BLOCKING).cells[1])


def test_a_run_that_ends_while_another_cell_runs_leaves_its_card_in_its_own_cell():
    notebook = executed(BEGIN, BACKGROUND, "thread.start(); thread.join(); 'other cell'")
    assert_card(notebook.cells[1])
    [output] = notebook.cells[2].outputs
    assert output.data == {"text/plain": "'other cell'"}


@pytest.fixture
def client():
    """A kernel and its client."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=TIMEOUT)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def new_subshell(client):
    """The id of a new subshell; the page makes one when it sees its first widget."""
    message = client.session.msg("create_subshell_request", {})
    client.control_channel.send(message)
    return client.get_control_msg(timeout=TIMEOUT)["content"].get("subshell_id")


def click(client, comm, subshell):
    data = {"method": "custom", "content": {"event": "click"}}
    message = client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    message["header"]["subshell_id"] = subshell
    client.shell_channel.send(message)


def messages(client, until):
    """What the kernel publishes, until the cell that was sent has ended."""
    while True:
        try:
            message = client.get_iopub_msg(timeout=TIMEOUT)
        except queue.Empty:
            pytest.fail("the kernel fell silent")
        yield message["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id")
        idle = message["content"].get("execution_state") == "idle"
        if parent == until and idle:
            return


def test_a_click_on_stop_reaches_a_blocked_cell_through_a_subshell(client):
    client.execute_interactive(BEGIN, timeout=TIMEOUT)
    subshell = new_subshell(client)
    if subshell is None:
        pytest.skip("this kernel has no subshells: the interrupt button stops it")
    cell = client.execute(CLICKED)
    stop, printed = None, ""
    for kind, content in messages(client, cell):
        if kind == "comm_open" and content["data"]["state"].get("description") == "Stop":
            stop = content["comm_id"]
        if kind == "comm_msg" and stop and "rows/s" in str(content["data"]):
            click(client, stop, subshell)
            stop = None
        if kind == "stream":
            printed += content["text"]
    assert printed == f"['subshell-{subshell}']\n"
