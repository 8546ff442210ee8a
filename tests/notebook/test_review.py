"""How a person is asked: keys in a widget, lines in a terminal."""

import json

import pytest

from llmframe.errors import CheckpointError, PlanError
from llmframe.notebook import reviewing
from llmframe.notebook.review.drawing import SHOWN, question_html
from llmframe.notebook.review.keys import Keys
from llmframe.notebook.review.lines import ask_on_the_line
from llmframe.notebook.review.question import Question
from llmframe.notebook.review.widget import GUARD, ReviewWidget, inserted
from llmframe.quality.drawing import Wish
from llmframe.quality.review_session import Manner, ReviewSession
from tests.kits.notebook_cases import HOSTILE, Seen
from tests.kits.notebook_screen import own_shell, page_of
from tests.kits.reviews import LABELS, tagged

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def screen():
    with own_shell() as shell:
        yield page_of(shell)


@pytest.fixture
def df():
    return tagged()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def session(df, n=20, order="design", **manner):
    return ReviewSession(df, "intent", Wish(n, order=order), Manner(**manner))


def opened(df, n=20, **more):
    clock = Clock()
    view = ReviewWidget(session(df, n, **more), clock=clock)
    view.open()
    clock.now += 1
    return view, clock


def press(view, clock, keys, pause=1.0):
    """Type keys into the box as a page does: each is one more character in it."""
    for key in keys:
        view.box.value += key
        clock.now += pause


def truths(view):
    return [one.truth for one in view.review.draw.judgements()]


# -- keys ----------------------------------------------------------------------------------------


def test_keys_are_digits_then_letters_without_those_of_the_commands():
    keys = Keys([f"label {at}" for at in range(32)])
    assert keys.are_single
    assert keys.of[:10] == (*"123456789", "a")
    assert not {*"unh"} & {*keys.of}
    assert len({*keys.of}) == 32
    assert [keys.read(key) for key in ("1", "１", "A", "u", "N", "h", "?", "")] == [
        0, 0, 9, "undo", "skip", "help", None, None,
    ]  # fmt: skip


def test_other_keys_are_taken_and_the_rest_follow():
    assert Keys(LABELS, {"refund": "R", "other": "1"}).of == ("r", "2", "3", "1")
    assert Keys(LABELS, "rdbo").of == (*"rdbo",)


def test_more_labels_than_keys_are_typed_by_name():
    keys = Keys([f"label {at:03}" for at in range(860)])
    assert not keys.are_single
    read = [keys.read_line(line) for line in ("LABEL 007", "label 85", "label 859", "u", "h", "")]
    assert read == [7, None, 859, "undo", "help", None]


# -- the widget ----------------------------------------------------------------------------------


def test_a_key_decides_and_shows_the_next_row(screen, df):
    view, clock = opened(df)
    first = view.body.value
    press(view, clock, "12")
    assert truths(view) == ["refund", "delivery"]
    assert view.body.value != first
    assert "2 of 20 rows" in Seen(view.body.value).text
    press(view, clock, "uu")
    assert truths(view) == []
    assert Seen(view.body.value).text == Seen(first).text


def test_a_key_within_a_moment_of_the_drawing_is_not_counted(screen, df):
    view, clock = opened(df)
    press(view, clock, "1111", pause=GUARD / 2.5)
    assert truths(view) == ["refund", "refund"]
    clock.now += 1
    press(view, clock, "u", pause=0)
    press(view, clock, "u", pause=0)  # to undo is never too early
    assert truths(view) == []


def test_a_box_that_is_edited_counts_only_what_was_typed():
    assert inserted("12", "123") == "3"
    assert inserted("123", "12") == ""
    assert inserted("12", "1x2") == "x"
    assert inserted("111", "1111") == "1"
    assert inserted("123", "7") == "7"


def test_help_is_shown_and_hidden(screen, df):
    view, clock = opened(df)
    press(view, clock, "h")
    assert "takes the last answer back" in view.body.value
    press(view, clock, "h")
    assert "takes the last answer back" not in view.body.value


def test_buttons_do_the_same_and_give_the_box_the_focus(screen, df):
    view, _ = opened(df)
    focused = []
    view.box.focus = lambda: focused.append(True)
    view.labels[1].click()
    view.commands[0].click()
    view.commands[1].click()
    assert [button.description for button in view.labels] == [
        "1 refund", "2 delivery", "3 billing", "4 other",
    ]  # fmt: skip
    assert truths(view) == []
    assert view.review.draw.skipped == {0: 1}
    assert len(focused) == 3


