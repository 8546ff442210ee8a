"""The grids of ``python -m tests.benchmarks.trust``: does every interval keep its promise?"""

import pytest

from tests.kits import trust_grid as grid

TIMES = 300  # reviews in each cell; the benchmark has 1,000, which take eight minutes


@pytest.mark.soak
@pytest.mark.parametrize(
    "cells",
    [
        grid.accuracy_grid,
        grid.shares_grid,
        grid.metrics_grid,
        grid.threshold_grid,
        grid.changed_grid,
    ],
)
def test_every_cell_of_the_grid_keeps_its_promise(cells):
    assert [cell for cell in cells(TIMES) if not cell.met] == []
