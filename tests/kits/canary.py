"""Canaries: a key and a row text that must turn up nowhere, and all the places to look for them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import pickle
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
from IPython.core.ultratb import VerboseTB

import llmframe as lf
from llmframe.errors import LLMFrameError
from llmframe.runs.run import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-canary-7f3a9c1e/5b2d8046aa"  # a slash: JSON may escape it
ROW = "the row's own canary 4471"
LOGGERS = ("openai", "httpx2", "httpcore2", "httpx", "httpcore", "aiohttp", "asyncio", "llmframe")


def ways_to_write(secret: str) -> list[bytes]:
    """The secret as it may stand in a file: as it is, and in JSON."""
    escaped = json.dumps(secret)[1:-1]
    forms = {secret, escaped, escaped.replace("/", "\\/"), repr(secret)[1:-1]}
    return [form.encode() for form in forms]


@dataclass
class Artefacts:
    """All that a call has left, by name; ``found`` says where a secret is."""

    left: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, what: object) -> None:
        """Another artefact, as bytes or as text."""
        data = what if isinstance(what, bytes) else str(what).encode("utf-8", "backslashreplace")
        self.left[name] = data

    def found(self, secret: str, *, but: tuple[str, ...] = ()) -> list[str]:
        """The artefacts that hold the secret, those whose names begin with ``but`` left out."""
        forms = ways_to_write(secret)
        return [
            name
            for name, data in self.left.items()
            if not name.startswith(but or ("\0",)) and any(form in data for form in forms)
        ]


@contextlib.contextmanager
def loud_logs() -> Iterator[io.StringIO]:
    """Every logger says all it can."""
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    loggers = [logging.getLogger(name) for name in ("", *LOGGERS)]
    before = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(1)
    try:
        yield logged
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def collect(call: Callable[[], pd.DataFrame], folder: Path, capfd: Any) -> Artefacts:
    """Make the call, whatever becomes of it, and take all that it leaves.

    folder: the working directory, whose files are read. capfd: pytest's.
    """
    left = Artefacts()
    with loud_logs() as logged, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            out = call()
        except LLMFrameError as error:
            add_error(left, error)
            out = lf.last_run().partial()
        run = lf.last_run()
        add_frame(left, out, folder)
        add_run(left, run)
    left.add("log", logged.getvalue())
    left.add("warnings", [str(one.message) for one in warned])
    shown = capfd.readouterr()
    left.add("stdout", shown.out)
    left.add("stderr", shown.err)
    for path in folder.rglob("*"):
        if path.is_file():
            left.add(f"file {path.name}", path.read_bytes())
    return left


def add_frame(left: Artefacts, out: pd.DataFrame, folder: Path) -> None:
    """The frame in every form in which it may leave."""
    left.add("frame", out.to_csv() + out.to_string() + out.to_html())
    left.add("attrs", out.attrs)
    left.add("frame pickled", pickle.dumps(out))
    left.add("summary", repr(out.llm.summary()) + out.llm.summary()._repr_html_())
    left.add("errors", out.llm.errors().to_csv())
    out.llm.to_csv(folder / "ours.csv")
    out.llm.to_jsonl(folder / "ours.jsonl")
    out.llm.to_parquet(folder / "ours.parquet")
    out.to_parquet(folder / "pandas.parquet")
    for name in ("ours", "pandas"):
        left.add(f"metadata {name}", pq.read_schema(folder / f"{name}.parquet").metadata)


def add_run(left: Artefacts, run: lf.Run) -> None:
    """The run, its report and what they are made of."""
    session = session_of(run)
    job, moment = session.execution.job, session.snapshot()
    left.add("run", [repr(run), str(run), run.report, moment, session.failure])
    left.add("parts", [job, job.endpoint, session.target, session.execution.tally])
    left.add("report pickled", pickle.dumps(run.report))
    left.add("run's errors", run.errors.to_csv())
    left.add("history of errors", [str(run.errors), run.errors.attrs])


def add_error(left: Artefacts, error: BaseException) -> None:
    """The error and all behind it, with the variables of every frame."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for one in chain:
        name = f"{type(one).__name__} {len(left.left)}"
        left.add(name, [repr(one), str(one), one.args, vars(one)])
        left.add(f"{name} pickled", pickle.dumps(one))
    shown = error.__traceback__  # the person's own lines may show what the person has written
    while shown is not None and not is_ours(shown.tb_frame.f_code.co_filename):
        shown = shown.tb_next
    shown_error = traceback.TracebackException(type(error), error, shown, capture_locals=True)
    left.add("traceback with variables", "".join(shown_error.format()))
    verbose = VerboseTB(include_vars=True)
    left.add("verbose traceback", verbose.text(type(error), error, shown))


def is_ours(file: str) -> bool:
    """Whether a source file is llmframe's own."""
    return file.startswith(str(Path(lf.__file__).parent))
