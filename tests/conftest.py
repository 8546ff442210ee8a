"""What every test starts from: no configuration, no key, a working directory of its own."""

from __future__ import annotations

import gc
import signal

import pytest
from hypothesis import settings

import llmframe as lf
from llmframe import testing
from llmframe.engine.governor import forget_governors
from llmframe.engine.rows.answers import previewed
from llmframe.journal.shared import open_stores
from llmframe.options.presets import PRESETS
from tests.kits.left_loops import throwing_away
from tests.kits.loop_in_thread import LoopInThread
from tests.kits.ways import let_the_sdk_send

# How long an example takes depends on what else the machine does, so no example fails for its time.
settings.register_profile("llmframe", settings.default, deadline=None)
settings.register_profile("few", settings.get_profile("llmframe"), max_examples=20)
settings.load_profile("llmframe")

# A shell starts a background job with SIGINT ignored, children inherit that, and a Python that
# inherits it never raises KeyboardInterrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW = ("browser", "kernel", "battery", "slow")  # markers, in the order in which they begin


def pytest_configure(config):
    """Let pytest-xdist keep the order below; its own begins with the files of most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with the slow files: at the end one worker would be alone with them."""

    def rank(item):
        marks = {mark.name for mark in item.iter_markers()}
        return next((at for at, name in enumerate(SLOW) if name in marks), len(SLOW))

    first: dict[object, int] = {}
    for item in items:
        first[item.path] = min(rank(item), first.get(item.path, len(SLOW)))
    items.sort(key=lambda item: first[item.path])


def pytest_collection_finish():
    """Let the garbage collector pass over thousands of tests; some tests collect until all is."""
    gc.collect()
    gc.freeze()


VARIABLES = {name for preset in PRESETS.values() for name in preset.variables}


@pytest.fixture(autouse=True)
def clean_place(monkeypatch, tmp_path):
    """No key in the environment, nothing configured or learnt, checkpoints under tmp_path.

    Nothing learnt: a server may get the port of an earlier one, that asked to wait an hour.
    """
    forget_governors()
    previewed.clear()
    for name in ("OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    lf.configure(reset=True)
    yield
    lf.configure(reset=True)


@pytest.fixture(params=["prepared", "sdk"])
def way(request, monkeypatch):
    """Requests are prepared once where they can be, or the SDK builds every one of them."""
    if request.param == "sdk":
        let_the_sdk_send(monkeypatch)
    return request.param


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where default checkpoints go; every checkpoint is closed at the end of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / ".llmframe"
    assert not open_stores()


@pytest.fixture
def server():
    """A loopback server without latency; ``.url`` and ``.ledger``."""
    with testing.serve() as running:
        yield running


@pytest.fixture
def configured(server):
    """The loopback server as the configured endpoint, without progress."""
    lf.configure(model="test-model", base_url=server.url, progress=False)
    return server


@pytest.fixture
def left_loops():
    """The test leaves loops behind in mid-run; see leaves_a_loop."""
    yield from throwing_away()


@pytest.fixture
def two_loops():
    """Two event loops, each in a thread of its own."""
    loops = [LoopInThread(), LoopInThread()]
    yield loops
    for each in loops:
        if not each.loop.is_closed():
            each.kill()


@pytest.fixture
def dotenv(tmp_path):
    """The path of a ``.env`` file where it is looked for; there is none yet."""
    pytest.importorskip("dotenv")
    return tmp_path / ".env"
