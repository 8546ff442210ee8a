"""Calls that read what earlier calls have written: frames, files and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.options.short_tracebacks import short_tracebacks

# The rest is imported by the functions: `import llmframe` loads this module, and must be quick.
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

    >>> lf.read_metadata("tagged.parquet")["model"]
    'deepseek-chat'

    Returns ``llmframe`` (the version that wrote it), ``created`` (UTC), ``rows`` and
    ``columns`` (each column that llmframe made, with its ``task``, ``type`` and
    ``categories``), and ``objects``, how other columns of Python objects are restored. About the
    frame's latest call it has ``task``, ``model``, ``endpoint`` (the
    host), ``checkpoint`` (the file's name), ``counts`` (rows by status), ``tokens_in``,
    ``tokens_cached`` (of them), ``tokens_out``, ``cost`` and its ``currency``, and ``table``, the
    same five of all answers in the frame, those that the checkpoint had included; as far as the
    frame knew them. It reads no data. Raises PlanError for any other file.
    """
    from llmframe.frame.export import metadata

    return metadata.read_metadata(path)


@short_tracebacks
def read_parquet(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The frame that ``df.llm.to_parquet`` wrote, as it was.

    >>> out = lf.read_parquet("tagged.parquet")

    Unlike ``pandas.read_parquet`` it also restores lists and dicts, columns of Python objects
    (whole numbers with gaps, times), closed choices of numbers, and the labels of choices in a
    file without rows. Any other parquet file is read as pandas
    reads it. Raises PlanError for a file that is not parquet.
    """
    from llmframe.frame.export import reading

    return reading.read_parquet(path)


@short_tracebacks
def read_checkpoint(path: str | os.PathLike[str], task: str | None = None) -> pd.DataFrame:
    """The answers in a checkpoint, without the frame that was tagged: a dead run's work.

    >>> answers = lf.read_checkpoint(".llmframe")

    path: a file, or a folder of them such as ``.llmframe``. task: the beginning of a task's
    hash; the task that was written to last by default. The file is only read, and a run may be
    writing it meanwhile.

    Returns one row per ``id`` (per key if the run had no ``id=``): ``id``, the fields, typed
    as ``tag`` types them, ``status`` (ok or failed), ``error`` (its kind), ``model``,
    ``tokens_in``, ``tokens_cached`` (of them), ``tokens_out``, ``cost`` and ``time`` (UTC). Rows
    that share an answer all show it, with its full cost. Where an id has several answers the
    newest is shown, and one warning counts the others. A field with one of these names keeps
    it; our column then begins with ``llm_``. Damaged lines are skipped, with one warning.

    Raises PlanError if there is no checkpoint or no such task, with those that exist;
    CheckpointError if it cannot be read.
    """
    from llmframe.frame.checkpoints import read_checkpoint as read

    return read(path, task)
