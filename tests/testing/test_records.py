"""llmframe.testing.records: many, different, the same everywhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter

import pytest

from llmframe.testing import records

INTENTS = {"refund", "delivery", "billing", "account", "praise", "other"}
URGENCIES = {"low", "mid", "high"}


@pytest.fixture(scope="module")
def rows():
    return records()


def chinese(text):
    return bool(re.search("[\u4e00-\u9fff]", text))


def test_ten_thousand_records_are_all_different(rows):
    assert (
        len(rows)
        == len({row["text"] for row in rows})
        == len({row["id"] for row in rows})
        == 10_000
    )


def test_every_record_has_text_and_gold_labels(rows):
    assert all(set(row) == {"id", "text", "intent", "urgency", "summary"} for row in rows)
    assert {row["intent"] for row in rows} == INTENTS
    assert {row["urgency"] for row in rows} == URGENCIES
    assert all(row["text"].strip() and row["summary"] for row in rows)


def test_about_a_third_is_chinese_with_a_chinese_summary(rows):
    share = sum(chinese(row["text"]) for row in rows) / len(rows)
    assert 0.27 < share < 0.33
    assert all(chinese(row["text"]) == chinese(row["summary"]) for row in rows)


def test_no_slot_stays_open(rows):
    assert not [row for row in rows if re.search(r"[{}]", row["text"] + row["summary"])]


def test_lengths_and_labels_are_spread(rows):
    sizes = sorted(len(row["text"].encode()) for row in rows)
    assert sizes[100] < 90
    assert 150 < sizes[5000] < 400
    assert sizes[-100] > 400
    both = Counter((row["intent"], row["urgency"]) for row in rows)
    assert min(n for (intent, _), n in both.items() if intent != "praise") > 50


def test_the_records_are_the_same_on_every_machine_and_version(rows):
    written = json.dumps(rows[:2000], ensure_ascii=False).encode()
    assert hashlib.sha256(written).hexdigest()[:16] == "0d0d316a3248a732"
    mixed = json.dumps(records(seed=1, blanks=0.01, duplicates=0.01), ensure_ascii=False)
    assert hashlib.sha256(mixed.encode()).hexdigest()[:16] == "39b36c4210e0896e"


def test_more_records_begin_with_the_same_and_another_seed_gives_others(rows):
    assert records(500) == rows[:500]
    assert records(500, seed=1) != rows[:500]


def test_blanks_and_duplicates_come_as_often_as_asked(rows):
    mixed = records(blanks=0.004, duplicates=0.01)
    blank = [row for row in mixed if not (row["text"] or "").strip()]
    assert 20 < len(blank) < 70
    assert {row["text"] for row in blank} == {None, "", "   ", "\n"}
    assert all(row["intent"] is None for row in blank)
    seen = Counter(row["text"] for row in mixed if row not in blank)
    assert 70 < sum(seen.values()) - len(seen) < 140
    assert sum(a == b for a, b in zip(rows, mixed, strict=True)) > 9_800


def test_a_repeated_text_has_the_labels_of_the_first(rows):
    labels = {row["text"]: (row["intent"], row["urgency"]) for row in rows}
    repeated = records(2000, duplicates=0.05)
    assert all(labels[row["text"]] == (row["intent"], row["urgency"]) for row in repeated)
    assert len({row["id"] for row in repeated}) == 2000
