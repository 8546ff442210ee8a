"""Calls that read what earlier calls have written: frames, files and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmframe.options.short_tracebacks import short_tracebacks

# The rest is imported by the functions: `import llmframe` loads this module, and must be quick.
if TYPE_CHECKING:
    import os
    from collections.abc import Hashable

    import pandas as pd


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


@short_tracebacks
def history() -> pd.DataFrame:
    """All checkpoints of the working directory, the newest first: what was asked, and its cost.

    >>> lf.history()[["date", "prompt", "fields", "model", "rows", "cost"]]

    They are the files of ``.llmframe`` and those in the working directory itself that a call with
    ``checkpoint=<path>`` has written; the files are only read.

    Returns a row for each task: ``checkpoint`` (the path, for ``llmframe.load``), ``task`` (the
    first digits of its hash), ``prompt`` (the instructions), ``fields`` (their names), ``model``,
    ``rows`` (texts that have an answer), ``failed`` (those that have none), ``cost`` (of all that
    was paid for, failures too; missing where prices were not known), ``currency`` and ``date``
    (UTC, of the last answer). A task that is in two files has a row for each. Without a
    checkpoint here it is empty.
    """
    from llmframe.frame.history import history as read

    return read()


@short_tracebacks
def load(
    checkpoint: str | os.PathLike[str],
    df: pd.DataFrame,
    *,
    input: object = None,  # noqa: A002 - the contract's name
    id: Hashable | None = None,  # noqa: A002 - the contract's name
    task: str | None = None,
    prefix: str = "",
    overwrite: bool = False,
) -> pd.DataFrame:
    """Put the answers of an earlier call on a frame, without a request and at no cost.

    >>> out = lf.load(lf.history().loc[0, "checkpoint"], df)

    checkpoint: a file, or a folder of them such as ``.llmframe``.
    df: the rows, in any order and number; they are found by their texts.
    input: as in the call that was answered. None: as the checkpoint notes it, else the column
        of df to whose texts it has most answers.
    id: a column; rows are then found by its values and not by their texts. For calls that had
        ``id=``, where a text has changed since, or ``redact=`` has changed what was sent.
    task: the first digits of a task's hash, where a file has several; None: the newest.
    prefix, overwrite: as in ``tag``.

    Returns a new frame as ``tag`` returns it, so that ``extend=True`` and ``where=`` go on from
    there: the old columns, the fields, ``llm_status`` and ``llm_error``. A row without an answer
    (new, changed since, or failed) is pending, a blank one skipped. Rows that were asked several
    times (``votes=``) get what all their saved votes say together.

    Raises PlanError if no row has an answer there, which is then the checkpoint of another
    table, if it is none at all, or for columns that must not be replaced; CheckpointError if it
    cannot be read.
    """
    from llmframe.calls.steps.loading import load as read

    return read(checkpoint, df, input=input, id=id, task=task, prefix=prefix, overwrite=overwrite)
