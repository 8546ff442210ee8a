"""What is forecast from a sample holds for the whole, whatever the texts and limits are."""

import heapq
import math
import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmframe.engine.forecast import (
    Answered,
    Pace,
    Range,
    Size,
    Work,
    answer_size,
    forecast_cost,
    forecast_seconds,
    forecast_tokens,
    latency_of,
)
from llmframe.providers.prices import Prices
from llmframe.results import Usage
from llmframe.task.fields import resolve_fields

SIZE = Size(20, 25, 30)


def answers(sizes, *, fixed=120.0, per_byte=0.4, out=9, cached=0, seconds=1.0, requests=1):
    used = [Usage(round(fixed + per_byte * size), out, tokens_cached=cached) for size in sizes]
    return [Answered(size, one, requests, seconds) for size, one in zip(sizes, used, strict=True)]


def tokens(work, answered, **known):
    known = {"learnt": None, "size": SIZE, "cap": None} | known
    return forecast_tokens(work, Work(0, 0, work.prompt, work.schema), answered, **known)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 5000), min_size=5, max_size=60, unique=True),
    st.floats(10, 3000),
    st.floats(0.15, 1.2),
)
def test_instructions_and_texts_may_have_different_bytes_a_token(sizes, fixed, per_byte):
    seen, rest = sizes[:4], sizes[4:]
    work = Work(len(rest), sum(rest), prompt=700, schema=200)
    found = tokens(work, answers(seen, fixed=fixed, per_byte=per_byte)).tokens_in
    truth = sum(round(fixed + per_byte * size) for size in rest)
    assert found.low <= truth + len(rest) and truth - len(rest) <= found.high  # noqa: PT018
    assert found.low <= found.likely <= found.high


def test_a_sample_of_twenty_is_near_the_whole_and_its_range_holds_it():
    draw, off = random.Random(1), 0
    for _ in range(100):
        sizes = [round(draw.lognormvariate(5, 0.8)) for _ in range(500)]
        taken = [round(100 + size * draw.uniform(0.2, 0.5)) for size in sizes]
        seen = [
            Answered(size, Usage(used, 9), 1, 1.0)
            for size, used in zip(sizes[:20], taken[:20], strict=True)
        ]
        found = tokens(Work(480, sum(sizes[20:]), 300, 100), seen).tokens_in
        truth = sum(taken[20:])
        assert abs(found.likely / truth - 1) < 0.15
        off += not found.low <= truth <= found.high
    assert off <= 10


def test_each_kind_of_text_is_forecast_by_itself_where_both_are_known():
    plain = answers(range(100, 300, 20), out=10)
    wide = [one._replace(is_wide=True) for one in answers(range(100, 300, 30), out=50)]
    works = Work(100, 20_000, 300, 100), Work(300, 60_000, 300, 100)
    known = {"learnt": None, "size": SIZE, "cap": None}
    found = forecast_tokens(*works, [*plain, *wide], **known)
    assert found.tokens_out.likely == pytest.approx(100 * 10 + 300 * 50)
    few = forecast_tokens(*works, [*plain, *wide[:1]], **known)
    assert few.tokens_out.likely == pytest.approx(400 * (10 * 10 + 50) / 11)


def test_rows_that_were_asked_twice_count_with_what_they_took():
    once = answers(range(100, 300, 10))
    twice = [one._replace(usage=one.usage * 2, requests=2) for one in once[:5]]
    work = Work(100, 20_000, 300, 100)
    more = tokens(work, [*once, *twice]).tokens_in.likely / tokens(work, once).tokens_in.likely
    assert more == pytest.approx(1.2, abs=0.03)


def test_the_answers_that_fill_the_cache_do_not_count():
    cold, warm = answers([100] * 3), answers([100] * 17, cached=64)
    assert tokens(Work(100, 10_000, 300, 0), [*cold, *warm]).tokens_cached.likely == 6400
    assert tokens(Work(100, 10_000, 300, 0), cold).tokens_cached.high == 0


def test_without_answers_the_range_holds_english_and_chinese():
    work = Work(10, 40_000, prompt=1000, schema=300)
    found = tokens(work, [])
    assert found.source == "bytes"
    assert found.tokens_in.low < 50_000 / 4.6 < 50_000 / 2.6 < found.tokens_in.high
    assert tokens(work, [], cap=5).tokens_out.high == 50


def test_the_cheapest_end_assumes_the_cache_and_the_dearest_none():
    found = tokens(Work(10, 1000, 4000, 0), [])
    cost = forecast_cost(found, Prices(1.0, 2.0, 0.1))
    plain = forecast_cost(found, Prices(1.0, 2.0))
    assert cost.low < plain.low
    assert cost.likely == plain.likely
    assert cost.high == plain.high


WORK = Work(1000, 100_000, 300, 100)
USED = tokens(WORK, answers([100] * 20))


def seconds(pace, latency=None, work=WORK):
    return forecast_seconds(
        work, USED, latency=latency or latency_of(answers([1] * 20), None), pace=pace
    )


@pytest.mark.parametrize(
    ("pace", "took"),
    [
        (Pace(20, 20), 51),
        (Pace(1, 1), 1001),
        (Pace(50, 400, rounds=1), 1 + 3 + 1 + 650 / 400),
        (Pace(20, 20, rpm=300), 200),
        (Pace(20, 20, rpm=300, spare_requests=300), 140),
        (Pace(20, 20, tpm=10_000), None),
    ],
)
def test_what_binds_most_sets_the_time(pace, took):
    if took is None:
        took = 60 * USED.together.likely / 10_000
    found = seconds(pace)
    assert found.likely == pytest.approx(took, rel=0.02)
    assert found.low < found.likely < found.high


def simulated(requests, places, drawn):
    """Seconds of a run whose latencies are as uneven as a provider's; their mean is 1."""
    free = [0.0] * places  # when each place is free again
    for _ in range(requests):
        heapq.heappush(free, heapq.heappop(free) + drawn.lognormvariate(-0.08, 0.4))
    return max(free)


@pytest.mark.parametrize("requests", [1, 40, 100, 500, 2000])
def test_the_slowest_of_the_last_requests_is_counted(requests):
    work = Work(requests, 100 * requests, 300, 100)
    found = seconds(Pace(20, 20, is_new=False), Range(1.0, 1.0, 1.0), work)
    drawn = random.Random(0)
    took = fmean(simulated(requests, 20, drawn) for _ in range(50))
    assert found.likely == pytest.approx(took, rel=0.1)


def test_a_limit_that_a_run_may_find_bounds_only_the_quick_end():
    found, fixed = seconds(Pace(20, 500, rounds=2, finds_own=True)), seconds(Pace(20, 20))
    assert found.likely < fixed.likely
    assert found.high == fixed.high


def test_without_a_latency_the_time_is_not_known_but_its_ends_are():
    found = forecast_seconds(WORK, USED, latency=latency_of([], None), pace=Pace(20, 20, rpm=60))
    assert math.isnan(found.likely)
    assert 800 < found.low < found.high
    assert latency_of(answers([1] * 3, seconds=None), None) is None
    assert latency_of(answers([1] * 3, seconds=9.0, requests=2), None) is None


def test_the_fields_say_how_long_an_answer_is():
    fields = {"类别": ["退款", "其他"], "stars": int, "note": str, "ok": bool}
    size = answer_size(resolve_fields(fields).specs)
    shortest = len('{"类别":"退款","stars":1,"note":"","ok":true}'.encode())
    assert shortest <= size.short <= shortest + 10
    assert size.short < size.usual < size.long
