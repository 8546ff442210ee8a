"""A checkpoint for the tests of the pipeline."""

from __future__ import annotations

import pytest

from tests.kits.journal import opened


@pytest.fixture
def checkpoint(tmp_path):
    with opened(tmp_path / "c.jsonl", tmp_path) as each:
        yield each
