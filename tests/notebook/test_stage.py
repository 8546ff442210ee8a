"""A run is shown in the cell that starts it and in every cell that displays it, once in each."""

import threading
from dataclasses import replace

import pytest

from llmframe.notebook import hosts
from llmframe.notebook.drawing.card import card_text
from llmframe.notebook.stage import ELSEWHERE, MOST, NO_CARD, Stage
from tests.kits.notebook_cases import FINISHED, RUNNING
from tests.kits.notebook_screen import Clicks, own_shell, page_of


@pytest.fixture
def shell():
    with own_shell() as running:
        yield running


@pytest.fixture
def screen(shell):
    return page_of(shell)


class Going(Clicks):
    """A run that goes on until it is ended."""

    def __init__(self):
        super().__init__()
        self.over = threading.Event()

    def wait(self, timeout=None):
        return self.over.wait(timeout)

    def snapshot(self):
        return RUNNING


@pytest.fixture
def run():
    """Ended when the test ends, whatever it says."""
    going = Going()
    yield going
    going.over.set()
    for thread in threading.enumerate():
        if thread.name == "llmframe-view":
            thread.join()


@pytest.fixture
def stage(run, screen):
    return staged(run)


def staged(run, progress="auto"):
    def ending(headline):
        return replace(FINISHED, headline=headline or "as it is")

    return Stage(run, progress=progress, latest=None, ending=ending)


def texts(screen):
    return [data["text/plain"] for data in screen.displays.values()]


def test_the_cell_that_starts_a_run_does_not_show_it_twice(stage, screen):
    stage.open(blocking=False)
    assert stage.display()
    assert len(screen.displays) == 1


def test_another_cell_shows_it_live_until_it_ends(stage, run, screen, shell):
    stage.open(blocking=False)
    shell.kernel.cell = "cell 2"
    assert stage.display()
    assert stage.display()
    assert len(screen.displays) == 2
    run.over.set()
    [thread] = [one for one in threading.enumerate() if one.name == "llmframe-view"]
    thread.join()
    assert "llmframe: as it is" in texts(screen)[1]
    assert "was not recorded here" in texts(screen)[0]  # whoever opened that view closes it


def test_a_run_that_has_ended_is_settled_once_its_card_is_drawn(stage, run, screen):
    stage.open(blocking=False).refresh_in_background()
    run.over.set()
    stage.settle()
    assert "llmframe: as it is" in texts(screen)[0]


def test_a_run_that_is_over_is_shown_as_its_card(stage, run, screen):
    run.over.set()
    assert stage.display()
    assert texts(screen) == [card_text(replace(FINISHED, headline="as it is"))]


def test_of_many_live_views_the_oldest_retire(stage, screen, shell):
    threads = []
    for number in range(MOST + 1):
        shell.kernel.cell = f"cell {number}"
        known = set(threading.enumerate())
        stage.display()
        threads += set(threading.enumerate()) - known
    threads[0].join()
    assert ELSEWHERE in texts(screen)[0]
    assert all("was not recorded here" in text for text in texts(screen)[1:])


def test_without_progress_a_run_is_only_text(run, screen):
    assert not staged(run, progress=False).display()
    assert screen.displays == {}


def test_outside_of_a_notebook_a_run_is_only_text(run):
    assert hosts.running_cell() == ""
    assert not staged(run).display()


def test_a_view_ends_under_the_headline_it_is_given(stage, screen):
    shown = stage.open(blocking=True)
    shown.refresh()
    shown.close("interrupted")
    assert texts(screen)[0].startswith("llmframe: interrupted")


def test_a_call_that_joins_brings_its_own_progress(stage, screen):
    stage.open(blocking=True, progress=False)
    assert screen.displays == {}


# what raises


class Broken(Going):
    """A run whose counts cannot be read."""

    def snapshot(self):
        raise ZeroDivisionError


def broken_ending(headline):
    raise ZeroDivisionError(headline)


@pytest.mark.parametrize("progress", ["widget", "tqdm", "log"])
@pytest.mark.parametrize("in_background", [True, False])
def test_a_run_that_cannot_be_drawn_still_leaves_its_card(
    progress, in_background, screen, capsys, caplog
):
    caplog.set_level("INFO", "llmframe")
    going = Broken()
    opened = staged(going, progress).open(blocking=not in_background)
    if in_background:
        opened.refresh_in_background()
        going.over.set()
        opened.settle(10)
    else:
        opened.refresh()
        opened.close()
    said = [*texts(screen), capsys.readouterr().err, caplog.text]
    assert "llmframe: as it is" in "".join(said)


@pytest.mark.parametrize("progress", ["widget", "tqdm", "log", False])
def test_an_ending_without_a_card_is_a_sentence_and_no_card(progress, screen, capsys, caplog):
    caplog.set_level("INFO", "llmframe")
    stage = Stage(Broken(), progress=progress, latest=None, ending=broken_ending)
    opened = stage.open(blocking=True)
    assert stage.has_card == (progress == "widget")
    opened.close()
    assert not stage.has_card
    said = "".join([*texts(screen), capsys.readouterr().err, caplog.text])
    assert said.count(NO_CARD) == (1 if progress else 0)


def test_the_card_of_a_view_that_is_no_longer_held_still_counts(stage):
    stage.open(blocking=True).close()
    stage.open(blocking=True, progress=False).close()
    assert stage.has_card


def test_a_run_that_is_over_and_has_no_card_is_shown_as_text(screen):
    going = Broken()
    going.over.set()
    stage = Stage(going, progress="auto", latest=None, ending=broken_ending)
    assert not stage.display()
    assert screen.displays == {}
