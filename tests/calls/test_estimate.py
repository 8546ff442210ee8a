"""``estimate`` sends nothing, counts as the run does, and says what it is made from."""

import numpy as np
import pandas as pd
import pytest

import llmframe as lf
from llmframe.engine.governor import forget_governors
from llmframe.errors import IncompleteWarning, PlanError

FIELDS = {"intent": ["refund", "delivery", "other"]}
PRICES = {"in": 1.0, "out": 2.0, "cached": 0.1, "currency": "CNY"}
TEXTS = [f"{n} where is my parcel? " + "It is late. " * (n % 7) for n in range(40)]


@pytest.fixture
def call(configured):
    """The configured server; what a call sent to it is in the ledger."""
    lf.configure(model="m", base_url=configured.url, progress=False, prices=PRICES)
    return configured


def frame(texts=TEXTS, **columns):
    return pd.DataFrame({"text": texts, **columns})


def estimate(df, *arguments, **options):
    """An estimate that, as each, sends nothing."""
    return df.llm.estimate(*(arguments or ("text", FIELDS)), **options)


def run(df, *arguments, **options):
    """The report of the run that an estimate is about."""
    df.llm.tag(*(arguments or ("text", FIELDS)), **options)
    return lf.last_run().report


def test_nothing_is_sent_and_nothing_is_written(call, tmp_path):
    assert lf.estimate(frame(), "text", FIELDS).requests == 40
    assert len(call.ledger) == 0
    assert not [*tmp_path.iterdir()]


def test_duplicates_blanks_and_what_cannot_be_sent_are_counted_as_the_run_counts_them(call):
    texts = [*TEXTS, *TEXTS[:5], None, " ", "", "x" * 900, 10**5000]
    df = frame(pd.Series(texts, dtype=object))
    found = estimate(df, max_input_tokens=200)
    assert (found.rows, found.distinct, found.skipped, found.unsent) == (50, 40, 3, 2)
    report = run(df, max_input_tokens=200)
    assert (found.requests, found.skipped, found.unsent) == (
        report.requests, report.skipped, report.failed
    )  # fmt: skip
    again = estimate(df, max_input_tokens=200)
    assert (again.requests, again.done, again.cost, again.minutes) == (0, 45, 0.0, 0.0)
    assert "nothing to send" in again._repr_html_()


def test_a_text_that_is_cut_counts_as_it_is_sent(call):
    df = frame(["word " * 2000] * 2 + ["a", "b"])
    options = {"max_input_tokens": 50, "on_long": "truncate"}
    found = estimate(df, **options)
    low, high = found.tokens_in_range
    assert low <= run(df, **options).tokens_in <= high
    assert found.requests == 3


def test_after_some_answers_it_is_what_they_took(call):
    df = frame()
    run(df[::2])
    forget_governors()  # as in a new kernel: only the checkpoint is left
    found, report = estimate(df), run(df)
    assert (found.done, found.requests, found.measured) == (20, report.requests, 20)
    assert found.tokens_in == pytest.approx(report.tokens_in, rel=0.02)
    assert found.tokens_out == pytest.approx(report.tokens_out, rel=0.1)
    assert found.cost == pytest.approx(report.cost, rel=0.02)
    assert found.currency == "CNY"
    assert found.minutes > 0
    assert found.based_on == "measured on 20 answers of this task"


def test_what_the_cache_will_hold_is_measured_without_the_answers_that_filled_it(call):
    call.update(cache=True)
    df, options = frame(), {"instructions": "Say what the customer wants. " * 80}
    run(df[:10], **options)
    forget_governors()
    found, report = estimate(df, **options), run(df, **options)
    assert found.tokens_cached == pytest.approx(report.tokens_cached, rel=0.02)
    assert found.cost == pytest.approx(report.cost, rel=0.03)


def test_it_says_what_it_is_made_from(call):
    assert "UTF-8 bytes / 4, as nothing is known" in estimate(frame()).based_on
    run(frame(["something else"]), "text", {"mood": ["good", "bad"]})
    found = estimate(frame())
    assert "as this model's earlier answers have shown" in found.based_on
    assert "tokens out: by the fields" in found.based_on
    assert "df.llm.preview" in found.based_on


def test_without_prices_it_says_so_and_counts_the_tokens(call):
    found = estimate(frame(), prices=None)
    assert found.cost is None
    assert found.cost_range is None
    assert found.tokens_in > 0
    assert "price unknown: give prices=" in repr(found)
    assert "price unknown" in found._repr_html_()


