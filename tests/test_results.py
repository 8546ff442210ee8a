"""Results by position: what was put in comes out, in little memory, unseen by the collector."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from llmframe.results import NOTHING_USED, SKIPPED, Failure, Results, RowResult, Usage

FAILED = RowResult("failed", error=Failure("server", "500"), attempts=5, usage=Usage(10, 0))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.dictionaries(st.text(), PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN))
COUNTS = st.integers(0, 10**6)
USAGES = st.builds(Usage, COUNTS, COUNTS, st.none() | st.floats(0, 9))


def answer(n: int) -> RowResult:
    values = {"intent": "ref" + "und", "n": n, "order": {"items": [{"name": "cable"}]}}
    return RowResult("ok", values, None, 1, Usage(300 + n, 40))


@given(
    st.builds(
        RowResult, st.just("ok"), VALUES, st.none(), COUNTS, USAGES,
        st.none() | st.floats(0, 9), st.none() | st.text(),
        st.none() | st.dictionaries(st.text(), st.floats(0, 1)),
    )
)  # fmt: skip
def test_an_answer_comes_out_as_it_was_put_in(result):
    results = Results(1)
    results[0] = result
    assert results[0] == result
    assert [*map(type, results[0].values.values())] == [*map(type, result.values.values())]
    assert list(results[0].values) == list(result.values)


def test_what_is_no_answer_is_kept_as_it_is():
    results = Results(3)
    results[1], results[2] = SKIPPED, FAILED
    assert list(results) == results[:] == [None, SKIPPED, FAILED]
    assert len(results) == 3
    assert [results.is_open(position) for position in range(3)] == [True, False, False]
    assert results.failed() == [(2, FAILED)]


def test_rows_share_an_answer():
    results = Results(3)
    results[0] = answer(1)
    results.share(0, [2])
    assert list(results) == [answer(1), None, answer(1)]


def test_each_reading_has_lists_and_dicts_of_its_own():
    results = Results(1)
    results[0] = answer(0)
    results[0].values["order"]["items"].clear()
    assert results[0] == answer(0)


def test_a_copy_stays_as_it_is():
    results = Results(2)
    results[0] = answer(0)
    copied = results.copy()
    results[1] = answer(1)
    assert list(copied) == [answer(0), None]


def test_equal_counts_of_other_types_stay_distinct():
    results = Results(2)
    results[0] = RowResult("ok", {}, usage=Usage(1, 1, 1.0))
    results[1] = RowResult("ok", {}, usage=Usage(1, 1, 1))
    assert [type(each.usage.cost) for each in results] == [float, int]


def test_labels_and_names_are_one_text_for_all_rows():
    results = Results(2)
    for position in (0, 1):
        label = "".join(["re", "fund"])
        results[position] = RowResult("ok", {label: label}, usage=NOTHING_USED)
    first, second = results
    assert first.values["refund"] is second.values["refund"]
    assert next(iter(first.values)) is next(iter(second.values))


SAME_NAMES = st.lists(
    st.none() | st.fixed_dictionaries({"a": PLAIN | st.lists(PLAIN), "b": PLAIN}), max_size=5
)


@given(st.integers(0, 2), SAME_NAMES | st.lists(st.none() | VALUES, max_size=5), USAGES)
def test_answers_put_together_are_those_put_one_by_one(start, answers, usage):
    bare = RowResult("ok", None, None, 1, usage)
    together, single = Results(10), Results(10)
    together[8] = single[8] = answer(8)
    together[7] = single[7] = FAILED
    together.put_answers(start, [None if each is None else (bare, each) for each in answers])
    for position, values in enumerate(answers, start):
        if values is not None:
            single[position] = bare._replace(values=values)
            together.share(position, [9])
            single.share(position, [9])
    assert repr(list(together)) == repr(list(single)) == repr(together[:])
    found, columns = together.copy().columns(["a", "b", "n"])
    assert [r and r.status for r in found] == [r and r.status for r in single]
    assert [r and r.usage for r in found] == [r and r.usage for r in single]
    for name, column in columns.items():
        values = [None if r is None or r.values is None else r.values.get(name) for r in single]
        assert repr(column) == repr(values)


def test_the_collector_need_not_visit_answers():
    results = Results(1000)
    for position in range(1000):
        results[position] = answer(position)
    for _ in range(3):  # Python 3.13 may untrack one tuple a pass: the names, the head, the answer
        gc.collect()
    # private: what is read from outside is unpacked, and tracked
    assert not any(gc.is_tracked(held) for held in results._held)
