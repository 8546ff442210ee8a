"""``embed``: a vector for every text of a column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from llmframe.calls.tag import run_in_cell
from llmframe.errors import PlanError
from llmframe.options.layers import settle, whole_number
from llmframe.options.rules import COLUMN
from llmframe.options.settings import Options
from llmframe.options.signature import with_options

if TYPE_CHECKING:
    import pandas as pd

# what is said to a model that writes, or is about fields
WITHOUT = (
    *("instructions", "temperature", "seed", "max_output_tokens", "api", "hedge", "confidence"),
    *("votes", "evidence", "extend"),
    *("adopt", "into", "runner", "service_tier", "mode", "batch_fallback", "other", "abstain"),
    *("explode", "flatten", "examples", "pick"),
)
OF_A_MODEL = ("model", "extra_body", "prices", "rpm", "tpm")  # configured for the one that writes


@with_options(without=WITHOUT)
def embed(  # type: ignore[misc] # its into= has a default of its own
    df: pd.DataFrame,
    column: object,
    *,
    into: str | None = None,
    dimensions: int | None = None,
    batch_size: int | None = None,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Turn every text of a column into a vector (an embedding), and return a new frame.

    >>> out = df.llm.embed("text", model="text-embedding-3-small")
    >>> vectors = np.stack(out["text_embedding"])  # float32, (rows, numbers of a vector)

    column: the name of a column of texts, or a template such as ``"{title}: {body}"``, which
        needs ``into=``.
    into: the new column; None: ``<column>_embedding``.
    dimensions: numbers of a vector, for models that can shorten it; None: the model's own.
    batch_size: texts in one request, at most; None: 100, or what the provider takes if that is
        less. Where it still is too many, smaller requests are sent.

    {options}

    ``model`` must be given: what ``configure`` has set is for a model that writes, and so are
    ``extra_body``, ``prices``, ``rpm`` and ``tpm``. Only input tokens cost anything.

    The cell waits and shows the progress. Run it again to go on where it stopped: saved
    vectors are never paid for twice. Equal texts are asked once. The frame itself is not changed.

    Returns the old columns, then the vectors, then ``llm_status`` and ``llm_error`` as ``tag``
    gives them. A cell of the new column is a NumPy array of float32, all of one length, or None
    where the row was skipped (blank), failed or is pending; ``out.dropna(subset=[...])`` leaves
    those out. ``out.llm.to_parquet`` writes the column as one fixed-size list.

    A text that the model does not take (too long, filtered) fails alone, whichever texts were
    sent with it. Raises as ``tag`` does: PlanError before anything is sent, RunAborted where no
    row can succeed, CheckpointError when vectors can no longer be saved.
    """
    from llmframe.calls.plan import Embedding, plan_embedding

    of_others = [name for name in OF_A_MODEL if name not in options]
    settings = settle(options, without=(*WITHOUT, *of_others), call="embeddings")
    if not options.get("model"):
        raise PlanError(
            'embed needs an embedding model by name: model="text-embedding-3-small", for example; '
            "a model that answers tag makes no embeddings"
        )
    if into is not None and not COLUMN.accepts(into):
        raise PlanError(f"into={into!r} is not valid; it takes {COLUMN.takes}")
    numbers = {"dimensions": dimensions, "batch_size": batch_size}
    given = {
        name: whole_number(name, number, least=1)
        for name, number in numbers.items()
        if number is not None
    }
    return run_in_cell(
        settings, partial(plan_embedding, df, column, embedding=Embedding(into, **given))
    )
