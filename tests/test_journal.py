"""The checkpoint as a run uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmframe.engine.journal import TaskInfo, open_checkpoint
from llmframe.engine.results import RowResult, Usage

if TYPE_CHECKING:
    from pathlib import Path

TASK = TaskInfo(bytes(range(16)), {"model": "m"})
KEY = b"k" * 16
ANSWER = RowResult("ok", {"intent": "退款"}, attempts=2, usage=Usage(10, 3, 0.5))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / ".llmframe"


def test_an_answer_is_there_again_after_reopening(folder: Path) -> None:
    first = open_checkpoint(True, TASK, folder=folder)
    assert first is not None
    first.append(KEY, ANSWER)
    first.close()
    second = open_checkpoint(True, TASK, folder=folder)
    assert second is not None
    assert second.get(KEY) == ANSWER
    second.close()
