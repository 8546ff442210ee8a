"""``df.llm`` beside tagging: the failed rows, and what the columns hold."""

from __future__ import annotations

import pandas as pd
import pytest

from llmframe.errors import PlanError

DF = pd.DataFrame({"text": ["a parcel", "a bill", "<bad>", None]}, index=[5, 5, 7, 8])


@pytest.fixture
def tagged(configured):
    configured.update(fault_rows={"<bad>": "context"})
    return DF.llm.tag("text", {"intent": ["x", "y"]})


def test_the_failed_rows_are_shown_beside_their_text(tagged):
    failed = tagged.llm.errors()
    assert failed["text"].tolist() == ["<bad>"]
    assert failed.index.tolist() == [7]
    assert failed["llm_error"].iloc[0].startswith("context_length: ")


def test_the_summary_counts_rows_and_answers(tagged):
    summary = tagged.llm.summary()
    assert summary.counts == {"ok": 2, "failed": 1, "skipped": 1, "pending": 0}
    assert summary.model == "test-model"
    assert summary.tokens_in > 0
    assert "<bad>" not in summary._repr_html_()


def test_a_frame_that_was_never_tagged_has_neither():
    for read in (DF.llm.errors, DF.llm.summary):
        with pytest.raises(PlanError, match="tag it first"):
            read()


def test_a_run_is_shown_as_text_outside_a_notebook(tagged):
    import llmframe as lf

    with pytest.raises(NotImplementedError):  # IPython then takes the repr
        lf.last_run()._ipython_display_()
    assert "finished" in repr(lf.last_run())
