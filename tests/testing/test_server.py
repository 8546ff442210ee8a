"""llmframe.testing.serve: its options, and the server in another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from llmframe.testing import serve
from llmframe.testing.options import Changes, Options
from tests.kits.http_client import ask, ask_all
from tests.kits.until import until


@pytest.mark.parametrize(
    "options",
    [
        {"latency": -1},
        {"latency": (2, 1)},
        {"latency": "fast"},
        {"faults": {"nope": 1}},
        {"faults": {"500": 0.8, "429": 0.3}},
        {"fault_rows": {"x": "nope"}},
        {"rpm": 0},
        {"limiter": "day"},
        {"answer": "silver"},
        {"unsupported": ("logic",)},
        {"most_labels": 0},
        {"colour": "red"},
        {"cpu": 0},
        {"faults": lambda text, attempt: None, "process": True},
    ],
)
def test_an_option_that_cannot_be_is_refused_at_once(options):
    with pytest.raises(ValueError, match=next(iter(options))[:5]):
        serve(**options)


def test_the_typed_names_are_the_options():
    assert set(Changes.__annotations__) == set(Options.__dataclass_fields__)


def test_a_taken_port_is_an_error():
    with serve() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            serve(port=port)
        with pytest.raises(OSError, match="in use"):
            serve(port=port, process=True)


def test_a_closed_server_refuses_connections_and_comes_back_on_its_port():
    server = serve()
    port = int(server.url.split(":")[2].split("/")[0])
    server.close()
    server.close()
    (error,) = ask_all(server, ["a"], concurrent=True)
    assert isinstance(error, aiohttp.ClientConnectorError)
    with serve(port=port) as again:
        assert ask(again, "a").status == 200


def test_a_process_server_serves_updates_and_hands_over_its_ledger():
    options: Mapping = {"faults": {"500": 1.0}, "latency": [0.001, 0.002], "rpm": 100_000}
    with serve(process=True, cpu=0, **options) as server:
        assert server.pid != os.getpid()
        assert ask(server, "a").status == 500
        server.update(faults={})
        with pytest.raises(ValueError, match="callable"):
            server.update(answer=lambda text, request: "")
        with pytest.raises(ValueError, match="nope"):
            server.update(faults={"nope": 1})
        assert ask(server, "a \ud800 surrogate").status == 200
        ledger = server.ledger
        first, second = ledger.calls
        assert (first.row, first.fault, first.billed) == ("a", "500", False)
        assert (second.row, second.billed) == ("a \ud800 surrogate", True)
        assert second.at < second.answered < time.monotonic()
        ask(server, "b")
        assert len(ledger) == 3
    assert len(ledger) == 3
    assert not alive(server.pid)


def test_the_ledger_of_a_process_server_can_be_cleared():
    with serve(process=True) as server:
        ask_all(server, ["a", "b"])
        server.ledger.clear()
        assert len(server.ledger) == 0
        ask(server, "a")
        assert [(call.row, call.attempt) for call in server.ledger.calls] == [("a", 0)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[-1][:1]


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_a_process_server_dies_with_its_killed_parent():
    code = (
        "import time; from llmframe.testing import serve\n"
        "server = serve(process=True); print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        until(lambda: not alive(child))


def test_the_command_line_prints_the_url_and_a_summary():
    command = [sys.executable, "-m", "llmframe.testing", "--port", "0", "--latency", "0.01,0.02"]
    command += ["--fault", "500=1", "--retry-after", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        class Shell:
            url = process.stdout.readline().strip()

        assert ask(Shell, "a").status == 500
        process.send_signal(signal.SIGINT)
        written, _ = process.communicate(timeout=10)
    assert written.startswith("1 requests for 1 rows, 0 billed, 0 rows paid twice")
    assert process.returncode == 0


def test_importing_it_loads_neither_aiohttp_nor_asyncio_servers():
    code = (
        "import sys, llmframe.testing.server; loaded = set(sys.modules);"
        "assert 'aiohttp' not in loaded and 'openai' not in loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
