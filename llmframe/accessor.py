"""``df.llm`` and ``series.llm``: thin shells over the calls."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, Unpack

import pandas as pd

from llmframe.calls import embed as embeddings
from llmframe.calls import estimate as estimates
from llmframe.calls import preview as previews
from llmframe.calls import propose as proposals
from llmframe.calls import tag as api
from llmframe.errors import MisuseError, PlanError, warn
from llmframe.options.settings import Options
from llmframe.options.short_tracebacks import short_tracebacks
from llmframe.options.signature import with_options

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from pathlib import Path

    from llmframe.notebook.estimate_view import Estimate
    from llmframe.notebook.proposed_labels import ProposedLabels
    from llmframe.quality.review import Review
    from llmframe.quality.reviewed import Order
    from llmframe.quality.scoring.compare import Comparison
    from llmframe.quality.scoring.score import Score
    from llmframe.quality.scoring.shares import Shares
    from llmframe.quality.scoring.threshold import Threshold
    from llmframe.runs.run import Run

P = ParamSpec("P")
R = TypeVar("R")


# What people know from pandas' writers, and the way to it here.
_INSTEAD = {
    "mode": "to add rows to a file, put the frames together with pd.concat and export the whole",
    "columns": "choose them first: out[[...]].llm",
    "startrow": "pandas' own DataFrame.to_excel places a frame in a sheet",
}


def _export(method: Callable[P, R]) -> Callable[P, R]:
    """An export; an argument that it does not take is a PlanError with the way to it."""
    name, signature = method.__name__, inspect.signature(method)

    def check(args: tuple[Any, ...], options: dict[str, Any]) -> None:
        try:
            signature.bind(*args, **options)
        except TypeError as exc:
            unknown = next((one for one in options if one not in signature.parameters), "")
            writer = {"to_jsonl": "to_json"}.get(name, name)
            cure = _INSTEAD.get(unknown, f"pandas' own DataFrame.{writer} may take it")
            takes = ", ".join([*signature.parameters][1:])
            raise PlanError(f"{name}: {exc}; it takes {takes}. If needed, {cure}") from None

    return short_tracebacks(method, check=check)


class _Accessor:
    """Answers another name than those of its methods with what to write instead."""

    _name: str
    _usage: str

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what tools look for
            raise AttributeError(name)
        raise MisuseError(f"{self._name} has no {name!r}; {self._usage}")

    def __repr__(self) -> str:
        return f"<{self._name}: {', '.join(sorted(dir(self)))}. {self._usage}>"

    def __dir__(self) -> list[str]:
        return [name for name in vars(type(self)) if not name.startswith("_")]


class LLMAccessor(_Accessor):
    """Ask a language model about the rows of a DataFrame, and keep what it answers.

    >>> out = df.llm.tag("text", {"intent": ["refund", "delivery", "other"]})

    propose_labels finds labels for texts that have none. preview asks about a few rows first, and
    estimate says what all will cost; tag waits in the cell, atag is awaited, start goes on in the
    background; embed makes a vector of every text. Afterwards:
    summary and errors show what came back; review asks you about some of the rows, so that the
    answers get a number with an error bar; to_parquet, to_csv, to_jsonl, to_excel write it.
    """

    _name = "df.llm"
    _usage = 'df.llm.tag("text", {"intent": ["refund", "other"]}) asks a model about every row'

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

    @with_options(doc=estimates.estimate)
    def estimate(self, input: object, fields: object, **options: Unpack[Options]) -> Estimate:  # noqa: A002, D102
        return estimates.estimate(self._df, input, fields, **options)

    @with_options(doc=previews.preview)
    def preview(  # type: ignore[misc] # noqa: D102
        self,
        input: object,  # noqa: A002
        fields: object,
        n: int = 10,
        *,
        by: Hashable | None = None,
        seed: int = 0,
        live: bool = False,
        **options: Unpack[Options],
    ) -> pd.DataFrame:
        own: dict[str, Any] = {"by": by, "seed": seed, "live": live}
        return previews.preview(self._df, input, fields, n, **own, **options)

    @with_options(doc=embeddings.embed)
    def embed(  # type: ignore[misc] # noqa: D102
        self,
        column: object,
        *,
        into: str | None = None,
        dimensions: int | None = None,
        batch_size: int | None = None,
        **options: Unpack[Options],
    ) -> pd.DataFrame:
        own: dict[str, Any] = {"into": into, "dimensions": dimensions, "batch_size": batch_size}
        return embeddings.embed(self._df, column, **own, **options)

    @with_options(doc=proposals.propose_labels)
    def propose_labels(  # type: ignore[misc] # noqa: D102
        self,
        input: object,  # noqa: A002
        n: int = 300,
        *,
        k: int | None = None,
        seeds: Iterable[str] | Mapping[str, str] | None = None,
        seed: int = 0,
        **options: Unpack[Options],
    ) -> ProposedLabels:
        own: dict[str, Any] = {"k": k, "seeds": seeds, "seed": seed}
        return proposals.propose_labels(self._df, input, n, **own, **options)

    def errors(self, prefix: str = "") -> pd.DataFrame:
        """The failed rows, on the frame's index: their input and ``llm_error``.

        After a call with ``redact=`` without their input, which may hold what it takes out.
        prefix: the prefix of the call. Raises PlanError if the frame was never tagged.
        """
        from llmframe.quality.tagged import failed_rows

        return failed_rows(self._df, prefix)

    def summary(self, prefix: str = "") -> Any:
        """What the new columns hold: rows by status, and the answers of each field.

        Charts in a notebook, text when printed. prefix: the prefix of the call.
        Raises PlanError if the frame was never tagged.
        """
        from llmframe.quality.summary import summarise

        return summarise(self._df, prefix)

    @short_tracebacks
    def review(
        self,
        field: object,
        n: int = 100,
        order: Order = "design",
        against: object = None,
        blind: bool | str = "auto",
        who: str | None = None,
        twice: float = 0.0,
        learn: float = 0.0,
        highlight: object = None,
        keys: Mapping[Any, str] | str | None = None,
        seed: int = 0,
    ) -> Review:
        """Judge some rows yourself, by keys, so that the column gets a number with an error bar.

        >>> r = out.llm.review("intent", n=100)
        >>> out = r.frame()

        One key decides and shows the next row: 1-9, then letters. u takes the last answer back,
        as often as you like; n puts a row last; h helps. Every key is saved at once in
        ``.llmframe/reviews``; run the cell again to go on, with a larger n to judge more. The call
        returns at once. In a terminal it asks on the line; in a script use ``answer``.

        field: a column that a model has filled. Of a closed choice (or bool) you choose the
            label; of anything else (text, numbers, lists) you say whether the answer is right.
        n: how many rows to judge.
        order: "design" (a sample by label and confidence, the narrowest interval), "random", or
            "both" (the least sure rows and a sample of the others) give an accuracy. "confidence",
            "disagreement" and "suspects" show what most likely is wrong, to mend it; "changed"
            is a sample of the rows that differ from ``against``. These give no accuracy.
        against: another column with the same labels, for "changed" and "disagreement".
        blind: True hides what the model said, because a label that is shown draws people towards
            it. "auto": hidden in samples, shown where rows are mended or an answer is judged.
        who: your name, where several people review. They may do so at the same time.
        twice: the share of rows that are judged a second time, by somebody else if there is one:
            how far people agree is the most that any model can reach.
        learn: the share of a sample that is kept for improving the prompt. Only rows with the
            role "learn" may become examples; they never count in a score.
        highlight: the column with a quote from the text to mark, where nothing is hidden;
            None: ``<field>_evidence``; False: none.
        keys: other keys: a dict of labels and keys, or one character for each label.
        seed: another seed draws other rows; the same seed the same, however the frame is sorted.

        Truth belongs to the text: it counts for later prompts, and for equal texts, too.
        Returns a Review. Raises PlanError if nothing can be drawn, CheckpointError if nothing can
        be saved.
        """
        from llmframe.frame.column_lookup import check_frame
        from llmframe.options.rules import to_whole
        from llmframe.quality.drawing import Wish
        from llmframe.quality.review import open_review
        from llmframe.quality.review_session import Manner

        check_frame(self._df)
        wish = Wish(to_whole(n), order=order, against=against, learn=learn, seed=to_whole(seed))
        manner = Manner(blind=blind, who=who, twice=twice, highlight=highlight, keys=keys)
        return open_review(self._df, field, wish, manner)

    @short_tracebacks
    def score(
        self, field: object, truth: object = None, by: object = None, level: float = 0.95
    ) -> Score:
        """How often a column is right, with an interval.

        >>> out.llm.score("intent", truth="gold")

        field: a column of answers. truth: a column that holds what is right; None takes the
            labels of ``df.llm.review(field)``.
        by: a column; the accuracy is given for each of its groups, too. level: of the intervals.

        Returns a Score: accuracy and accuracy_interval, table (precision, recall and F1 of each
        label), confusion, kappa, ac1, coverage, reliability by confidence, groups, method.
        Only rows with a label count; coverage is their share. Labels are compared by their text,
        so that ``1`` and ``"1"`` are the same. Where only some rows have a truth and nothing says
        that they were drawn by chance, method is "not a sample" and accuracy is NaN.

        Raises PlanError for a column that is not there or holds no labels, for a truth that has
        no label in common with it, and where no row has both.
        """
        from llmframe.quality.scoring.score import score

        return score(self._df, field, truth, by=by, level=level)

    @short_tracebacks
    def shares(self, field: object, by: object = None, level: float = 0.95) -> Shares:
        """How many rows truly have each label, with an interval.

        >>> out.llm.shares("intent")

        The model's labels of all rows are corrected by those that a person gave to a sample
        (``df.llm.review(field)``), which says more than the sample alone. by: a column; the
        shares are given for each of its groups. level: of the intervals.

        Returns Shares: table with a row per label: said (the model's own share), share, low,
        high, reviewed. Raises PlanError as score does.
        """
        from llmframe.quality.scoring.shares import shares

        return shares(self._df, field, by=by, level=level)

    @short_tracebacks
    def compare(self, a: object, b: object, truth: object = None) -> Comparison:
        """Where two columns differ, and which is right more often.

        >>> out.llm.compare("intent_v1", "intent_v2", truth="gold")

        a, b: columns of answers, of two prompts or models. truth: a column that holds what is
            right; only rows that differ need one.

        Returns a Comparison: changed (the rows that differ), churn (from which label to which),
        agreement, kappa, alpha, ac1, and with a truth difference, interval and p. Its
        review(n=50) has a person judge a sample of the changed rows, which says most per row.
        Raises PlanError as score does.
        """
        from llmframe.quality.scoring.compare import compare

        return compare(self._df, a, b, truth=truth, reviewer=self.review)

    @short_tracebacks
    def threshold(self, field: object, accuracy: float = 0.95, sure: float = 0.95) -> Threshold:
        """The confidence from which on labels are right often enough.

        >>> found = out.llm.threshold("intent", accuracy=0.95)
        >>> out.llm.tag("text", fields, model="a-stronger-one", where=found.rows)

        It needs a confidence (``confidence="logprob"`` or ``votes=3``) and a reviewed sample
        (``df.llm.review(field)``). accuracy: the share that shall be right; sure: how certain
        that has to be.

        Returns a Threshold: value (None if the sample shows none), rows (the mask of the rows
        that are not so sure, for ``where=``), kept (the share that is), table, and needed, about
        how many more rows to review. Raises PlanError as score does, and without a confidence.
        """
        from llmframe.quality.scoring.threshold import threshold

        return threshold(self._df, field, accuracy=accuracy, sure=sure)

    @short_tracebacks
    def suspects(self, field: object) -> pd.DataFrame:
        """The rows whose answer most likely is wrong, with the reason, the worst first.

        >>> out.iloc[out.llm.suspects("intent")["position"].head(20)]

        They are rows whose nearly equal texts have another label, with little confidence or
        agreement between votes, with a rare label, or with an answer for which no quote was
        found in the text. They are for a look, not for a score: ``score`` needs a sample.

        Returns a DataFrame: position (of the row in the frame), reason, score (0 to 1).
        Raises PlanError for a column that is not there or holds no labels.
        """
        from llmframe.quality.suspects import suspects

        return suspects(self._df, field)

    @_export
    def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        compression: str | None = "zstd",
        compression_level: int | None = None,
        row_group_size: int | None = None,
        index: bool | None = None,
    ) -> Path:
        """Write a parquet file with column types and what made it; returns its path.

        >>> out.llm.to_parquet("tagged.parquet")

        path: where to write; ``~`` is the home folder. An old file is replaced in one step
            once the new one is complete and on the disk.
        compression: "zstd", "snappy", "gzip", "brotli", "lz4" or None. compression_level
            (of that method) and row_group_size (rows): None is pyarrow's default.
        index: True writes it, False does not; None does as pandas does.

        A column that llmframe wrote has the type of its field, whatever its cells hold, so
        the files of a table's parts fit together. Models become structs, or JSON text if
        they have no fixed form; ``list[...]`` becomes a list. Your own columns keep their
        dtype; Python objects of mixed types are written as text, and cells that have no text
        are empty, each with one warning. geopandas reads its geometries back.

        ``llmframe.read_parquet(path)`` returns the same frame; ``pandas.read_parquet`` all
        but choices of numbers, lists, JSON text, and the labels of a choice without rows.
        ``llmframe.read_metadata(path)`` returns what made the file: no key, no row's text.

        Warns once (IncompleteWarning) if rows are pending. Raises PlanError for a path
        that cannot be written, for two columns of one name, or without pyarrow;
        LLMFrameError when the disk is full or fails.
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

    @_export
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
        """Write a CSV file that people can open in a spreadsheet; returns its path.

        >>> out.llm.to_csv("tagged.csv")

        path: where to write; .gz, .bz2 and .xz compress. Replaced as by to_parquet.
        excel_safe: put ``'`` before every text (cells, headers, index) that a spreadsheet
            would run as a formula: one that begins with = + - @, a tab, a carriage return
            or NUL, even behind blanks. Numbers stay as they are. False: for programs.
        index: True writes it, False does not; None does unless it is just 0, 1, 2, ...
        sep: one character; Excel expects ";" where decimals are written with a comma.
        encoding: "utf-8-sig" starts with the mark by which Excel recognises UTF-8.
        na_rep: the text for a missing value. decimal, float_format, date_format: see pandas.

        Lists and dicts are written as JSON, columns of several levels are named ``a.b``.
        CSV keeps neither types nor metadata; to_parquet does. Warns and raises like it.
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

    @_export
    def to_jsonl(self, path: str | os.PathLike[str], *, index: bool | None = None) -> Path:
        """Write JSON lines in UTF-8, one object for each row; returns the path.

        >>> out.llm.to_jsonl("tagged.jsonl.gz")

        path: where to write; .gz, .bz2 and .xz compress. Replaced as by to_parquet.
        index: True writes it, False does not; None does unless it is just 0, 1, 2, ...

        Lists and models stay lists and objects, missing is null, dates are ISO text,
        infinity is the text "inf". Columns of several levels are named ``a.b``. Warns and
        raises like to_parquet.
        """
        from llmframe.frame.export import files

        return files.to_jsonl(self._df, path, index=index)

    @_export
    def to_excel(
        self,
        path: str | os.PathLike[str],
        *,
        sheet_name: str = "Sheet1",
        index: bool | None = None,
    ) -> Path:
        """Write an Excel workbook with one sheet; returns its path.

        >>> out.llm.to_excel("tagged.xlsx")

        path: where to write, ending in .xlsx. Replaced as by to_parquet.
        sheet_name: 1 to 31 characters.
        index: True writes it, False does not; None does unless it is just 0, 1, 2, ...

        Text stays text, even if it looks like a formula or one of Excel's escapes; dates,
        times of day and durations are Excel's own. These become text too: lists and dicts
        (JSON), times with a time zone, dates before March 1900 (ISO), negative durations,
        and whole numbers of more than 15 digits, which Excel would round. Characters that
        Excel cannot hold are left out and texts cut to 32,767 characters, with one warning.
        ``llmframe.read_metadata(path)`` returns what made the file.

        Needs the package openpyxl. Warns and raises like to_parquet; PlanError above
        1,048,575 rows, which is all that a sheet holds.
        """
        from llmframe.frame.export import files

        return files.to_excel(self._df, path, sheet_name=sheet_name, index=index)


class SeriesLLMAccessor(_Accessor):
    """Ask a language model about every text of a column.

    >>> tones = df["text"].llm.tag({"tone": ["good", "bad"]})
    """

    _name = "series.llm"
    _usage = 'it has tag(fields) alone; for the rest use the frame: df.llm.tag("text", fields)'

    def __init__(self, series: pd.Series[Any]) -> None:
        self._series = series

    @with_options(doc=api.tag_series)
    def tag(self, fields: object, **options: Unpack[Options]) -> pd.DataFrame:  # noqa: D102
        return api.tag_series(self._series, fields, **options)


def llm(df: pd.DataFrame) -> LLMAccessor:
    """The same as ``df.llm``, for when another package uses that name."""
    from llmframe.frame.column_lookup import check_frame

    check_frame(df)
    return LLMAccessor(df)


def register() -> None:
    """Add ``df.llm`` and ``series.llm``; warn if another package uses the name already."""
    for owner, accessor, decorate in (
        (pd.DataFrame, LLMAccessor, pd.api.extensions.register_dataframe_accessor),
        (pd.Series, SeriesLLMAccessor, pd.api.extensions.register_series_accessor),
    ):
        held = getattr(owner, "llm", None)
        module = getattr(held, "__module__", "?")
        if held is not None and module.startswith("llmframe."):
            delattr(owner, "llm")  # this module was reloaded, and pandas would warn of the old one
        elif hasattr(owner, "llm"):
            holder = f"{module}.{getattr(held, '__name__', type(held).__name__)}"
            warn(
                f"{owner.__name__}.llm belongs to {holder}; llmframe leaves it alone. These always "
                "work: lf.tag(df, ...), lf.start(df, ...), lf.llm(df)",
            )
            continue
        decorate("llm")(accessor)
