"""Many rows take no longer than a few loops over them."""

import time

import pytest

from llmframe.quality.stored_reviews import find_reviewed
from tests.kits.judged import frame, judge

ROWS = 40_000


def seconds(call):
    """The CPU seconds of the quickest of three calls."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.fixture(scope="module")
def many():
    return frame(ROWS)


def test_a_score_takes_no_longer_than_some_loops_over_the_rows(many):
    said, gold = many["intent"].tolist(), many["gold"].tolist()

    def loop():
        return [str(a) == str(b) for a, b in zip(said, gold, strict=True)]

    assert seconds(lambda: many.llm.score("intent", truth="gold")) < 12 * seconds(loop)


def test_what_a_review_says_takes_little_more_than_finding_its_rows(many, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    judge(many, n=40)
    find = seconds(lambda: find_reviewed(many, "intent"))
    assert seconds(lambda: many.llm.score("intent")) < 2 * find
    assert seconds(lambda: many.llm.shares("intent")) < 2 * find
