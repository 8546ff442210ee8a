"""What the newest answers took, as an estimate reads it from the checkpoint's lines."""

from __future__ import annotations

from llmframe.journal import TaskInfo, lines, open_checkpoint
from llmframe.journal.measured import Taken, newest_answers
from llmframe.results import RowResult, Usage
from llmframe.system.files import SYSTEM
from tests.kits.journal import FAILED, OTHER_TASK, TASK, key, opened

USED = Usage(100, 20, 0.5, 64, 0, "CNY")


def answer(n, *, seconds=1.5, used=USED):
    return RowResult("ok", {"label": "a"}, None, 1 + n % 2, used, seconds)


def test_it_reads_what_was_written_in_its_order(tmp_path):
    with opened(True, tmp_path) as checkpoint:
        for n in range(5):
            checkpoint.append(key(n), answer(n, seconds=n * 0.12345), id=n, text="said")
        checkpoint.append(key(9), FAILED)
        found = checkpoint.newest_answers()
    assert [*found] == [key(n) for n in range(5)]
    assert found[key(0)] == Taken(USED, 1, None)
    assert found[key(3)] == Taken(USED, 2, 0.37)


def test_others_tasks_answers_and_those_of_unknown_tokens_are_left_out(tmp_path):
    own = tmp_path / "mine.jsonl"
    with opened(own, tmp_path, OTHER_TASK) as other:
        other.append(key(1), answer(1))
    with opened(own, tmp_path) as checkpoint:
        checkpoint.append(key(2), answer(2, used=Usage(100, 20, estimated=1)))
        checkpoint.append_adopted(key(3), {"label": "a"}, 3)
        checkpoint.append(key(4), answer(4))
        assert [*checkpoint.newest_answers()] == [key(4)]


def test_only_the_newest_are_parsed_and_a_copy_counts_once(tmp_path):
    with opened(True, tmp_path) as checkpoint:
        for n in range(30):
            checkpoint.append(key(n), answer(n))
        path = checkpoint.path
    with opened(tmp_path / "mine.jsonl", tmp_path) as own:
        own.get_all([key(n) for n in range(30)])  # copies them
        assert len(own.newest_answers()) == 30
    newest = newest_answers([path], {TASK.short}, SYSTEM, most=4)
    assert [*newest] == [key(n) for n in range(26, 30)]
    assert newest_answers([tmp_path / "none.jsonl"], {TASK.short}, SYSTEM) == {}


def test_lines_of_earlier_versions_and_forged_ones_have_no_time(tmp_path):
    with opened(True, tmp_path) as checkpoint:
        checkpoint.append(key(0), answer(0, seconds=None))
        path = checkpoint.path
    used = {"usage": {"in": 1, "out": 1}, "n": 1, "t": "late"}
    with path.open("ab") as file:
        for n, odd in enumerate(({"s": "x"}, {"s": float(10**30)}, {"s": -1.0}, {"s": True}), 1):
            file.write(lines.encode(key(n), TASK.short, {"v": {}} | used | odd))
    info = TaskInfo(TASK.digest, TASK.settings)
    checkpoint = open_checkpoint(True, info, folder=tmp_path, read_only=True)
    found = checkpoint.newest_answers()
    checkpoint.close()
    assert [found[key(n)].seconds for n in (0, 1, 3, 4)] == [None] * 4


def test_lines_with_a_time_are_read_together_as_fast_as_without(tmp_path):
    block = b"".join(
        lines.encode(key(n), TASK.short, lines.row(answer(n), now=n + 1)) for n in range(3)
    )
    starts = [0, *(at + 1 for at, byte in enumerate(block[:-1]) if byte == 10)]
    found = lines.answers(block, starts, [key(n) for n in range(3)])
    assert found is not None
    assert [result.seconds for result, _ in found] == [None] * 3
