"""``propose_labels``: labels with descriptions, for texts that have none yet.

Its two steps, reading a sample and grouping what was named there, are runs of one task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from llmframe.calls.tag import refuse_await, run_in_cell
from llmframe.errors import LLMFrameError, PlanError
from llmframe.options.layers import settle, whole_number
from llmframe.options.settings import OPTIONS, Options
from llmframe.options.signature import with_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from llmframe.notebook.proposed_labels import ProposedLabels
    from llmframe.options.settings import Settings
    from llmframe.task.labels.themes import Entry, Theme, Wanted

# what is about new columns or about single rows, or means something else here
WITHOUT = (
    *(name for name, option in OPTIONS.items() if option.group in ("Columns", "Trust")),
    *("seed", "id", "adopt", "extend", "examples", "pick", "workers"),
    *("on_error", "on_incomplete", "mode", "batch_fallback", "runner"),
)
LEAST_LEFT = 1e-9  # of a budget that is spent: a limit is above 0


@with_options(without=WITHOUT)
def propose_labels(  # type: ignore[misc] # its seed= is the sample's
    df: pd.DataFrame,
    input: object,  # noqa: A002 - the contract's name
    n: int = 300,
    *,
    k: int | None = None,
    seeds: Iterable[str] | Mapping[str, str] | None = None,
    seed: int = 0,
    **options: Unpack[Options],
) -> ProposedLabels:
    """Propose labels for texts that have none: a model reads a sample and names its themes.

    >>> labels = df.llm.propose_labels("text")
    >>> del labels["praise"]                                   # edit it as any dict
    >>> labels["warranty"] = "Repairs, and what is covered."
    >>> out = df.llm.tag("text", {"intent": labels}, other="other")

    input: what to read, as in ``tag``: a column, a template, or a list of columns.
    n: texts to read, at most: a random sample of those that differ and are not blank.
    k: how many labels; None: as few as tell the matters apart, at most 20.
    seeds: labels that you have already, as a list or a dict with descriptions: they are kept as
        they are written, count as part of ``k``, and others are added for the rest.
    seed: of the sample. The same seed over the same rows asks the same questions, so that a
        second call costs nothing.

    {options}

    ``instructions`` says what the labels are for ("by product", "for the returns team").
    About 30 texts are read by one request, the first 1,000 characters of each, and one or two
    more requests make one list of what they named: some 11 requests for 300 texts.

    The cell waits and shows the progress. Run it again to go on where it stopped.

    Returns a dict of labels and descriptions, which ``tag`` takes as a field. Displayed it shows
    each label's share of the sample with examples, and what no label covers; ``labels.sample``
    holds every text of the sample with its label, on the frame's index; ``labels.shares`` and
    ``labels.other`` are the shares. The shares are the model's own, not checked by anybody.

    Raises as ``tag`` does, and LLMFrameError where the answers name no label.
    """
    from llmframe.notebook.proposed_labels import ProposedLabels

    refuse_await("propose_labels")
    settings = settle(options, without=WITHOUT, call="propose_labels")
    wanted = _wanted(k, seeds, settings.instructions)
    numbers = {"n": whole_number("n", n, least=1), "seed": whole_number("seed", seed, least=0)}
    drawn, index = _draw(df, input, settings, **numbers)
    themes, read = _read_and_group([*drawn], wanted, settings)
    label_of = {text: theme.label for theme in themes for text in theme.texts}
    sample = [(label_of.get(at), text) for at, text in enumerate(drawn) if at in read]
    rows = index.take([position for at, position in enumerate(drawn.values()) if at in read])
    described = {theme.label: theme.description for theme in themes}
    unread = len(drawn) - len(read)
    labels = ProposedLabels(
        described, sample=sample, index=rows, rows=len(index), unread=unread, input=input
    )
    if settings.progress is not False:
        labels.show()
    return labels


def _wanted(k: object, seeds: object, instructions: str) -> Wanted:
    """What is asked of the labels; PlanError where it cannot be."""
    from llmframe.task.choices import check_labels
    from llmframe.task.labels.themes import Wanted
    from llmframe.task.text import excerpt

    many = None if k is None else whole_number("k", k, least=2)
    if isinstance(seeds, str) or not isinstance(seeds, Iterable | None):
        raise PlanError(f"seeds={seeds!r} is not valid; it takes a list of labels, or a dict")
    # a column of labels has no truth value, and a list may hold what no dict takes
    labels = () if seeds is None else seeds
    pairs = [*(labels.items() if isinstance(labels, Mapping) else ((one, "") for one in labels))]
    for label, description in pairs:
        if not isinstance(label, str):
            raise PlanError(f"seeds= has the label {excerpt(label)}; its labels must be texts")
        if not isinstance(description, str):
            raise PlanError(
                f"seeds= describes {excerpt(label)} by {excerpt(description)}; give a text"
            )
    given = dict(pairs)
    kept = check_labels("seeds", given) if given else ()
    # k counts the kept labels, too
    if many is not None and len(kept) > many:
        raise PlanError(f"k={many} is less than the {len(kept)} labels of seeds=; raise it")
    named = dict(zip(map(str, kept), given.values(), strict=True))
    return Wanted(k=many, seeds=named, own=instructions)


def _draw(
    df: pd.DataFrame,
    input: object,  # noqa: A002
    settings: Settings,
    *,
    n: int,
    seed: int,
) -> tuple[dict[str, int], pd.Index[Any]]:
    """Texts of random rows as they are sent, in random order; the index of the rows to read.

    Each text with the position of its row.
    """
    import numpy as np

    from llmframe.calls.plan import rows_of, rules_of
    from llmframe.frame.sample import draw
    from llmframe.frame.selection import selected

    asked, rows = rows_of(df, input, settings, selected(df, settings.where))
    rules = rules_of(settings)
    positions = draw(rows, n, seed=seed).at
    found: dict[str, int] = {}
    # a frame that is sorted would show each request one theme alone
    for position in np.random.default_rng(seed).permutation(positions).tolist():
        text = rules.prepare(rows.text(position))
        if isinstance(text, str):
            # redacting may make two texts equal: such a text is read once
            found.setdefault(text, position)
    if not found:
        raise PlanError(f"there is no text to read: {input!r} has none that can be sent")
    return found, asked.index


def _read_and_group(
    texts: Sequence[str], wanted: Wanted, settings: Settings
) -> tuple[list[Theme], frozenset[int]]:
    """The themes that are proposed, and the numbers of the texts that were read."""
    from llmframe.notebook.drawing.format import plural
    from llmframe.task.labels import themes as task

    settings = replace(
        settings,
        instructions=wanted.instructions(),
        where=None,
        redact=None,  # every text has been through it, by itself
        max_input_tokens=None,
        on_incomplete="raise",  # a list made of a part would look whole
    )
    entries = task.text_entries(texts)
    done = f"{plural(len(texts), 'text')} read"
    named, read, settings = _group(entries, task.TEXTS, settings, done)
    themes = task.united(named)
    is_one_list = len([*task.in_records(entries, task.TEXTS)]) == 1
    for _ in range(task.ROUNDS):
        if len(themes) < 2 or (is_one_list and len(themes) <= wanted.most):
            break
        is_one_list = len(themes) <= task.MOST_THEMES
        # the same task again, now over labels: one budget and one file serve both steps
        entries, done = task.theme_entries(themes), f"{plural(len(themes), 'theme')} grouped"
        named, _, settings = _group(entries, task.MOST_THEMES, settings, done)
        themes = task.united(task.with_forgotten(named, themes, len(texts)))
    if not any(theme.texts for theme in themes):
        raise LLMFrameError(
            f"the answers name no label for the {len(read)} texts that were read; try another "
            "model, or say in instructions= what the labels are for"
        )
    labels = task.chosen(themes, wanted)
    if len(labels) == 1:  # no choice is left to a field with one label
        labels.append(task.Theme(task.OTHER, "Everything else."))
    return labels, read


def _group(
    entries: Sequence[Entry], most: int, settings: Settings, done: str
) -> tuple[list[Theme], frozenset[int], Settings]:
    """The groups that a model makes of entries; the texts it has read; what may still be spent.

    done: the step in a few words, for the person.
    """
    import pandas as pd

    from llmframe.calls.plan import plan
    from llmframe.notebook.drawing.spending import step_words
    from llmframe.task.labels import themes as task

    records = [*task.in_records(entries, most)]
    frame = pd.DataFrame({"entries": [task.record_text(record) for record in records]})
    make_plan = partial(plan, frame, "entries", task.FIELDS)
    out = run_in_cell(settings, make_plan, in_short=partial(step_words, done))
    answered = [
        (record, groups)
        for record, groups, status in zip(records, out["groups"], out["llm_status"], strict=True)
        if status == "ok"
    ]
    if not answered:
        raise LLMFrameError(
            f"no request was answered: {out['llm_error'].iloc[0]}. Run the cell again to retry"
        )
    named = [theme for record, groups in answered for theme in task.themes_in(groups, record)]
    read = frozenset(text for record, _ in answered for entry in record for text in entry.texts)
    return named, read, _after(settings, out.attrs["llmframe"])


def _after(settings: Settings, spent: Mapping[str, Any]) -> Settings:
    """The settings of the next run: without a checkpoint it does not know what this one spent."""
    if settings.checkpoint is not False:
        return settings
    cost, tokens = settings.max_cost, settings.max_tokens
    used = spent["tokens_in"] + spent["tokens_out"]
    return replace(
        settings,
        max_cost=None if cost is None else max(cost - (spent["cost"] or 0.0), LEAST_LEFT),
        max_tokens=None if tokens is None else max(tokens - used, 1),
    )
