"""``df.llm`` and ``series.llm``: thin shells over the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import pandas as pd

from llmframe.calls import files as files_calls
from llmframe.calls import tag as api
from llmframe.errors import warn
from llmframe.options.settings import Options
from llmframe.options.short_tracebacks import short_tracebacks
from llmframe.options.signature import with_options

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from llmframe.runs.run import Run


class LLMAccessor:
    """What a model can do with a DataFrame; nothing is kept on the accessor."""

    def __init__(self, df: pd.DataFrame) -> None:
        self._df = df

    @with_options(doc=api.tag)
    def tag(self, input: object, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: A002, D102
        return api.tag(self._df, input, fields, **options)

    @with_options(doc=api.atag)
    async def atag(self, input: object, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: A002, D102
        return await api.atag(self._df, input, fields, **options)

    @with_options(doc=api.start)
    def start(self, input: object, fields: object, **options: Unpack[Options]) -> Run:  # noqa: A002, D102
        return api.start(self._df, input, fields, **options)

    def errors(self, prefix: str = "") -> pd.DataFrame:
        """The rows that failed, on the frame's index: what was asked beside ``llm_error``.

        prefix: of the call that is meant. Raises PlanError if the frame was never tagged.
        """
        return files_calls.errors(self._df, prefix)

    def summary(self, prefix: str = "") -> Any:
        """What a call has left in the frame: rows by status, and what each field holds.

        Displayed as pictures, printed as text. prefix: of the call that is meant.
        Raises PlanError if the frame was never tagged.
        """
        return files_calls.summary(self._df, prefix)

    @short_tracebacks
    def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        compression: str | None = "zstd",
        compression_level: int | None = None,
        row_group_size: int | None = None,
        index: bool | None = None,
    ) -> Path:
        """Write the frame to a parquet file, typed, with what made it; returns the path.

        path: on this machine; ``~`` is the home folder. A file that is there is replaced in
            one step when the new one is whole and on the disk: whatever happens, one of the
            two is there, whole.
        compression: "zstd", "snappy", "gzip", "brotli", "lz4" or None; compression_level: of
            that method. row_group_size: rows, as pyarrow takes it.
        index: None keeps it as pandas does (a plain range costs nothing), True always, False
            leaves it out.

        Columns that llmframe wrote get their type from their fields, never from the cells: an
        empty or all-missing part has the columns of every other part. Models become structs,
        ``list[...]`` lists; a model of no fixed form (a union, one that holds itself) becomes
        JSON text. Your own columns are typed by their dtype; Python objects by their cells
        where these are of one kind, else they are written as text, with one warning.

        ``llmframe.read_parquet(path)`` gives the frame back. ``pandas.read_parquet(path)``
        does, too, but for a closed choice of numbers (``Int64``), the labels of a choice in a
        file without rows, lists (numpy arrays) and JSON text. ``llmframe.read_metadata(path)``
        tells what made the file; neither the key nor any row's text is in there.

        Warns (IncompleteWarning) once where rows are pending. Raises PlanError for a path that
        cannot be written, columns of one name, or where pyarrow is missing; LLMFrameError
        when the disk is full or fails.
        """
        from llmframe.frame.export import files

        return files.to_parquet(
            self._df,
            path,
            compression=compression,
            compression_level=compression_level,
            row_group_size=row_group_size,
            index=index,
        )

    @short_tracebacks
    def to_csv(
        self,
        path: str | os.PathLike[str],
        excel_safe: bool = True,
        *,
        index: bool | None = None,
        sep: str = ",",
        encoding: str = "utf-8-sig",
        na_rep: str = "",
        decimal: str = ".",
        float_format: str | None = None,
        date_format: str | None = None,
    ) -> Path:
        """Write the frame to a CSV file that people can open; returns the path.

        path: on this machine; a name that ends in .gz, .bz2 or .xz is packed. A file that is
            there is replaced in one step, as by to_parquet.
        excel_safe: put ``'`` before every text (cells, headers, index) that a spreadsheet
            would run as a formula, because it begins with = + - @, a tab, a carriage return
            or NUL, behind blanks too. Numbers are untouched. False for machines.
        index: None writes it unless it is just 0, 1, 2, ...; True always, False never.
        sep: one character; where Excel writes decimal commas it reads ";".
        encoding: utf-8-sig begins with the mark by which Excel knows UTF-8.
        na_rep: what stands for missing. decimal, float_format, date_format: as in pandas.

        Lists and dicts are written as JSON; columns of several levels are named ``a.b``.
        A CSV file knows no types and no metadata: to_parquet keeps both. Warns and raises as
        to_parquet does.
        """
        from llmframe.frame.export import files

        return files.to_csv(
            self._df,
            path,
            excel_safe=excel_safe,
            index=index,
            encoding=encoding,
            options={
                "sep": sep,
                "na_rep": na_rep,
                "decimal": decimal,
                "float_format": float_format,
                "date_format": date_format,
            },
        )

    @short_tracebacks
    def to_jsonl(self, path: str | os.PathLike[str], *, index: bool | None = None) -> Path:
        """Write the frame as JSON lines, one object a row, in UTF-8; returns the path.

        path: on this machine; a name that ends in .gz, .bz2 or .xz is packed. A file that is
            there is replaced in one step, as by to_parquet.
        index: None writes it unless it is just 0, 1, 2, ...; True always, False never.

        Lists and models stay lists and objects, missing is null, dates are ISO text, an
        infinity is the text "inf". Columns of several levels are named ``a.b``. Warns and
        raises as to_parquet does.
        """
        from llmframe.frame.export import files

        return files.to_jsonl(self._df, path, index=index)

    @short_tracebacks
    def to_excel(
        self,
        path: str | os.PathLike[str],
        *,
        sheet_name: str = "Sheet1",
        index: bool | None = None,
    ) -> Path:
        """Write the frame as an Excel workbook of one sheet; returns the path.

        path: on this machine, ending in .xlsx. A file that is there is replaced in one step,
            as by to_parquet. sheet_name: 1 to 31 characters.
        index: None writes it unless it is just 0, 1, 2, ...; True always, False never.

        Text is always text, also where it looks like a formula. Lists and dicts are JSON;
        moments with a time zone, and those before March 1900, are ISO text; whole numbers of
        more than 15 digits are text, because Excel would round them. Characters that Excel
        cannot hold are left out, texts over 32,767 characters cut, with one warning. What
        made the file is in its properties: ``llmframe.read_metadata(path)``.

        Needs the package openpyxl. Warns and raises as to_parquet does; PlanError for more
        rows than a sheet has (1,048,575).
        """
        from llmframe.frame.export import files

        return files.to_excel(self._df, path, sheet_name=sheet_name, index=index)


class SeriesLLMAccessor:
    """What a model can do with one column of text."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self._series = series

    @with_options(doc=api.tag_series)
    def tag(self, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: D102
        return api.tag_series(self._series, fields, **options)


def llm(df: pd.DataFrame) -> LLMAccessor:
    """The same as ``df.llm``, also where another package holds that name."""
    return LLMAccessor(df)


def register() -> None:
    """Make ``df.llm`` and ``series.llm``; say so where another package holds the name."""
    for owner, accessor, decorate in (
        (pd.DataFrame, LLMAccessor, pd.api.extensions.register_dataframe_accessor),
        (pd.Series, SeriesLLMAccessor, pd.api.extensions.register_series_accessor),
    ):
        holder = _holder(owner)
        if holder is None:
            decorate("llm")(accessor)
        elif not holder.startswith("llmframe."):
            warn(
                f"{owner.__name__}.llm belongs to {holder}; llmframe leaves it alone. These always "
                "work: lf.tag(df, ...), lf.start(df, ...), lf.llm(df)",
            )
        else:  # this module was reloaded: ours takes the place of ours, without pandas' warning
            delattr(owner, "llm")
            decorate("llm")(accessor)


def _holder(owner: type) -> str | None:
    """Who holds ``owner.llm``: its module and name, None if it is free."""
    if not hasattr(owner, "llm"):
        return None
    held = owner.llm
    return f"{getattr(held, '__module__', '?')}.{getattr(held, '__name__', type(held).__name__)}"
