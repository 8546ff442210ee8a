"""The views of a Jupyter kernel: the panel with its buttons, the plain HTML, the card in place."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from llmframe.notebook import hosts, make_view
from llmframe.notebook.drawing.card import card_html, card_text
from llmframe.notebook.drawing.live import BACKGROUND_HINT, INTERRUPT_HINT
from llmframe.notebook.latest_rows import MORE, NEWEST
from llmframe.notebook.view import LabelCounts, ShownRow
from llmframe.notebook.views.bar import TextBar
from llmframe.notebook.views.html_view import HtmlView
from llmframe.notebook.views.panel import (
    COUNTS_STAY,
    KEPT,
    MORE_STAY,
    RELOADED,
    ROWS_STAY,
    PanelView,
)
from tests.kits.notebook_cases import BEGIN, FINISHED, RUNNING, Seen
from tests.kits.notebook_screen import Clicks, own_shell, page_of

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def shell():
    with own_shell() as running:
        yield running


@pytest.fixture
def screen(shell):
    return page_of(shell)


def opened(shell, controls=None, *, blocking=True, latest=None):
    view = PanelView(controls, blocking=blocking, kernel=shell.kernel, latest=latest)
    view.open()
    return view


def buttons(view):
    return [button.description for button in view.row.children]


def live_widgets():
    from ipywidgets.widgets import widget

    return widget._instances  # ipywidgets lists its live widgets nowhere else


def click(view, name):
    [button] = [button for button in view.row.children if button.description == name]
    button.click()


def seen(view):
    return Seen(view.body.value).text


def test_a_kernel_gets_the_panel(screen, shell):
    for progress in ("auto", True, "widget"):
        view = make_view(progress, controls=Clicks(), blocking=True)
        assert isinstance(view, PanelView)


def test_a_kernel_without_ipywidgets_gets_plain_html(screen, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert isinstance(make_view("auto", controls=None, blocking=True), HtmlView)


def test_the_text_bar_can_be_asked_for_in_a_kernel(screen):
    assert isinstance(make_view("tqdm", controls=None, blocking=True), TextBar)


def test_ipython_in_a_terminal_gets_the_bar(shell):
    assert hosts.kernel() is None
    assert isinstance(make_view("auto", controls=None, blocking=True), TextBar)


def test_the_panel_is_one_display_that_names_its_widget(screen, shell):
    view = opened(shell)
    assert screen.only[WIDGET]["model_id"] == view.box.model_id
    assert "the end of this run was not recorded" in screen.only["text/plain"]


def test_refreshing_changes_the_widget_and_displays_nothing(screen, shell):
    view = opened(shell)
    before = dict(screen.displays)
    view.refresh(RUNNING)
    assert "6,214 of 10,000 rows" in seen(view)
    assert screen.displays == before


def test_what_did_not_change_is_not_sent_again(screen, shell):
    view = opened(shell)
    view.refresh(RUNNING)
    sent = []
    view.body.observe(sent.append, "value")
    view.row.observe(sent.append, "children")
    view.refresh(RUNNING)
    assert not sent
    view.refresh(replace(RUNNING, ok=6_119, seconds=RUNNING.seconds + COUNTS_STAY))
    assert len(sent) == 1


def test_counts_are_sent_less_often_than_they_are_drawn_but_a_new_status_at_once(screen, shell):
    view = opened(shell)
    view.refresh(RUNNING)
    view.refresh(replace(RUNNING, ok=6_119, seconds=RUNNING.seconds + COUNTS_STAY / 2))
    assert "6,119 ok" not in seen(view)
    view.refresh(replace(RUNNING, ok=6_120, status="paused"))
    assert "6,120 ok" in seen(view)


def test_at_the_end_the_card_stands_in_the_panels_place(screen, shell):
    view = opened(shell, Clicks(), blocking=False)
    view.refresh(RUNNING)
    view.close(FINISHED)
    assert screen.only == {"text/html": card_html(FINISHED), "text/plain": card_text(FINISHED)}


def test_a_page_that_was_loaded_again_finds_the_card_in_the_widget_and_nothing_else(screen, shell):
    before = set(live_widgets())
    view = opened(shell, Clicks(), blocking=False)
    view.refresh(RUNNING)
    view.close(FINISHED)
    left = {live_widgets()[model] for model in set(live_widgets()) - before}
    kept = {view.box, view.box.layout, view.body, view.body.layout, view.body.style}
    assert left == kept
    assert view.box.children == (view.body,)
    assert view.body.value.startswith(card_html(FINISHED))
    assert RELOADED in seen(view)


def test_of_many_ended_runs_only_the_last_keep_their_widgets(screen, shell):
    boxes = []
    for _ in range(KEPT + 2):
        view = opened(shell)
        view.close(FINISHED)
        boxes.append(view.box.model_id)
    assert [box in live_widgets() for box in boxes] == [False] * 2 + [True] * KEPT


def test_the_card_is_shown_even_when_a_widget_cannot_be_closed(screen, shell, monkeypatch):
    view = opened(shell)

    def fail():
        raise RuntimeError("the comm is gone")

    monkeypatch.setattr(view.row, "close", fail)
    with pytest.raises(RuntimeError):
        view.close(FINISHED)
    assert screen.only["text/plain"] == card_text(FINISHED)


def test_a_background_run_has_buttons_at_once(screen, shell):
    clicks = Clicks()
    view = opened(shell, clicks, blocking=False)
    view.refresh(RUNNING)
    assert buttons(view) == ["Pause", "Stop"]
    click(view, "Pause")
    view.refresh(replace(RUNNING, status="paused"))
    assert buttons(view) == ["Resume", "Stop"]
    click(view, "Resume")
    click(view, "Stop")
    assert clicks.asked == ["pause", "resume", "stop"]
    view.refresh(replace(RUNNING, status="stopping"))
    assert buttons(view) == []


def test_a_blocking_cell_without_subshells_names_the_interrupt_button(screen, shell):
    view = opened(shell, Clicks())
    view.refresh(RUNNING)
    assert buttons(view) == []
    assert INTERRUPT_HINT in seen(view)


def test_a_blocking_cell_has_buttons_once_a_subshell_is_seen(screen, shell):
    view = opened(shell, Clicks())
    view.refresh(BEGIN)
    assert buttons(view) == []
    assert INTERRUPT_HINT not in seen(view)  # the page needs a moment to make its subshell
    shell.kernel.subshells.append("subshell")
    view.refresh(RUNNING)
    assert buttons(view) == ["Pause", "Stop"]
    assert INTERRUPT_HINT not in seen(view)


def test_without_controls_there_are_no_buttons(screen, shell):
    shell.kernel.subshells.append("subshell")
    blocking, background = opened(shell), opened(shell, blocking=False)
    blocking.refresh(BEGIN)
    background.refresh(RUNNING)
    assert buttons(blocking) == buttons(background) == []
    assert INTERRUPT_HINT in seen(blocking)
    assert INTERRUPT_HINT not in seen(background)


def test_the_buttons_are_never_changed_while_the_run_goes(screen, shell):
    view = opened(shell, Clicks(), blocking=False)
    changes = []
    for button in view.buttons.values():
        button.observe(changes.append)
    for status in ("running", "paused", "running", "stopping", "stopped"):
        view.refresh(replace(RUNNING, status=status))
    assert not changes


class Seldom:
    """Rows that a test sets, and how often they are asked for."""

    live = None

    def __init__(self):
        self.answered, self.failed, self.asked, self.counted = [], [], 0, []

    def newest(self, most=NEWEST):
        self.asked += most == NEWEST
        return self.answered

    def labels(self):
        return self.counted

    def failures(self):
        return self.failed

    def rates(self):
        return [1.0, 2.0, 3.0, 4.0]


ANSWER = ShownRow("7", text="where is it?", values={"intent": "delivery"})
FAILURE = ShownRow("8", text="what?", error="timeout: after 60 s")


def test_the_speed_is_a_line_and_rows_are_shown_below_the_buttons(screen, shell):
    latest = Seldom()
    view = opened(shell, Clicks(), latest=latest)
    view.refresh(RUNNING)
    assert "<svg" in view.body.value
    assert view.answers.value == ""
    latest.answered = [ANSWER]
    view.refresh(replace(RUNNING, seconds=RUNNING.seconds + COUNTS_STAY))
    assert "where is it?" in view.answers.value
    assert list(view.box.children) == [view.body, view.row, view.answers]


def test_rows_stay_long_enough_to_be_read(screen, shell):
    latest = Seldom()
    latest.answered = [ANSWER]
    view = opened(shell, latest=latest)
    for tick in range(4):
        view.refresh(replace(RUNNING, seconds=100 + 0.4 * tick))
    assert latest.asked == 1
    view.refresh(replace(RUNNING, seconds=100 + ROWS_STAY))
    assert latest.asked == 2


def test_failures_are_folded_below_until_they_are_opened(screen, shell):
    latest = Seldom()
    view = opened(shell, latest=latest)
    view.refresh(replace(RUNNING, failed=0, errors_by_kind={}))
    assert view.folded not in view.box.children
    latest.failed = [FAILURE]
    view.refresh(replace(RUNNING, seconds=200))
    assert view.box.children[-1] is view.folded
    assert view.folded.selected_index is None
    assert view.folded.titles == ("the last failures",)
    assert "timeout: after 60 s" in view.failures.value


def test_more_answers_are_folded_below_as_soon_as_there_are_more(screen, shell):
    latest = Seldom()
    latest.answered = [ANSWER] * NEWEST
    view = opened(shell, latest=latest)
    view.refresh(RUNNING)
    assert view.folded_more not in view.box.children
    latest.answered = [ANSWER] * MORE
    view.refresh(replace(RUNNING, seconds=RUNNING.seconds + MORE_STAY))
    assert view.box.children[3] is view.folded_more
    assert view.more.value.count("where is it?") == MORE


def test_the_labels_so_far_are_above_the_answers(screen, shell):
    latest = Seldom()
    latest.counted = [LabelCounts("intent", labels=(("refund", 98), ("delivery", 2)))]
    view = opened(shell, latest=latest)
    view.refresh(RUNNING)
    assert "98 % refund, 2 % delivery" in Seen(view.answers.value).text


def test_what_was_opened_stays_open(screen, shell):
    latest = Seldom()
    latest.failed = [FAILURE]
    view = opened(shell, latest=latest)
    view.refresh(RUNNING)
    view.folded.selected_index = 0
    changes = []
    view.folded.observe(changes.append, ["selected_index", "children"])
    latest.failed = [FAILURE, FAILURE]
    view.refresh(replace(RUNNING, seconds=200, failed=58))
    assert changes == []


def test_the_single_rows_leave_with_the_panel(screen, shell):
    latest = Seldom()
    latest.answered, latest.failed = [ANSWER], [FAILURE]
    view = opened(shell, Clicks(), latest=latest)
    view.refresh(RUNNING)
    view.close(FINISHED)
    assert "where is it?" not in view.body.value
    assert view.answers.comm is None
    assert view.failures.comm is None
    assert "where is it?" not in screen.only["text/html"]


def test_plain_html_shows_the_newest_answers_too(screen):
    latest = Seldom()
    latest.answered = [ANSWER]
    view = HtmlView(blocking=True, controllable=True, latest=latest)
    view.open()
    view.refresh(RUNNING)
    assert "where is it?" in screen.only["text/html"]
    assert "<svg" in screen.only["text/html"]


def test_plain_html_is_updated_in_place_and_replaced_by_the_card(screen):
    view = HtmlView(blocking=True, controllable=True)
    view.open()
    view.refresh(RUNNING)
    assert INTERRUPT_HINT in Seen(screen.only["text/html"]).text
    assert screen.only["text/plain"].startswith("6,214 of 10,000 rows")
    view.close(FINISHED)
    assert screen.only == {"text/html": card_html(FINISHED), "text/plain": card_text(FINISHED)}


def test_plain_html_that_did_not_change_is_not_sent_again(screen, monkeypatch):
    view = HtmlView(blocking=True, controllable=False)
    view.open()
    view.refresh(RUNNING)
    data = screen.only
    view.refresh(RUNNING)
    assert screen.only is data


def test_plain_html_of_a_background_run_names_the_calls(screen):
    view = HtmlView(blocking=False, controllable=True)
    view.open()
    view.refresh(RUNNING)
    assert BACKGROUND_HINT in Seen(screen.only["text/html"]).text


def test_plain_html_of_a_background_run_that_cannot_be_stopped_promises_nothing(screen):
    view = HtmlView(blocking=False, controllable=False)
    view.open()
    view.refresh(RUNNING)
    assert "stop" not in Seen(screen.only["text/html"]).text


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        SimpleNamespace(),
        SimpleNamespace(shell_channel_thread=None),
        SimpleNamespace(shell_channel_thread=SimpleNamespace(manager=SimpleNamespace())),
    ],
)
def test_an_older_kernel_has_no_subshell(kernel):
    assert not hosts.has_subshell(kernel)


def test_the_route_of_a_click_is_freed_where_the_kernel_notes_one():
    noted = SimpleNamespace(comm=SimpleNamespace(_reply_subshell_id=None))
    hosts.free_route(noted)
    assert not hasattr(noted.comm, "_reply_subshell_id")
    for other in (SimpleNamespace(comm=None), SimpleNamespace(), noted):
        hosts.free_route(other)
