"""What every test starts from: no configuration, no key, a working directory of its own."""

from __future__ import annotations

import pytest

import llmframe as lf
from llmframe import testing
from llmframe.presets import PRESETS

VARIABLES = {preset.variable for preset in PRESETS.values()} - {""}


@pytest.fixture(autouse=True)
def clean_place(monkeypatch, tmp_path):
    """No key in the environment, nothing configured, checkpoints under tmp_path."""
    for name in ("OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    lf.configure(reset=True)
    yield
    lf.configure(reset=True)


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
