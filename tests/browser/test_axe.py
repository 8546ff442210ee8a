"""What axe-core, a checker of accessibility, finds in everything that is shown."""

from __future__ import annotations

import os
import sys

import pytest

from tests.browser.lab import DARK, LIGHT, missing, until
from tests.kits import view_cases

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium is driven"),
]

FAULTY = """
<div id="pale" style="background:#ffffff;color:#bbbbbb">hardly to be read</div>
<div id="button"><button></button></div>
<div id="bar"><div role="progressbar" aria-valuenow="5"></div></div>
<div id="fine"><b>10</b> rows</div>
"""


@pytest.fixture
def plain_page(browser):
    """A page without a notebook."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("pale", "color-contrast (serious)"),
        ("button", "button-name (critical)"),
        ("bar", "aria-progressbar-name (serious)"),
    ],
)
def test_a_fault_is_found(plain_page, axe, part, rule):
    plain_page.set_content(FAULTY)
    [found] = axe(plain_page.locator(f"#{part}"))
    assert found.startswith(rule)
    assert axe(plain_page.locator("#fine")) == []


def test_a_page_without_the_parts_does_not_pass(plain_page, axe):
    plain_page.set_content(FAULTY)
    with pytest.raises(AssertionError, match="not on the page"):
        axe(plain_page.locator("#elsewhere"))


# -- what a person is shown --------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(lab, browser):
    """All views, each in a cell of one notebook; the theme is changed, not the page."""
    lab.write("axe/0.ipynb", [view_cases.BEGIN, *view_cases.CELLS.values()], "ipykernel7")
    # so high that every cell is drawn: JupyterLab draws those in sight only
    page = lab.open(browser, "axe/0.ipynb", width=1000, height=9_000)
    for index in range(1 + len(view_cases.CELLS)):
        page.run(index)
    yield page
    page.end_kernel()
    page.close()


@pytest.mark.parametrize("width", [420, 1500])
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_everything_shown_can_be_read_and_used_by_everybody(shown, axe, theme, width):
    shown.look(theme, width)
    for index, name in enumerate(view_cases.CELLS, 1):
        until(lambda: shown.area(index).locator(".llmframe").count(), what=name)  # noqa: B023
        assert axe(shown.area(index)) == [], name


@pytest.mark.parametrize("name", ["Pause", "Stop"])
def test_every_button_of_the_panel_is_reached_and_pressed_by_keys(shown, name):
    index = 1 + [*view_cases.CELLS].index("panel")
    button = shown.area(index).get_by_role("button", name=name)
    button.focus()
    assert button.evaluate("button => button === document.activeElement && button.tabIndex >= 0")


def test_bars_say_their_value(shown):
    card = shown.area(1 + [*view_cases.CELLS].index("card-failed"))
    bar = card.get_by_role("progressbar", name="rows done")
    assert bar.get_attribute("aria-valuetext").startswith("10,000 of 10,000: 9,876 ok")
    labels = shown.area(1 + [*view_cases.CELLS].index("summary-labels"))
    assert labels.get_by_role("img", name="refund: 294, 98 %").count() == 1


def test_a_state_is_told_by_more_than_its_colour(shown):
    card = shown.area(1 + [*view_cases.CELLS].index("card-failed"))
    parts = card.get_by_role("progressbar").locator("div")
    looks = (
        "parts => parts.map(p => {const s = getComputedStyle(p); return [s.height, s.borderWidth]})"
    )
    ok, failed, skipped = parts.evaluate_all(looks)
    assert len({tuple(ok), tuple(failed), tuple(skipped)}) == 3
