"""Calls that read what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.options.short_tracebacks import short_tracebacks

if TYPE_CHECKING:
    import os

    import pandas as pd

    from llmframe.quality.summary import Summary


def errors(df: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """See LLMAccessor.errors."""
    from llmframe.quality.tagged import failed_rows

    return failed_rows(df, prefix)


def summary(df: pd.DataFrame, prefix: str = "") -> Summary:
    """See LLMAccessor.summary."""
    from llmframe.quality.summary import summarise

    return summarise(df, prefix)


@short_tracebacks
def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What made a file that ``df.llm.to_parquet`` or ``df.llm.to_excel`` wrote.

    Returns ``llmframe`` (the version that wrote it), ``created`` (UTC), ``rows`` and
    ``columns``: what llmframe wrote, by name, with ``task``, ``type`` and ``categories``. Of
    the frame's latest call, as far as the frame knew: ``task``, ``model``, ``endpoint`` (its
    host), ``checkpoint`` (the file's name), ``counts`` of rows by status, ``tokens_in``,
    ``tokens_out``, ``cost``. No data is read. Raises PlanError for any other file.
    """
    from llmframe.frame.export import metadata

    return metadata.read_metadata(path)


@short_tracebacks
def read_parquet(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The frame that ``df.llm.to_parquet`` wrote, as it was.

    Like ``pandas.read_parquet``, and brings back what that does not: lists and dicts as such,
    closed choices of numbers, and the labels of choices in a file without rows. Any other
    parquet file is read as pandas reads it. Raises PlanError for what is no parquet file.
    """
    from llmframe.frame.export import reading

    return reading.read_parquet(path)


@short_tracebacks
def read_checkpoint(path: str | os.PathLike[str], task: str | None = None) -> pd.DataFrame:
    """The answers in a checkpoint, without the frame that was tagged: a dead run's work.

    path: a file, or a folder of them such as ``.llmframe``. task: the hash that begins with
    this; by default the task that was written to last. Nothing is made, locked or changed, and
    a run may be writing the file meanwhile.

    Returns one row per ``id`` (per key where the run had no ``id=``): ``id``, the fields, typed
    as ``tag`` types them, ``status`` (ok or failed), ``error`` (its kind), ``model``,
    ``tokens_in``, ``tokens_out``, ``cost`` and ``time`` (UTC). Rows that share an answer show it
    each, with what it cost. A field of one of these names keeps it; ours then begins with
    ``llm_``. Damaged lines are skipped, with one warning.

    Raises PlanError where there is no checkpoint or no such task, and lists those there are;
    CheckpointError where it cannot be read.
    """
    from llmframe.frame.checkpoints import read_checkpoint as read

    return read(path, task)
