"""The file of a review: a line a key, what a kill leaves, and several writers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.errors import CheckpointError
from llmframe.quality.records import Records, ReviewFile
from llmframe.system.files import FileOps

ROOT = Path(__file__).parents[2]
HEADER = {
    "draw": "d1",
    "question": "intent",
    "order": "random",
    "planned": 3,
    "population": 3,
    "seed": 0,
    "labels": ["a", "b"],
    "strata": [{"size": 3, "share": 1.0, "cells": [[None, "", 0.0]]}],
    "rows": [[f"{key:016x}", 0, 0, "measure"] for key in (11, 12, 13)],
}


def line(turn, truth, **more):
    return {"draw": "d1", "turn": turn, "truth": truth, "when": 1.0 + turn, **more}


@pytest.fixture
def file(tmp_path):
    found = ReviewFile(tmp_path / "reviews" / "intent-a1.jsonl")
    found.append(HEADER)
    return found


def truths(file):
    draw = ReviewFile(file.path).draws["d1"]
    return {turn: [one.truth for one in given] for turn, given in draw.judged.items()}


def test_a_key_is_a_line_and_another_reader_has_it_at_once(file):
    other = ReviewFile(file.path)
    file.append(line(0, "a"))
    other.refresh()
    assert [one.truth for one in other.draws["d1"].judgements()] == ["a"]
    assert len(file.path.read_bytes().splitlines()) == 2


def test_an_undo_is_a_line_that_takes_back_that_persons_last(file):
    file.append(line(0, "a"))
    file.append(line(0, "b", who="Bo"))
    file.append(line(1, "b"))
    file.append({"draw": "d1", "turn": 1, "undo": True})
    assert truths(file) == {0: ["a", "b"], 1: []}
    file.append({"draw": "d1", "turn": 0, "undo": True, "who": "Bo"})
    file.append({"draw": "d1", "turn": 0, "undo": True, "who": "Bo"})  # none of hers is left
    assert truths(file) == {0: ["a"], 1: []}
    assert len(file.path.read_bytes().splitlines()) == 7


def test_a_file_cut_anywhere_holds_all_whole_lines_and_goes_on(tmp_path):
    whole = ReviewFile(tmp_path / "reviews" / "whole.jsonl")
    whole.append(HEADER)
    for turn in range(3):
        whole.append(line(turn, "é"))
    data = whole.path.read_bytes()
    begin = data.index(b"\n") + 1

    @settings(max_examples=40)
    @given(st.integers(begin, len(data)))
    def check(end):
        path = tmp_path / "reviews" / "cut.jsonl"
        path.write_bytes(data[:end])
        kept = data[:end].count(b"\n") - 1
        cut = ReviewFile(path)
        cut.append(line(2, "b", when=9.0))
        found = truths(cut)
        # a line that lacks its newline alone is whole, and counts as well
        assert kept + 1 <= sum(map(len, found.values())) <= kept + 2
        assert found[2][-1] == "b"

    check()


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_whatever_stands_in_a_file_it_is_read(junk):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "intent-a1.jsonl"
        path.write_bytes(json.dumps(HEADER).encode() + b"\n" + junk + b"\n")
        assert set(ReviewFile(path).draws) >= {"d1"}


@pytest.mark.parametrize(
    "forged",
    [{"turn": 7}, {"turn": -9}, {"turn": "x"}, {"truth": ["a"]}, {"draw": "d9"}, {"undo": True}],
)
def test_forged_lines_are_left_out(file, forged):
    file.append({**line(0, "a"), **forged})
    assert sum(map(len, truths(file).values())) == 0


def test_a_full_disk_says_so_and_the_next_line_is_whole(file, tmp_path):
    class Full(FileOps):
        full = True

        def write(self, fd, data):
            if self.full:
                super().write(fd, bytes(data)[:9])
                raise OSError(28, "No space left on device")
            return super().write(fd, data)

    ops = Full()
    failing = ReviewFile(file.path, ops)
    with pytest.raises(CheckpointError, match="this answer is not saved; all earlier ones are"):
        failing.append(line(0, "a"))
    ops.full = False
    failing.append(line(1, "b"))
    assert truths(file) == {1: ["b"]}


def test_a_file_that_somebody_deletes_is_written_again(file):
    file.append(line(0, "a"))
    file.path.unlink()
    file.append(line(1, "b"))
    assert truths(file) == {0: ["a"], 1: ["b"]}
    assert [one.truth for one in file.draws["d1"].judgements()] == ["a", "b"]


WRITE = """
import os, sys
from pathlib import Path
from llmframe.quality.records import ReviewFile

def write(path, lines):
    file = ReviewFile(Path(path))
    for at in range(lines):
        file.append({"draw": "d1", "turn": at % 3, "truth": at, "when": 1.0})
        os.write(1, b"%d\\n" % at)
"""
LIVES = """
for _ in range(20):
    if not (child := os.fork()):  # imports are paid for once
        os.write(1, b"%d\\n" % os.getpid())
        write(sys.argv[1], 10**9)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def run(code, path):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_twenty_kills_lose_no_answer(file):
    """A process is killed once it has said that answers are saved; the next one goes on."""
    said = 0
    with run(WRITE + LIVES, file.path) as lives:
        for kill in range(20):
            pid = int(lives.stdout.readline())
            for _ in range(3 + kill % 4):
                lives.stdout.readline()
            os.kill(pid, signal.SIGKILL)
            said += 3 + kill % 4
            while lives.stdout.readline() != "dead\n":
                said += 1
    kept = sum(map(len, truths(file).values()))
    # an answer may be saved whose writer was dead before it could say so
    assert said <= kept <= said + 20


BOTH = """
child = os.fork()
write(sys.argv[1], 50)
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a fork is POSIX")
def test_two_processes_write_one_file_and_lose_nothing(file):
    with run(WRITE + BOTH, file.path) as both:
        assert len(both.stdout.read().splitlines()) == 100
    assert sum(map(len, truths(file).values())) == 100


def test_other_tasks_files_of_the_same_question_are_found(folder):
    (folder / "reviews").mkdir(parents=True)
    for name, question in (("intent-old", "intent"), ("tone-old", "tone")):
        file = ReviewFile(folder / "reviews" / f"{name}.jsonl")
        file.append({**HEADER, "question": question})
        file.append(line(0, name))
    records = Records("intent", "intent-new.jsonl")
    assert [given.truth for given in records.first().values()] == ["intent-old"]
    assert records.own.path == folder / "reviews" / "intent-new.jsonl"
