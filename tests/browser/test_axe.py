"""What axe-core, a checker of accessibility, finds in everything that is shown."""

from __future__ import annotations

import os
import sys

import pytest

from tests.browser.lab import missing

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