def test_blind_means_that_nothing_of_the_model_is_in_the_widget(screen, df):
    df["intent"] = df["intent"].cat.rename_categories(lambda label: f"~{label}~")
    df["intent_evidence"] = [f"~quote {at}~" for at in range(300)]
    df["intent_confidence"] = 0.1234567 + df["intent_confidence"] / 1e9
    view, clock = opened(df, 60)
    states = []
    for key in "123":
        press(view, clock, key)
        states.append(json.dumps([state(part) for part in every(view)], default=str))
    labels = json.dumps([button.description for button in view.labels])
    for one in states:
        assert one.count("~refund~") == labels.count("~refund~") + 1  # its button, its tooltip
        assert "quote" not in one
        assert "0.12" not in one
    shown, _ = opened(df, 60, order="confidence")
    for known in ("~quote", "confidence 0.12", "the model said"):
        assert known in shown.body.value


def every(view):
    return [view.body, view.box, *view.labels, *view.commands, view.whole]


def state(widget):
    return {name: value for name, value in widget.get_state().items() if name != "layout"}


def test_a_disk_that_is_full_says_so_and_the_row_stays(screen, df, monkeypatch):
    view, clock = opened(df)

    def fail(line):
        raise CheckpointError("the disk is full")

    monkeypatch.setattr(view.review.records.own, "append", fail)
    press(view, clock, "1")
    assert "the disk is full" in view.body.value
    assert truths(view) == []
    monkeypatch.undo()
    press(view, clock, "1")
    assert "the disk is full" not in view.body.value
    assert len(truths(view)) == 1


def test_the_end_can_be_taken_back_until_the_frame_is_asked_for(screen, df):
    r = df.llm.review("intent", n=12)
    assert "widget-view" in "".join(screen.only)
    while r.row is not None:
        r.answer("refund")
    assert "widget-view" in "".join(screen.only)
    r.undo()
    r.answer("other")
    r.frame()
    assert {*screen.only} == {"text/html", "text/plain"}
    assert "All 12 rows are judged" in screen.only["text/plain"]
    assert "df.llm.score('intent')" in screen.only["text/plain"]


def test_a_label_is_typed_where_there_are_more_than_keys(screen):
    df = tagged(2000, labels=tuple(f"topic {at:02}" for at in range(40)))
    view, _ = opened(df)
    for typed, said in (("topic 07", ["topic 07"]), ("topic", ["topic 07"])):
        view.box.value = typed
        view.enter()
        assert truths(view) == said
    assert "topic is no label" in view.body.value
    assert view.box.value == ""


# -- how a row looks -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text):
    question = Question(text, row="1", texts=((text, text), ("b", text * 3)), said=text, quote=text)
    found = Seen(question_html(question, help_shown=True, message=text))
    assert {*found.tags} <= {"div", "span", "b", "br", "mark", "details", "summary"}
    assert not found.odd


def test_a_long_text_unfolds_and_nothing_of_it_is_lost():
    text = "".join(f"{at} $x$ <b> " for at in range(400))
    question = Question("intent", row="1", texts=(("text", text),))
    shown = question_html(question, help_shown=False, message="")
    assert f"{len(text) - SHOWN:,} more characters" in shown
    for at in (0, 150, 399):
        assert f"{at} " in Seen(shown).text
    assert Seen(shown).text.count("<b>") == 400


# -- in a terminal -------------------------------------------------------------------------------


def answers(*lines):
    waiting = iter(lines)

    def read(prompt):
        try:
            return next(waiting)
        except StopIteration:
            raise EOFError from None

    return read


def test_a_terminal_asks_on_the_line(df):
    review, written = session(df, 12), []
    ask_on_the_line(review, answers("1", "", "deliv", "u", "h", "what?"), written.append)
    assert [one.truth for one in review.draw.judgements()] == ["refund"]
    text = "".join(written)
    assert "1 refund  2 delivery  3 billing  4 other" in text
    assert "That is no key and no label." in text
    assert "not shown, because a label" in text
    assert "11 rows left; call it again to go on" in text


def test_at_the_end_a_terminal_says_what_to_do_next(df):
    written = []
    ask_on_the_line(session(df, 3), answers("1", "2", "3"), written.append)
    assert "All 3 rows are judged" in written[-1]


def test_a_notebook_whose_keys_cannot_arrive_says_so_instead_of_waiting(screen, df):
    with pytest.raises(PlanError, match="then run the next cell"):
        reviewing.wait_for(session(df))
