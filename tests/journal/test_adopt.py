"""Taking over a plain file of ids and answers, as scripts write it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from llmframe.errors import CheckpointError, OutputError
from llmframe.journal import adopt_plain
from tests.kits.journal import OTHER_TASK, FailingOps, key, opened

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("folder")

KEYS = {str(n): key(n) for n in range(5)}


def plain(folder: Path, *objects: Any, end: str = "\n") -> Path:
    path = folder.parent / "plain.jsonl"
    lines = [item if isinstance(item, str) else json.dumps(item) for item in objects]
    path.write_text("\n".join(lines) + end, "utf-8")
    return path


def one_of(values: dict[str, Any]) -> dict[str, Any]:
    if values.get("intent") not in ("refund", "other"):
        raise OutputError(f"intent={values.get('intent')!r} is not allowed", field="intent")
    return {"intent": values["intent"]}


def test_plain_lines_become_answers_of_this_task(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"}, {"id": "2", "intent": "other"})
    before = path.read_bytes()
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, KEYS, one_of)
        assert report.accepted == 2
        assert report.sentence.startswith("2 answers taken over, 0 were there already, 0 rejected")
        found = checkpoint.get(key(1))
        assert found is not None
        assert (found.values, found.attempts) == ({"intent": "refund"}, 0)
    assert path.read_bytes().startswith(before)
    with opened(path, folder) as again:
        assert again.get(key(2)) is not None
        assert again.has_id(key(2), 2)


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_last_plain_line_counts_with_and_without_its_newline(folder: Path, end: str) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"}, end=end)
    with opened(path, folder, adopt=True) as checkpoint:
        assert adopt_plain(checkpoint, KEYS, one_of).accepted == 1
    with opened(path, folder) as again:
        assert again.get(key(1)) is not None


def test_without_adopting_plain_lines_are_no_answers(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"})
    with opened(path, folder) as checkpoint:
        assert checkpoint.get(key(1)) is None


def test_what_is_not_valid_is_rejected_with_the_reason(folder: Path) -> None:
    bad = [{"id": n, "intent": "nonsense"} for n in range(4)]
    path = plain(folder, *bad, {"id": 4, "intent": "other"})
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, KEYS, one_of)
        assert (report.accepted, report.rejected) == (1, 4)
        assert report.reasons[0] == "id 0: intent='nonsense' is not allowed"
        assert len(report.reasons) == 3
        assert report.reasons[0] in report.sentence
        assert checkpoint.get(key(0)) is None


def test_an_id_with_two_different_answers_is_rejected_and_a_repeated_line_is_not(
    folder: Path,
) -> None:
    path = plain(
        folder,
        {"id": 1, "intent": "refund"},
        {"id": "1", "intent": "other"},
        {"id": 2, "intent": "other"},
        {"id": 2, "intent": "other"},
    )
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, KEYS, one_of)
        assert (report.accepted, report.rejected) == (1, 1)
        assert report.reasons == ["id 1: 2 different answers"]


def test_unknown_ids_are_counted_and_lines_of_other_shapes_passed_over(folder: Path) -> None:
    path = plain(folder, {"id": 77, "intent": "refund"}, {"run": 3}, "torn {", {"id": 1}, "")
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, KEYS, one_of)
        assert (report.accepted, report.rejected, report.unknown) == (0, 1, 1)


def test_rows_with_equal_texts_share_the_first_answer(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"}, {"id": 2, "intent": "other"})
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, {"1": key(1), "2": key(1)}, one_of)
        assert (report.accepted, report.present) == (1, 1)
        assert checkpoint.has_id(key(1), 2)


def test_running_again_takes_over_only_what_is_new(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"}, {"id": 2, "intent": "other"})
    with opened(path, folder, adopt=True) as checkpoint:
        adopt_plain(checkpoint, {"1": key(1)}, one_of)
    size = path.stat().st_size
    with opened(path, folder, adopt=True) as checkpoint:
        report = adopt_plain(checkpoint, {"1": key(1)}, one_of)
        assert (report.accepted, report.present, report.unknown) == (0, 1, 1)
        assert path.stat().st_size == size
        assert adopt_plain(checkpoint, KEYS, one_of).accepted == 1


def test_another_task_does_not_get_the_answers(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"})
    with opened(path, folder, adopt=True) as first:
        adopt_plain(first, KEYS, one_of)
    with opened(path, folder, OTHER_TASK, adopt=True) as second:
        report = adopt_plain(second, {"1": key(100)}, one_of)
        assert report.accepted == 0
        assert report.other_task == first.task.short
        assert "were left alone" in report.sentence
        assert second.get(key(100)) is None


def test_a_read_only_or_new_checkpoint_has_nothing_to_take_over(folder: Path) -> None:
    with opened(True, folder) as checkpoint:
        assert adopt_plain(checkpoint, KEYS, one_of).accepted == 0
    with opened(True, folder, read_only=True) as checkpoint:
        assert adopt_plain(checkpoint, KEYS, one_of).accepted == 0


def test_a_disk_that_cannot_be_read_is_an_error(folder: Path) -> None:
    path = plain(folder, {"id": 1, "intent": "refund"})
    ops = FailingOps("read_at")
    with opened(path, folder, adopt=True, ops=ops) as checkpoint:
        ops.broken = True
        with pytest.raises(CheckpointError, match="cannot read"):
            adopt_plain(checkpoint, KEYS, one_of)
