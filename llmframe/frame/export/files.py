"""The four exports of a frame: all options checked first, then a whole file or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmframe.errors import IncompleteWarning, PlanError, warn
from llmframe.frame.columns import STATUSES
from llmframe.frame.export.excel import check_sheet_name, write_excel
from llmframe.frame.export.parquet import arrow_table
from llmframe.frame.export.target import needed, target_path
from llmframe.frame.export.text import (
    TextFile,
    check_encoding,
    check_packing,
    write_csv,
    write_jsonl,
)
from llmframe.options.rules import is_int
from llmframe.system.atomic import replacing

if TYPE_CHECKING:
    import os
    from pathlib import Path

    StrPath = str | os.PathLike[str]

COMPRESSIONS = ("zstd", "snappy", "gzip", "brotli", "lz4", "none", None)


def to_parquet(
    df: pd.DataFrame,
    path: StrPath,
    *,
    compression: str | None,
    compression_level: int | None,
    row_group_size: int | None,
    index: bool | None,
) -> Path:
    """See LLMAccessor.to_parquet."""
    parquet = needed("to_parquet", "pyarrow.parquet", "pyarrow>=16")
    _check_compression(compression, compression_level)
    if not (row_group_size is None or is_int(row_group_size, 1)):
        raise PlanError(f"row_group_size={row_group_size!r} is not valid; it takes rows, from 1")
    target = target_path(path, call="to_parquet")
    table = arrow_table(df, index=index)
    _warn_of_pending(df, target)
    with replacing(target) as handle:
        parquet.write_table(
            table,
            handle,
            compression=compression or "none",
            compression_level=compression_level,
            row_group_size=row_group_size,
        )
    return target


def to_csv(
    df: pd.DataFrame,
    path: StrPath,
    *,
    excel_safe: bool,
    index: bool | None,
    encoding: str,
    options: dict[str, Any],
) -> Path:
    """See LLMAccessor.to_csv. options: pandas' own."""
    check_encoding(encoding)
    for name in ("sep", "decimal"):
        if not isinstance(options[name], str) or len(options[name]) != 1:
            raise PlanError(f"{name}={options[name]!r} is not valid; it takes one character")
    # checked here: pandas would fail after the file was begun, with a message about its own code
    form = options["float_format"]
    if not (form is None or isinstance(form, str) or callable(form)):
        raise PlanError(f'float_format={form!r} is not valid; it takes text such as "%.2f"')
    target = target_path(path, call="to_csv")
    check_packing(target)
    _warn_of_pending(df, target)
    with replacing(target) as handle:
        file = TextFile(handle, target, encoding)
        write_csv(df, file, excel_safe=excel_safe, index=index, options=options)
        file.finish()
    return target


def to_jsonl(df: pd.DataFrame, path: StrPath, *, index: bool | None) -> Path:
    """See LLMAccessor.to_jsonl."""
    target = target_path(path, call="to_jsonl")
    check_packing(target)
    _warn_of_pending(df, target)
    with replacing(target) as handle:
        file = TextFile(handle, target, "utf-8")
        write_jsonl(df, file, index=index)
        file.finish()
    return target


def to_excel(df: pd.DataFrame, path: StrPath, *, sheet_name: str, index: bool | None) -> Path:
    """See LLMAccessor.to_excel."""
    needed("to_excel", "openpyxl", "openpyxl>=3.1")
    check_sheet_name(sheet_name)
    target = target_path(path, call="to_excel", suffix=".xlsx")
    _warn_of_pending(df, target)
    with replacing(target) as handle:
        write_excel(df, handle, sheet_name=sheet_name, index=index)
    return target


def _check_compression(name: str | None, level: int | None) -> None:
    """PlanError for a compression that does not exist, or a level that it does not have."""
    from pyarrow import Codec  # optional, and needed() has reported its absence by now

    if name not in COMPRESSIONS:
        raise PlanError(f"compression={name!r} is none of {COMPRESSIONS}")
    if level is None:
        return
    if name in (None, "none") or not Codec.supports_compression_level(name):
        raise PlanError(f"compression={name!r} has no levels; leave compression_level out")
    least, most = Codec.minimum_compression_level(name), Codec.maximum_compression_level(name)
    if not (is_int(level, least) and level <= most):
        raise PlanError(f"compression_level={level!r} is not valid; {name} has {least} to {most}")


def _warn_of_pending(df: pd.DataFrame, target: Path) -> None:
    """Warn of rows without an answer."""
    # Before anything is written: who turns the warning into an error gets no half table.
    rows = np.zeros(len(df), dtype=bool)
    for at, dtype in enumerate(df.dtypes):
        # status columns of any prefix, known by their categories
        if isinstance(dtype, pd.CategoricalDtype) and tuple(dtype.categories) == STATUSES:
            rows |= (df.iloc[:, at] == "pending").to_numpy(dtype=bool)
    pending = int(rows.sum())
    if pending:
        warn(
            IncompleteWarning(
                f"{target.name} will be incomplete: {pending:,} of {len(df):,} rows are pending, "
                "without an answer yet. Run the call that tags again, it goes on where it "
                "stopped; then export again"
            )
        )
