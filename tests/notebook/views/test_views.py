"""Which view is taken where, what the views without widgets draw, and that none hurts a run."""

import builtins
import io
import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from llmframe.errors import PlanError
from llmframe.notebook import hosts, make_view
from llmframe.notebook.drawing.card import card_text
from llmframe.notebook.stage import NO_CARD, OpenView
from llmframe.notebook.view import View
from llmframe.notebook.views.bar import TextBar, fitting
from llmframe.notebook.views.log import LogView
from tests.kits.notebook_cases import BEGIN, FINISHED, RUNNING


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Called in a test: standard error becomes a terminal of 120 columns."""

    def begin():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)  # pytest sets its own before each phase
        monkeypatch.setenv("COLUMNS", "120")
        return stream

    return begin


def made(progress, **options):
    return make_view(progress, **{"controls": None, "blocking": True, **options})


def run(view, *snapshots):
    view.open()
    for snapshot in snapshots:
        view.refresh(snapshot)
    view.close(FINISHED)


def test_false_shows_nothing(capsys):
    view = make_view(False, controls=None, blocking=True)
    assert type(view) is View
    run(view, BEGIN, RUNNING)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", ["bar", "", 1, None, "AUTO", []])
def test_an_unknown_choice_is_refused_with_the_choices(progress):
    with pytest.raises(PlanError, match="'auto', 'widget', 'tqdm', 'log'"):
        make_view(progress, controls=None, blocking=True)


@pytest.mark.parametrize("progress", [True, "auto", "widget", "tqdm"])
def test_a_terminal_gets_a_bar(progress, on_terminal):
    on_terminal()
    assert isinstance(made(progress), TextBar)


@pytest.mark.parametrize("progress", [True, "auto", "widget", "log"])
def test_without_a_terminal_there_are_log_lines(progress, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(made(progress), LogView)


def test_without_standard_error_there_are_log_lines_that_go_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(logging.getLogger("llmframe"), "propagate", False)
    view = make_view("auto", controls=None, blocking=True)
    assert isinstance(view, LogView)
    run(view, RUNNING)


def test_without_ipython_there_is_no_kernel(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert hosts.shell() is None
    assert hosts.kernel() is None


def test_making_a_view_for_a_script_loads_no_notebook_package():
    code = (
        "import sys; from llmframe.notebook import hosts, make_view\n"
        "view = make_view('log', controls=None, blocking=True)\n"
        "print({'IPython', 'ipywidgets', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# the bar


def test_the_bar_shows_how_far_the_run_is(on_terminal):
    terminal = on_terminal()
    run(TextBar(), BEGIN, RUNNING)
    frames = terminal.getvalue().split("\r")
    assert any(
        frame.startswith(" 62%|")
        and "6,214 of 10,000 rows, 48.7 rows/s, 1:18 left, 57 failed" in frame
        for frame in frames
    )


def test_a_bar_begins_at_what_is_done(on_terminal):
    terminal = on_terminal()
    TextBar().refresh(RUNNING)
    assert "  0%" not in terminal.getvalue()


def test_the_bar_stays_and_the_card_stands_below_it(on_terminal):
    terminal = on_terminal()
    run(TextBar(), RUNNING)
    bar, _, card = terminal.getvalue().rpartition("\nllmframe:")
    assert "finished" in bar.split("\r")[-1]
    assert f"llmframe:{card}" == card_text(FINISHED) + "\n"


@pytest.mark.parametrize(("failed", "colour"), [(81, "\x1b[31m"), (0, "\x1b[32m")])
def test_a_bar_that_ended_is_red_where_rows_are_missing(failed, colour, on_terminal):
    terminal = on_terminal()
    bar = TextBar()
    bar.refresh(RUNNING)
    bar.close(replace(FINISHED, report=replace(FINISHED.report, failed=failed)))
    assert colour in terminal.getvalue()


def test_a_message_is_written_once_however_it_counts_down(on_terminal):
    terminal = on_terminal()
    waits = [replace(RUNNING, message=f"The provider asks to wait {s} s.") for s in (9, 8, 7)]
    run(TextBar(), *waits)
    assert terminal.getvalue().count("The provider asks to wait") == 1
    assert "The provider asks to wait 9 s." in terminal.getvalue()


def test_a_bar_that_was_never_drawn_still_leaves_the_card(on_terminal):
    terminal = on_terminal()
    run(TextBar())
    assert terminal.getvalue() == card_text(FINISHED) + "\n"


def test_a_run_of_no_rows_draws_a_bar(on_terminal):
    on_terminal()
    run(TextBar(), replace(BEGIN, rows=0))


def test_words_that_do_not_fit_are_left_out_whole():
    assert fitting(["abc", "defgh", "ij"], 7) == "abc, ij"
    assert fitting(["too long"], 3) == "too long"


# log lines


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="llmframe")
    return lambda: [record.getMessage() for record in caplog.records]


def test_the_log_has_the_begin_a_line_every_ten_seconds_and_the_end(lines):
    view = LogView()
    view.open()
    for tenth in range(251):
        view.refresh(replace(RUNNING, seconds=tenth / 10))
    assert len(lines()) == 3
    view.close(FINISHED)
    assert "\n".join(lines()[3:]) == card_text(FINISHED)


def test_log_lines_go_to_standard_error_where_no_logging_is_set_up(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger("llmframe"), "propagate", False)
    run(LogView(), RUNNING)
    said = capsys.readouterr()
    assert said.err.startswith("llmframe: 6,214 of 10,000 rows")
    assert said.err.endswith(card_text(FINISHED) + "\n")
    assert said.out == ""


def test_log_lines_are_the_programs_to_filter_where_it_has_set_up_logging(caplog, capsys):
    caplog.set_level(logging.WARNING, logger="llmframe")
    run(LogView(), RUNNING)
    assert not caplog.records
    assert capsys.readouterr().err == ""


# the guard


class Broken:
    """A view whose page is gone."""

    def __init__(self, *fails):
        self.fails = fails
        self.calls = []

    def _call(self, name):
        self.calls.append(name)
        if name in self.fails:
            raise RuntimeError("the comm is closed")

    def open(self):
        self._call("open")

    def refresh(self, snapshot):
        self._call("refresh")

    def close(self, ending):
        self._call("close")


class Going:
    """A run that goes on."""

    def snapshot(self):
        return RUNNING


def guarded(view):
    return OpenView(Going(), view, lambda headline: FINISHED, raises=False)


def run_guarded(view, times=1):
    opened = guarded(view)
    for _ in range(times):
        opened.refresh()
    opened.close()
    return opened


def test_a_failing_view_is_noted_once_and_the_run_goes_on(caplog):
    caplog.set_level(logging.DEBUG, logger="llmframe")
    view = Broken("refresh")
    run_guarded(view, 3)
    assert view.calls == ["open", "refresh", "refresh", "refresh", "close"]
    assert [record.getMessage() for record in caplog.records] == [
        "the progress view failed; the run goes on"
    ]


def test_a_view_that_cannot_be_opened_is_replaced_by_log_lines(lines):
    view = Broken("open")
    run_guarded(view)
    assert view.calls == ["open"]
    assert lines()[0].startswith("llmframe: 6,214 of 10,000 rows")
    assert "\n".join(lines()[1:]) == card_text(FINISHED)


def test_a_card_that_cannot_be_shown_is_logged(lines):
    run_guarded(Broken("close"))
    assert "\n".join(lines()) == card_text(FINISHED)


def test_a_view_whose_card_fails_shows_a_sentence_instead_of_the_live_run(lines):
    class Cardless(TextBar):
        draws_card = True

        def close(self, ending):
            if ending is FINISHED:
                raise ValueError(ending)
            shown.append(ending)

    shown = []
    opened = guarded(Cardless())
    assert opened.draws_card
    opened.close()
    assert shown == [NO_CARD]
    assert not opened.draws_card
    assert "\n".join(lines()) == card_text(FINISHED)
    opened.close(sentence="later")
    assert shown == [NO_CARD]


def test_nothing_is_drawn_after_the_end():
    view = Broken()
    opened = run_guarded(view)
    opened.refresh()
    opened.close()
    assert view.calls == ["open", "refresh", "close"]


def test_an_interrupt_passes_through():
    class Interrupted(Broken):
        def refresh(self, snapshot):
            raise KeyboardInterrupt

    opened = guarded(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        opened.refresh()
    opened.close()
    assert opened.view.calls == ["open", "close"]


def test_without_tqdm_or_ipywidgets_nothing_crashes(monkeypatch, on_terminal):
    terminal = on_terminal()
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name in ("tqdm", "ipywidgets"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    run_guarded(make_view("widget", controls=None, blocking=True))
    assert terminal.getvalue() == card_text(FINISHED) + "\n"
