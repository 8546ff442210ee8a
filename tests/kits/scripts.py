"""Programs of a person, run in a Python of their own against the loopback server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.kits.until import until as until  # for the many that run programs and wait

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds until a program that does not end fails its test

BEGIN = """
import asyncio, json, os, signal, sys, threading, time, warnings
import pandas as pd
import llmframe as lf

FIELDS = {"intent": ["refund", "delivery", "other"]}
lf.configure(model="test-model", base_url=os.environ["LOOPBACK"], progress=False, concurrency=10)

def frame(n, name="record"):
    return pd.DataFrame({"text": [f"{name} {i}" for i in range(n)]})

def tell(**found):
    print(json.dumps(found), flush=True)

def counts(df):
    return {k: int(v) for k, v in df["llm_status"].value_counts().items() if v}
"""


class Program:
    """A running program; leaving the ``with`` block ends it."""

    def __init__(self, server, code: str, *, warn: str = "error") -> None:
        environment = {**os.environ, "LOOPBACK": server.url, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-W", warn, "-c", BEGIN + code],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()

    def interrupt(self) -> float:
        """Send SIGINT; when that was, in seconds of ``time.monotonic()``."""
        self.process.send_signal(2)
        return time.monotonic()

    def report(self) -> dict:
        """The next thing that it reports."""
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def end(self, status: int = 0) -> str:
        """Wait for its end; what it wrote to standard error."""
        out, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == status, (out, errors)
        return errors


def run(server, code: str, **options) -> dict:
    """Run a program that reports one thing and writes nothing to standard error."""
    with Program(server, code, **options) as program:
        report = program.report()
        errors = program.end()
        assert errors == "", errors
        return report
