"""The newest answers and the last failures: what is kept of a run, and how it is shown."""

import json

import pytest

from llmframe.engine.events import Planned, RequestSent, RowsDone
from llmframe.notebook.drawing.live import live_html
from llmframe.notebook.drawing.rows import (
    ENOUGH,
    answers_html,
    doubt_words,
    failures_html,
    shares_html,
)
from llmframe.notebook.latest_rows import (
    DISTINCT,
    FAILED,
    KINDS,
    NEWEST,
    UNCOUNTED,
    LatestRows,
)
from llmframe.notebook.view import LabelCounts, ShownRow
from llmframe.results import SKIPPED, Failure, RowResult
from tests.kits.notebook_cases import HOSTILE, RUNNING, Seen

OURS = {"div", "span", "b", "table", "tr", "th", "td"}


class Rows:
    """A frame of three records, counted how often they are rendered."""

    n = 100
    rendered = 0

    def texts(self, start, stop):
        self.rendered += stop - start
        return [f"text {at}" for at in range(start, stop)]


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def latest(rows):
    return LatestRows(rows, lambda position: f"row-{position}")


def answered(*positions, source="request", **values):
    return RowsDone(positions, RowResult("ok", values), source)


def failed(position, kind, message):
    return RowsDone([position], RowResult("failed", error=Failure(kind, message)), "request")


def test_the_newest_answers_come_first(latest):
    for position in range(5):
        latest(answered(position, intent=f"label {position}"))
    assert latest.newest()[0] == ShownRow("row-4", text="text 4", values={"intent": "label 4"})
    assert [one.label for one in latest.newest()] == ["row-4", "row-3", "row-2"][:NEWEST]


def test_labels_are_counted_over_all_answers_and_of_lists_each(rows):
    latest = LatestRows(rows, str, ["intent", "topics", "sure"])
    latest(answered(0, 1, intent="refund", topics=["a", "b"], sure=True, summary="long"))
    latest(answered(2, intent="delivery", topics=[], sure=None))
    assert [(field.name, field.labels) for field in latest.labels()] == [
        ("intent", (("refund", 2), ("delivery", 1))),
        ("topics", (("a", 2), ("b", 2))),
        ("sure", (("True", 2),)),
    ]
    latest(answered(3, intent="refund"))
    assert latest.labels()[0].labels[0] == ("refund", 3)


def test_nobody_who_looks_costs_no_memory_and_of_many_labels_the_first_are_kept(rows):
    latest = LatestRows(rows, str, ["intent"])
    for at in range(3 * UNCOUNTED):
        latest(answered(at, intent=f"label {at}"))
    [field] = latest.labels()
    assert len(field.labels) == DISTINCT


def test_shares_sum_to_100_are_cut_and_doubted_where_one_label_took_nearly_all():
    labels = (("refund", 199), *((f"label {at}", 1) for at in range(5)))
    words = Seen(shares_html([LabelCounts("intent", labels=labels)])).text
    assert "98 % refund, 1 % label 0, 1 % label 1, under 1 % label 2, and 2 more labels" in words
    assert "nearly all of 204 answers are refund" in words
    assert doubt_words(LabelCounts("intent", labels=(("refund", ENOUGH - 1),))) == ""
    assert doubt_words(LabelCounts("intent", labels=(("a", 94), ("b", 6)))) == ""


def test_only_what_is_answered_now_is_shown(latest):
    latest(answered(1, source="checkpoint", intent="old"))
    latest(RowsDone([2], SKIPPED, "blank"))
    latest(RequestSent(repeated=False))
    latest(Planned())
    assert latest.newest() == []
    assert latest.failures() == []


def test_equal_rows_are_one_answer(latest):
    latest(answered(7, 8, 9, source="shared", intent="x"))
    assert [one.label for one in latest.newest()] == ["row-7"]


def test_the_last_failures_of_each_kind_are_kept(latest):
    for position in range(10):
        latest(failed(position, "timeout", f"after {position} s"))
    latest(failed(50, "output", "no JSON"))
    assert [one.label for one in latest.failures()] == ["row-9", "row-8", "row-7", "row-50"]
    assert latest.failures()[0] == ShownRow("row-9", text="text 9", error="timeout: after 9 s")


def test_many_kinds_of_failures_stay_few_rows(latest):
    for position in range(100):
        latest(failed(position, f"kind{position % 20}", "no"))
    assert len(latest.failures()) == KINDS * FAILED


def test_texts_are_rendered_only_when_they_are_shown(latest, rows):
    for position in range(100):
        latest(answered(position, intent="x"))
    assert rows.rendered == 0
    latest.newest()
    assert rows.rendered == NEWEST


def test_what_was_sent_is_shown_and_not_what_redact_took_out(latest, rows):
    latest(RowsDone([3], RowResult("ok", {"intent": "x"}), "request", "call [number]"))
    assert [one.text for one in latest.newest()] == ["call [number]"]
    assert rows.rendered == 0


def test_a_row_without_a_text_or_a_label_is_shown():
    class Odd(Rows):
        def texts(self, start, stop):
            return [RowResult("failed", error=Failure("input", "no text"))] * (stop - start)

    def no_label(position):
        raise OverflowError("no such date")

    latest = LatestRows(Odd(), no_label)
    latest(failed(4, "input", "no text"))
    assert latest.failures() == [ShownRow("row 4", text="", error="input: no text")]


def text(source):
    return Seen(source).text


def test_answers_are_a_table_of_texts_and_fields():
    one = ShownRow(
        "0", text="where is it?", values={"intent": "delivery", "tags": ["a", "b"], "n": None}
    )
    table = answers_html([one])
    for words in ("newest answers", "where is it?", "delivery", '["a", "b"]', "none", "tags"):
        assert words in text(table)


def test_of_many_fields_the_first_are_shown_and_the_rest_counted():
    table = answers_html([ShownRow("0", text="x", values={f"field{i}": i for i in range(7)})])
    assert "field3" in text(table)
    assert "field4" not in text(table)
    assert "and 3 more fields" in text(table)


def test_failures_name_their_row_and_what_was_wrong():
    table = text(failures_html([ShownRow("A-7", text="long story", error="timeout: after 60 s")]))
    for words in ("A-7", "long story", "timeout: after 60 s"):
        assert words in table


def test_nothing_is_shown_of_nothing():
    assert answers_html([]) == failures_html([]) == ""


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_only_text(hostile):
    values = {hostile + str(at): [hostile] if at % 2 else hostile for at in range(8)}
    row = ShownRow(hostile, text=hostile, values=values, error=hostile)
    for source in (answers_html([row] * NEWEST), failures_html([row] * KINDS * FAILED)):
        seen = Seen(source)
        assert set(seen.tags) <= OURS
        assert not seen.strange
        assert not seen.odd
        assert not seen.open


@pytest.mark.parametrize("foreign", [*HOSTILE, "长文本" * 1_000])
def test_no_message_to_the_page_grows_beyond_twenty_kilobytes(foreign):
    values = {foreign + str(at): foreign for at in range(8)}
    row = ShownRow(foreign, text=foreign, values=values, error=foreign)
    sources = [answers_html([row] * NEWEST), failures_html([row] * KINDS * FAILED)]
    for source in [*sources, live_html(RUNNING, rates=[123.456, 7.0] * 30)]:
        assert len(json.dumps(source, ensure_ascii=False).encode()) < 20_000
