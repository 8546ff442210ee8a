"""Any values, any order of runs and crashes: the checkpoint against a plain dict."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmframe.journal import TaskInfo, open_checkpoint
from llmframe.results import RowResult, Usage
from tests.kits.journal import FAILED, OTHER_TASK, TASK, QuickOps, answer, key, opened

pytestmark = pytest.mark.usefixtures("folder")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WITH_LONE_SURROGATES = ["Lu", "Lo", "Po", "Cc", "Cs"]
any_text = st.text(st.characters(categories=WITH_LONE_SURROGATES), max_size=20)


@settings(deadline=None)
@given(st.dictionaries(any_text, json_values | any_text, max_size=4), any_text)
def test_any_json_comes_back_as_it_went(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object], row_id: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    result = RowResult("ok", values, attempts=3, usage=Usage(1, 2))
    with opened(True, folder, ops=QuickOps()) as checkpoint:
        checkpoint.append(key(1), result, id=row_id)
        checkpoint.append_id(key(2), row_id)
    with opened(True, folder, ops=QuickOps()) as again:
        assert again.get(key(1)) == result
        assert again.has_id(key(1), row_id)
        assert again.has_id(key(2), row_id)
        assert again.damaged == 0


class Machine(RuleBasedStateMachine):
    """Any order of runs, crashes and changed prompts against a plain dict."""

    @initialize()
    def start(self) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.path = Path(self.temporary.name) / "file.jsonl"
        self.model: dict[bytes, RowResult] = {}
        self.torn = 0
        self.open(TASK)

    def open(self, task: TaskInfo) -> None:
        folder = self.path.parent / "default"
        checkpoint = open_checkpoint(self.path, task, folder=folder, ops=QuickOps())
        assert checkpoint is not None
        self.checkpoint = checkpoint

    @rule(n=st.integers(0, 9), variant=st.integers(0, 3))
    def answer(self, n: int, variant: int) -> None:
        self.checkpoint.append(key(n), answer(variant), id=n)
        self.model[key(n)] = answer(variant)

    @rule(n=st.integers(0, 9))
    def fail(self, n: int) -> None:
        self.checkpoint.append(key(n), FAILED)

    @rule(task=st.sampled_from([TASK, OTHER_TASK]))
    def run_again(self, task: TaskInfo) -> None:
        self.checkpoint.close()
        self.open(task)

    @rule(size=st.integers(2, 200), task=st.sampled_from([TASK, OTHER_TASK]))
    def crash_within_a_line(self, size: int, task: TaskInfo) -> None:
        self.checkpoint.append(key(99), RowResult("ok", {"never": "seen" * 60}))
        self.checkpoint.close()
        with self.path.open("rb+") as file:
            file.truncate(self.path.stat().st_size - size)
        self.torn += 1
        self.open(task)

    @invariant()
    def everything_answered_is_there(self) -> None:
        for n in range(10):
            assert self.checkpoint.get(key(n)) == self.model.get(key(n))
        assert self.checkpoint.get(key(99)) is None
        assert self.checkpoint.damaged <= self.torn

    def teardown(self) -> None:
        self.checkpoint.close()
        self.temporary.cleanup()


TestAnyHistory = Machine.TestCase
