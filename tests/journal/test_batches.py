"""What the checkpoint knows of batches at the provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llmframe.journal.batches import StoredBatch, join_keys
from tests.kits.journal import OTHER_TASK, answer, key, opened

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder")
KEYS = (key(1), key(2), key(3))


def known(checkpoint) -> list[StoredBatch]:
    return [replace(batch, began=0, since=0) for batch in checkpoint.open_batches()]


def test_a_batch_is_known_until_it_has_ended(folder: Path) -> None:
    first = StoredBatch(nonce="a", keys=KEYS, owned=True)
    with opened(True, folder) as checkpoint:
        assert known(checkpoint) == []
        checkpoint.append_batch("a", keys=join_keys(KEYS))
        assert known(checkpoint) == [first]
        checkpoint.append_batch("a", file="file_1")
        checkpoint.append_batch("b", keys=join_keys(KEYS[:1]))
        checkpoint.append_batch("b", id="batch_b")
    with opened(True, folder) as again:
        second = StoredBatch(nonce="b", keys=KEYS[:1], id="batch_b", owned=True)
        assert known(again) == [replace(first, file="file_1"), second]
        again.append_batch("a", end="completed")
        assert known(again) == [second]
    with opened(True, folder) as third:
        assert known(third) == [second]


def test_a_batch_in_a_file_that_another_writes_is_not_owned(folder: Path) -> None:
    with opened(True, folder) as one:
        one.append_batch("a", keys=join_keys(KEYS))
        path = one.path.rename(one.path.with_name(one.path.name.replace(".jsonl", ".1.jsonl")))
    with opened(True, folder) as other:
        assert other.path != path
        assert [batch.owned for batch in other.open_batches()] == [False]
        other.append_batch("a", end="completed")
        assert other.open_batches() == []


def test_another_tasks_batches_are_not_known(folder: Path) -> None:
    path = folder / "both.jsonl"
    with opened(path, folder) as one:
        one.append_batch("a", keys=join_keys(KEYS))
        one.append(key(1), answer(1))
    with opened(path, folder, OTHER_TASK) as other:
        assert other.open_batches() == []


def test_lines_about_batches_cost_nothing_and_answer_nothing(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append_batch("a", keys=join_keys(KEYS))
        checkpoint.append(key(1), answer(1))
    with opened(True, folder) as again:
        assert again.answers == 1
        assert again.damaged == 0
        assert again.spent().total == answer(1).usage


@pytest.mark.parametrize("keys", ["", "zz", "0" * 31])
def test_forged_keys_are_no_batch(folder: Path, keys: str) -> None:
    with opened(True, folder) as checkpoint:
        checkpoint.append_batch("a", keys=keys)
        assert checkpoint.open_batches() == []
