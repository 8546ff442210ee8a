"""``llmframe.load``: the answers of a checkpoint put on a frame, without a request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from llmframe.calls.identity import keys_of_settings, normal_of
from llmframe.errors import PlanError
from llmframe.frame.checkpoints import read_task, specs_of
from llmframe.frame.column_lookup import ColumnLookup, check_frame
from llmframe.frame.columns import add_columns, plan_columns
from llmframe.frame.rows import RowPlan, plan_rows
from llmframe.options.settings import Settings
from llmframe.results import SKIPPED, SPENT, Results, RowResult, UsageSum
from llmframe.task.fields import FieldSpec, Kind
from llmframe.task.keys import prompt_hashes
from llmframe.task.text import excerpt, quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterator

    import pandas as pd

    from llmframe.journal.reading import Answers, FoundTask
    from llmframe.task.keys import KeyMaker, Question

SLICE = 10_000  # rows whose texts are made together


def load(
    checkpoint: str | os.PathLike[str],
    df: pd.DataFrame,
    *,
    input: object,  # noqa: A002 - the contract's name
    id: Hashable | None,  # noqa: A002 - the contract's name
    task: str | None,
    prefix: str,
    overwrite: bool,
) -> pd.DataFrame:
    """See llmframe.load."""
    check_frame(df)
    found, answers = read_task(checkpoint, task, siblings=True)
    specs = specs_of(found.settings)
    if not specs:
        raise PlanError(
            f"{checkpoint} does not say which fields were asked for: that line is damaged or was "
            "edited. lf.read_checkpoint(path) shows the answers by id"
        )
    by = (
        _by_text(df, input, found, answers) if id is None else _by_id(df, id, input, found, answers)
    )
    if len(df) and not by.hits:
        raise _no_row(df, found, checkpoint, by_id=id is not None)
    rows, question = by.rows, normal_of(found.settings)
    results, used = _results(by, answers)
    votes: Literal[1, 3] = 3 if answers.has_votes else 1
    has_confidence = votes == 1 and any(answers.confidences)
    settings = Settings(
        prefix=prefix,
        overwrite=overwrite,
        votes=votes,
        confidence="logprob" if has_confidence else None,
    )
    plan = plan_columns(
        df,
        [_named(spec, rows) for spec in specs],
        settings,
        inputs=rows.reserved,
        task=found.digest[:12],
        prompts=_prompts(question, by.form, found),
    )
    info = _info(found, results, used) | {"checkpoint": str(checkpoint)}
    return add_columns(df, plan, results, info=info | {"inputs": [*map(str, rows.columns)]})


@dataclass(frozen=True, slots=True)
class Matched:
    """The rows of a frame, and where the answer to each is; None for those without one.

    form: of the input, as JSON; {} where it is not known.
    """

    rows: RowPlan
    at: list[int | None]
    form: dict[str, Any]

    @property
    def hits(self) -> int:
        """Rows with an answer, or a failure."""
        return len(self.at) - self.at.count(None)


def _by_text(df: pd.DataFrame, given: object, found: FoundTask, answers: Answers) -> Matched:
    """The rows by the texts that the call has sent."""
    keys = keys_of_settings(found.digest, found.settings)
    if keys is None:
        raise PlanError(
            "the answers cannot be found by the rows' texts, because a password or a key was left "
            "out of the options that the checkpoint notes. Give id=<column> if the call had it, "
            "or make the same call again: saved answers cost nothing"
        )
    best: Matched | None = None
    for rows in _candidates(df, given, found):
        made = Matched(rows, [*_positions(rows, keys, answers)], rows.form)
        # several columns may share some texts; the input is the one with most answers
        if best is None or made.hits > best.hits:
            best = made
        if made.hits and rows.form == found.form:  # noted: no other column is tried
            break
    if best is None:
        raise PlanError("the frame has no column whose cells are texts; give input=")
    return best


def _candidates(df: pd.DataFrame, given: object, found: FoundTask) -> Iterator[RowPlan]:
    """The rows as texts: of the input that is given, or noted, or of any one column."""
    if given is not None:
        yield plan_rows(df, given)
        return
    noted = _noted(found)
    for input in (*filter(None, [noted]), *df.columns):  # noqa: A001
        try:
            yield plan_rows(df, input)
        except PlanError:  # no such column, several of the name, or cells that have no text
            continue


def _noted(found: FoundTask) -> Any:
    """The input of the call as the checkpoint notes it; None where it does not."""
    return next(iter(found.form.values()), None)


def _positions(rows: RowPlan, keys: KeyMaker, answers: Answers) -> Iterator[int | None]:
    for start in range(0, rows.n, SLICE):
        for text in rows.texts(start, start + SLICE):
            yield answers.of_key(keys.key(text)) if isinstance(text, str) else None


def _by_id(
    df: pd.DataFrame,
    id: Hashable,  # noqa: A002
    given: object,
    found: FoundTask,
    answers: Answers,
) -> Matched:
    """The rows by the ids that the call has noted, whatever their texts are now."""
    column = ColumnLookup(df).resolve(id, option="id")
    rows = plan_rows(df, column if given is None else given, id=column)
    ids = rows.ids(0, rows.n) or []
    at = [None if one is None else answers.of_id(one) for one in ids]
    return Matched(rows, at, found.form if given is None else rows.form)


def _no_row(df: pd.DataFrame, found: FoundTask, checkpoint: object, *, by_id: bool) -> PlanError:
    fields = quoted([spec.name for spec in specs_of(found.settings)])
    cure = (
        "give the column of ids that the call had, or leave id= out to find answers by text"
        if by_id
        else "if the call took a template or several columns, give the same input=; if redact= or "
        "on_long= changed its texts, give id=<column> if it had one, or make the same call again: "
        "saved answers cost nothing"
    )
    return PlanError(
        f"{checkpoint} has no answer to any of the {len(df):,} rows (its task asked "
        f"{found.settings.get('model')} for {fields}{_read_from(df, found)}): it may be of "
        f"another table, and lf.history() lists all. Else {cure}"
    )


def _read_from(df: pd.DataFrame, found: FoundTask) -> str:
    """What the call read, and why this frame does not have it, as the end of a sentence."""
    if (noted := _noted(found)) is None:
        return ""
    try:
        plan_rows(df, noted)
    except PlanError as exc:
        why = str(exc).removeprefix("input: ").removesuffix(".")
        return f"; its call read {excerpt(noted)}, and here {why}"
    return f"; its call read {excerpt(noted)}"


def _prompts(question: Question, form: dict[str, Any], found: FoundTask) -> dict[str, str] | None:
    """The prompts that the answers are to; None where the checkpoint does not say all of them."""
    if not question or not form:
        return None
    if "examples" not in question:
        return prompt_hashes(question, form)
    # of examples the settings hold one hash for all fields together; earlier versions noted no more
    known = form == found.form and {spec.name for spec in specs_of(question)} <= {*found.prompts}
    return found.prompts if known else None


def _named(spec: FieldSpec, rows: RowPlan) -> FieldSpec:
    """The field, with the column's name that ``embed`` gives a vector."""
    if spec.kind is not Kind.VECTOR or len(rows.columns) != 1:
        return spec
    return replace(spec, column=f"{rows.columns[0]}_embedding")


