"""The sample of a preview: seeded, distinct, spread over groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from llmframe.frame.rows import plan_rows
from llmframe.frame.sample import draw

CELLS = st.lists(st.sampled_from(["a", "b", "c", "d", "", None, 1, 2.5]), max_size=40)


@given(CELLS, st.integers(1, 12), st.integers(0, 3), st.booleans())
def test_any_sample_is_distinct_without_blanks_and_in_frame_order(cells, n, seed, by):
    df = pd.DataFrame({"text": pd.Series(cells, dtype=object)})
    groups = pd.Series([len(str(cell)) for cell in cells], dtype=object) if by else None
    rows = plan_rows(df, "text")
    sample = draw(rows, n, seed=seed, groups=groups)
    texts = rows.texts(0, rows.n)
    drawn = [texts[at] for at in sample.at]
    known = [text for text in texts if text is not None]
    assert None not in drawn
    assert len(set(drawn)) == len(drawn) == min(n, len(set(known)))
    assert sample.at.tolist() == sorted(sample.at)
    assert sample.alike == [known.count(text) for text in drawn]
    assert (sample.rows, sample.distinct) == (len(known), len(set(known)))
    again = draw(rows, n, seed=seed, groups=groups)
    assert again.at.tolist() == sample.at.tolist()


def test_every_row_is_drawn_as_often_as_any_other():
    rows = plan_rows(pd.DataFrame({"text": [f"row {n}" for n in range(20)]}), "text")
    drawn = np.bincount(np.concatenate([draw(rows, 5, seed=s).at for s in range(2000)]))
    assert drawn.min() > 420
    assert drawn.max() < 580  # of 500; four standard deviations are 77


def test_each_group_has_as_many_rows_as_any_other_as_far_as_it_has_them():
    df = pd.DataFrame({"text": [f"row {n}" for n in range(100)]})
    groups = pd.Series(["big"] * 90 + ["small"] * 8 + ["tiny"] * 2)
    sample = draw(plan_rows(df, "text"), 12, seed=3, groups=groups)
    assert groups.iloc[sample.at].value_counts().to_dict() == {"big": 5, "small": 5, "tiny": 2}