def test_a_model_on_this_machine_has_no_price_to_ask_for():
    df = frame(["a"])
    found = estimate(df, provider="ollama", model="m", checkpoint=False)
    assert found.is_free
    assert "price" not in repr(found)


def test_a_batch_costs_half_and_takes_its_day(call):
    live, batch = estimate(frame()), estimate(frame(), mode="batch")
    assert batch.cost == pytest.approx(live.cost / 2)
    assert live.batch_saves == batch.batch_saves == pytest.approx(live.cost / 2)
    assert batch.minutes is batch.minutes_range is None
    assert "within 24 hours" in repr(batch)


def test_votes_cannot_be_had_in_batches_and_no_saving_is_promised(call):
    assert estimate(frame(), votes=3).batch_saves is None


@pytest.mark.parametrize(
    ("options", "minutes"),
    [({"rpm": 10}, 4.0), ({"tpm": 1000}, None), ({"concurrency": 1}, None)],
)
def test_limits_a_minute_and_the_concurrency_bound_the_time(call, options, minutes):
    call.update(latency=0.02)
    run(frame(["first", "second"]))
    found = estimate(frame(), **options)
    low, high = found.minutes_range
    assert low < found.minutes < high
    if minutes:
        assert found.minutes == pytest.approx(minutes)
    elif "tpm" in options:
        assert found.minutes == pytest.approx((found.tokens_in + found.tokens_out) / 1000, rel=0.01)
    else:
        fast = estimate(frame(), concurrency=40)
        assert found.minutes > fast.minutes


def test_the_sample_is_what_the_run_sends(call):
    seen = []
    call.update(answer=lambda text, body: seen.append(body) or {"intent": "other"})
    df = frame([" ", "first text", "second text"])
    for api in ("chat", "responses"):
        sample = estimate(df, api=api, checkpoint=False).sample
        run(df, api=api, checkpoint=False, concurrency=1)
        sent = seen[0]["messages"]
        seen.clear()
        assert [message["role"] for message in sample["messages"]] == ["system", "user"]
        assert sample["messages"][0] == sent[0]
        assert "first text" in sample["messages"][1]["content"]
        assert sample["schema"]["properties"]["intent"]["enum"] == FIELDS["intent"]


def test_only_rows_that_where_selects_count_and_a_multiindex_is_no_matter(call):
    levels = pd.MultiIndex.from_product([["a", "b"], range(20)])
    df = frame().set_index(levels)
    found = estimate(df, where=np.arange(40) < 10)
    assert (found.rows, found.requests) == (10, 10)
    run(df, where=np.arange(40) < 10)
    assert (estimate(df).done, estimate(df, reuse=False).done) == (10, 0)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_after_a_preview_its_answers_are_not_counted_again(call, checkpoint):
    df, options = frame(), {"checkpoint": checkpoint}
    df.llm.preview("text", FIELDS, n=10, **options)
    run(frame([f"{text}!" for text in TEXTS[:3]]), "text", {"other": ["a", "b"]}, **options)
    found, report = estimate(df, **options), run(df, **options)
    assert (found.done, found.requests, found.measured) == (10, report.requests, 10)
    assert found.tokens_in == pytest.approx(report.tokens_in, rel=0.03)
    assert found.minutes > 0


def test_rows_that_are_examples_are_not_asked_and_all_requests_carry_them(call):
    df, examples = frame(), [(text, "refund") for text in TEXTS[:4]]
    bare, shown = estimate(df), estimate(df, examples=examples)
    assert (shown.done, shown.requests) == (4, 36)
    assert shown.tokens_in > bare.tokens_in
    low, high = shown.tokens_in_range
    report = run(df, examples=examples)
    assert report.requests == 36
    assert low <= report.tokens_in <= high


@pytest.mark.parametrize("votes", [3, "2+1"])
def test_every_vote_is_a_request_and_stored_ones_are_none(call, votes):
    df = frame()
    run(df[:10])  # first votes of these
    assert estimate(df, votes=3).requests == 30 * 3 + 10 * 2
    assert estimate(df, votes="2+1").requests == round(30 * 2.2 + 10 * 1.2)
    found, report = estimate(df, votes=votes), run(df, votes=votes)
    assert (found.done, found.unanswered) == (0, 40)
    if votes == 3:
        assert found.requests == report.requests
        assert found.tokens_in == pytest.approx(report.tokens_in, rel=0.03)
    assert (estimate(df, votes=votes).requests, estimate(df, votes=votes).done) == (0, 40)


