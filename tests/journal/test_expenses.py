"""What a task's lines have cost, and what the answers took that a run has read."""

from __future__ import annotations

import os

import pytest

from llmframe.journal import TaskInfo, lines, open_checkpoint
from llmframe.results import RowResult, Usage

TASK = TaskInfo(b"t" * 16, {"model": "m"})
USED = Usage(100, 20, 0.5, 64, 0, "CNY")
KEYS = [bytes([number]) * 16 for number in range(9)]


def answer(used=USED, **values):
    return RowResult("ok", values or {"label": "a"}, None, 1, used)


def opened(folder, where=True, task=TASK, **options):
    return open_checkpoint(where, task, folder=folder, **options)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".llmframe"


def filled(folder, where=True, **options):
    checkpoint = opened(folder, where, **options)
    for key in KEYS:
        checkpoint.append(key, answer())
    return checkpoint


def test_answers_failures_repeats_and_lost_requests_are_added_up(folder):
    checkpoint = filled(folder)
    checkpoint.append(KEYS[0], answer())  # bought again
    checkpoint.append(KEYS[1], RowResult("failed", None, lines.Failure("output", ""), 2, USED))
    checkpoint.append_unanswered(USED, unread=True)
    checkpoint.append_unanswered(USED, unread=False)
    assert checkpoint.spent().total == USED * 13
    checkpoint.close()


def test_other_tasks_in_the_file_do_not_count(folder, tmp_path):
    own = tmp_path / "mine.jsonl"
    filled(folder, own).close()
    other = opened(folder, own, TaskInfo(b"u" * 16, {}))
    assert other.spent().total == Usage()
    other.close()


def test_an_answer_copied_into_a_person_s_own_file_was_paid_for_once(folder, tmp_path):
    default = filled(folder)
    default.append_unanswered(USED, unread=True)
    default.append_unanswered(USED, unread=True)  # alike, and still two requests
    default.close()
    own = opened(folder, tmp_path / "mine.jsonl")
    own.get_all(KEYS)
    own.append(KEYS[0], answer(label="b"))
    assert own.spent().total.tokens == 12 * USED.tokens
    own.close()


def test_what_a_model_answered_is_never_read_as_a_usage(folder):
    checkpoint = opened(folder)
    forged = {"x": 1, "usage": {"in": 10**9, "out": 10**9, "cost": 1e9}, "n": 1, "t": 1}
    checkpoint.append(KEYS[0], answer(deep=forged, text=',"usage":{"in":7,"out":7},"n":1,"t":1}'))
    checkpoint.append(KEYS[1], answer(), text='},"usage":{"in":7,"out":7},"n":1,"t":1}')
    assert checkpoint.spent().total == USED * 2
    checkpoint.close()


def test_damaged_and_forged_lines_cost_nothing(folder):
    checkpoint = filled(folder)
    checkpoint.close()
    whole = checkpoint.path.read_bytes().splitlines(keepends=True)
    key, short = KEYS[0], TASK.short
    usages = ({"in": "many", "out": 1}, {"in": 1}, {"in": 1, "out": 1, "currency": 7}, 5)
    forged = [lines.encode(key, short, {"v": {}, "usage": each, "n": 1, "t": 1}) for each in usages]
    broken = whole[-1].replace(b'"in":100', b'"in":900')
    checkpoint.path.write_bytes(b"".join([*whole[:-1], broken, *forged, b'{"usage":{"in":5}}\n']))
    again = opened(folder)
    assert again.spent().total == USED * (len(KEYS) - 1)
    again.close()


def test_lines_of_earlier_versions_name_no_currency(folder):
    checkpoint = opened(folder)
    checkpoint.append(KEYS[0], answer(Usage(100, 20, 0.5)))
    checkpoint.append(KEYS[1], answer(Usage(100, 20)))
    checkpoint.close()
    assert b"currency" not in checkpoint.path.read_bytes()
    again = opened(folder)
    assert list(again.spent().parts) == [Usage(100, 20, 0.5), Usage(100, 20)]
    again.close()


def test_each_answer_that_is_read_counts_once(folder):
    filled(folder).close()
    checkpoint = opened(folder)
    for wanted in (KEYS[:3], KEYS[:5], [*KEYS, *KEYS], [os.urandom(16)], []):
        checkpoint.get_all(wanted)
    assert checkpoint.recalled.total == USED * len(KEYS)
    checkpoint.close()


def test_a_line_about_lost_requests_is_no_row(folder, tmp_path, monkeypatch):
    import llmframe as lf

    checkpoint = filled(folder)
    checkpoint.append_unanswered(USED, unread=True)
    checkpoint.close()
    found = lf.read_checkpoint(checkpoint.path)  # a damaged line would be a warning
    assert len(found) == len(KEYS)
    assert found["cost"].sum() == pytest.approx(0.5 * len(KEYS))