def _results(by: Matched, answers: Answers) -> tuple[Results, UsageSum]:
    """The result of every row, and what the answers took, each of them once."""
    rows, results, used = by.rows, Results(by.rows.n), UsageSum()
    for position, where in enumerate(by.at):
        answer = answers.result(where)
        # blank rows are skipped, as tag does; ids alone do not say which are blank
        if answer is None and by.form == rows.form:
            text = rows.text(position)
            answer = SKIPPED if text is None else text if isinstance(text, RowResult) else None
        if answer is not None:
            results[position] = answer
    used.add(*(one.usage for one in map(answers.result, {*by.at}) if one is not None))
    return results, used


def _info(found: FoundTask, results: Results, used: UsageSum) -> dict[str, Any]:
    """What ``attrs["llmframe"]`` says about the answers: this call has cost nothing."""
    statuses = Counter("pending" if one is None else one.status for one in results)
    total, host = used.total, urlsplit(str(found.settings.get("endpoint"))).hostname
    counts = {name: statuses[name] for name in ("ok", "failed", "skipped", "pending")}
    return {
        "model": found.settings.get("model"),
        "endpoint": host,
        "counts": {"rows": len(results), **counts},
        "tokens_in": 0,
        "tokens_cached": 0,
        "tokens_out": 0,
        "cost": 0.0,
        "currency": total.currency,
        "table": {name: getattr(total, name) for name in SPENT},
    }
