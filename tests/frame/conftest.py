"""The frame that most of these tests start from."""

import pandas as pd
import pytest


@pytest.fixture
def df():
    return pd.DataFrame({"text": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]}, index=[7, 7, 8, 7])