@pytest.mark.parametrize("df", [frame([]), frame([None, ""]), frame()[:0]])
def test_a_frame_without_a_text_costs_nothing(call, df):
    found = estimate(df)
    assert (found.requests, found.tokens_in, found.tokens_out, found.cost) == (0, 0, 0, 0.0)
    assert found.sample is None
    assert "nothing to send" in found._repr_html_()
    assert repr(found).startswith(f"llmframe: estimate for {len(df)} row")


def test_every_option_of_the_run_is_taken(call):
    out = frame().llm.tag("text", FIELDS)
    found = estimate(out, prefix="b_", confidence="logprob", details=True, progress="log")
    assert found.requests == 40  # asked with probabilities, it is another question
    assert estimate(out, overwrite=True).done == 40
    assert estimate(out, redact=str.upper).requests == 40
    assert estimate(out, checkpoint=False).checkpoint is None


def test_a_run_that_is_alive_may_write_its_checkpoint_meanwhile(call, tmp_path):
    path = tmp_path / "mine.jsonl"
    run(frame()[:10], checkpoint=path)
    call.update(latency=5.0)
    alive = frame().llm.start("text", FIELDS, checkpoint=path)
    try:
        assert estimate(frame(), checkpoint=path).done == 10
    finally:
        alive.stop()
        alive.stop()
        alive.wait()


MISTAKES = {
    "no column": (("txt", FIELDS), {}),
    "no fields": (("text", {}), {}),
    "no option": (("text", FIELDS), {"labels": ["a"]}),
    "no price": (("text", FIELDS), {"max_cost": 1.0, "prices": None}),
    "a column of the person's": (("text", {"n": int}), {}),
    "no length": (("text", FIELDS), {"on_long": "truncate"}),
    "no mask": (("text", FIELDS), {"where": [True]}),
    "no checkpoint": (("text", FIELDS), {"checkpoint": "table.csv"}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_the_same_error_as_in_the_run(call, tmp_path, mistake):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    arguments, options = MISTAKES[mistake]
    df, said = frame(n=1), []
    for ask in (df.llm.estimate, df.llm.tag):
        with pytest.raises(PlanError) as error:
            ask(*arguments, **options)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert len(call.ledger) == 0


# -- a limit that will stop the run --------------------------------------------------------------


def test_a_limit_that_is_expected_to_stop_the_run_is_said_once_before_it(call, caplog):
    run(frame()[:20])
    rest = estimate(frame())
    with pytest.warns(IncompleteWarning) as seen:  # and no other: a warning may be an error
        frame().llm.tag("text", FIELDS, max_cost=rest.cost * 1.5, concurrency=1)
    assert len(seen) == 1
    [said] = caplog.messages
    assert said.startswith("max_cost=")
    assert "of 20 requests" in said
    assert estimate(frame(), max_cost=rest.cost).notes[0].startswith("max_cost=")


@pytest.mark.parametrize("option", [{"max_cost": 1.0}, {"max_tokens": 1_000_000}])
def test_nothing_is_said_of_a_limit_that_is_large_enough(call, caplog, option):
    assert estimate(frame(), **option).notes == ()
    run(frame(), **option)
    assert caplog.messages == []


def test_a_view_says_it_before_the_first_request(call, caplog):
    caplog.set_level("INFO", "llmframe")
    call.update(latency=0.5)  # what ends at once has a card only
    with pytest.warns(IncompleteWarning):
        frame().llm.tag("text", FIELDS, max_tokens=500, progress="log", concurrency=1)
    assert "0 of 40 rows" in caplog.messages[0]
    assert "max_tokens=500 will stop this call after about" in caplog.messages[0]


@pytest.mark.filterwarnings("ignore:'llm_status':UserWarning")  # it held another call's status
@pytest.mark.parametrize("extend", [False, True])
def test_it_says_what_extend_saves(call, extend):
    out = frame().llm.tag("text", FIELDS)
    asked = FIELDS | {"urgency": ["low", "high"], "summary": str}
    found = out.llm.estimate("text", asked, extend=extend, overwrite=not extend)
    alone = out.llm.estimate("text", asked, extend=True).cost
    whole = out.llm.estimate("text", asked, overwrite=True).cost
    assert found.extend_saves == pytest.approx(whole - alone)
    assert "extend=True" in str(found)
    assert out.llm.estimate("text", FIELDS, extend=True).requests == 0
    assert frame().llm.estimate("text", asked).extend_saves is None
    assert len(call.ledger) == 40
