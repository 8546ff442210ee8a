"""Options that must fit each other, the fields, the rows and the provider; else PlanError."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.errors import PlanError
from llmframe.frame.records import Records
from llmframe.frame.rows import RowPlan
from llmframe.providers.batch_limits import batch_limits
from llmframe.task.confidence import is_choice
from llmframe.task.prompt import Prompt

if TYPE_CHECKING:
    from llmframe.options.settings import Settings
    from llmframe.providers.destination import Destination


def check_options(settings: Settings, prompt: Prompt, rows: RowPlan | Records) -> None:
    """Raise PlanError for options that do not fit each other, the fields or the rows."""
    if settings.confidence is not None and not any(map(is_choice, prompt.fields.specs)):
        raise PlanError(
            'confidence="logprob" is the probability of a label, and no field is a closed choice; '
            "leave it out, or ask for one of a list of labels"
        )
    if settings.votes != 1:
        _check_votes(settings, prompt)
    _check_forms(settings, prompt)
    # Without a length to cut to the option would do nothing, and nobody would notice.
    if settings.on_long == "truncate" and settings.max_input_tokens is None:
        raise PlanError(
            'on_long="truncate" needs a length to cut to: give max_input_tokens=<tokens of a text, '
            "reckoned as a quarter of its UTF-8 bytes>"
        )
    if settings.adopt and isinstance(rows, RowPlan):
        if settings.checkpoint is False or settings.id is None:
            raise PlanError(
                "adopt=True takes over a file by ids: give checkpoint=<path> and id=<column>"
            )
        # An id that two rows share does not say to which of them a plain line belongs.
        rows.check_unique_ids()


def _check_votes(settings: Settings, prompt: Prompt) -> None:
    if not any(map(is_choice, prompt.fields.specs)):
        raise PlanError(
            f"votes={settings.votes!r} counts how many answers agree on a label, and no field is a "
            "closed choice; leave it out, or ask for one of a list of labels"
        )
    if settings.confidence is not None:
        raise PlanError(
            f'confidence="logprob" and votes={settings.votes!r} both say how sure a label is; give '
            "one of them (votes= needs nothing of the endpoint, and costs more)"
        )
    if settings.mode == "batch":
        raise PlanError(
            f'votes={settings.votes!r} asks again once an answer is back, which in mode="batch" '
            'takes up to a day each time; run mode="batch" without votes= first, then the same '
            'call with votes= and without mode="batch": it takes those answers as first votes'
        )


def _check_forms(settings: Settings, prompt: Prompt) -> None:
    """Raise PlanError where a field's other form is asked for, and no field has one."""
    specs = prompt.fields.specs
    parts = [part for spec in specs for part in spec.parts]
    if settings.flatten and not parts:
        raise PlanError(
            "flatten=True gives the values of a nested model columns of their own, and no field is "
            "a nested model; leave it out"
        )
    if settings.explode is None or any(spec.items for spec in specs):
        return
    is_inside = any(part.items for part in parts)
    if not (is_inside and settings.flatten):
        cure = "give flatten=True, too" if is_inside else "leave it out"
        raise PlanError(
            'explode="indicator" gives each label of list[Literal["a", "b"]] a column of its own, '
            f"and no field is such a list; {cure}"
        )


def batch_settings(destination: Destination, rows: RowPlan | Records) -> Settings:
    """The destination's settings; PlanError for what cannot be done in batches."""
    settings = destination.settings
    if settings.mode == "live":
        if settings.batch_fallback is not None:
            raise PlanError(
                'batch_fallback="live" is for the rows that a batch leaves unanswered: give '
                'mode="batch" with it, or leave it out'
            )
        return settings
    if isinstance(rows, Records):
        raise PlanError('mode="batch" needs all rows at once, and a stream gives them one by one')
    if settings.checkpoint is False:
        raise PlanError(
            'mode="batch" needs a checkpoint: its answers come hours later, perhaps to another '
            "kernel, which finds them by it. Leave out checkpoint=False"
        )
    if settings.hedge:
        raise PlanError('hedge=True asks the slowest rows again, and mode="batch" has none')
    known = None if destination.file else batch_limits(destination.endpoint.base_url)
    if known is None and settings.batch_fallback is None:
        raise PlanError(
            f'{destination.title} has no Batch API like OpenAI\'s: leave out mode="batch", or give '
            'batch_fallback="live" to ask all rows live there'
        )
    return settings
