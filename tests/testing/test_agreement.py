"""How often answers are right, and the real reviews."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from llmframe.testing import agreement, reviews

ARCHIVE = "hutto_ICWSM_2014.tar.gz"
TEXTS, VOTES = "/amazonReviewSnippets_GroundTruth.txt", "/amazonReviewSnippets_anonDataRatings.txt"


def test_the_sentence_names_the_count_the_interval_and_what_no_model_would_reach():
    labels = pd.Series(["yes"] * 120 + ["no"] * 80, dtype="category")
    answers = labels.astype(object).where(labels.index >= 17, "maybe")
    assert repr(agreement(answers, labels)) == (
        "183 of 200 right; 95 % interval 87 to 95 %\n"
        "(always answering 'yes' would be right for 120)"
    )


@pytest.mark.parametrize(
    ("right", "rows", "interval"),
    [(0, 0, (0.0, 1.0)), (10, 10, (0.722, 1.0)), (0, 10, (0.0, 0.278)), (5, 10, (0.237, 0.763))],
)
def test_the_interval_is_wilsons(right, rows, interval):
    truth = ["a"] * rows
    found = agreement(["a"] * right + [None] * (rows - right), truth)
    assert found.interval == pytest.approx(interval, abs=1e-3)


def test_rows_without_a_truth_are_left_out_and_those_without_an_answer_are_counted():
    found = agreement(pd.Series(["a", "b", None, None]), pd.Series(["a", "a", None, None]))
    assert (found.right, found.rows, found.unanswered, found.unknown) == (1, 2, 0, 2)
    assert "1 of 2 right; 95 % interval" in repr(found)
    assert repr(found).splitlines()[0].endswith("; without the 2 whose truth is not known")
    found = agreement(pd.Series(["a", None, "nan"]), pd.Series(["a", "a", "nan"]))
    assert (found.right, found.rows, found.unanswered) == (2, 3, 1)
    assert "2 of 3 right, 1 not answered; 95 % interval" in repr(found)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_any_missing_value_is_no_answer_and_no_truth(missing):
    found = agreement([missing, missing, "a"], ["a", missing, missing])
    assert (found.right, found.rows, found.unanswered, found.unknown) == (0, 1, 1, 2)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        agreement(["a"], ["a", "b"])


def packed(files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def test_the_reviews_are_read_out_of_the_archive_in_the_package(monkeypatch):
    lines = b'1_1\t2.5\tgood "thing"\nbroken line\n2_1\t-3\tbad\n'
    votes = b"\xef\xbb\xbf1_1\t2.5\t0.5\t[2, 3]\r\n2_1\t-3\t0\t[-3, -3]\r\nbroken line\r\n"
    outer = packed({f"v/{ARCHIVE}": packed({f"x{TEXTS}": lines, f"x{VOTES}": votes})})

    def download(command, **_):
        (Path(command[command.index("-d") + 1]) / "v.tar.gz").write_bytes(outer)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    assert reviews() == [
        {"id": "1_1", "rating": 2.5, "votes": [2, 3], "text": 'good "thing"'},
        {"id": "2_1", "rating": -3.0, "votes": [-3, -3], "text": "bad"},
    ]


def test_without_a_network_the_error_says_what_pip_said(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "no network")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="no network"):
        reviews()
