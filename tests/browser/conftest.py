"""One JupyterLab and one Chromium for all tests here; a notebook, a page and a kernel for each."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from llmframe import testing
from tests.browser.axe import findings, lacking_axe
from tests.browser.lab import ARTIFACTS, LIGHT, Lab, launch, missing
from tests.kits.kernels import search_path


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    if lacking := missing():
        pytest.fail(lacking)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launch(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A JupyterLab server with both kernels."""
    kernels = {f"ipykernel{which}": search_path(which) for which in "76"}
    with Lab(tmp_path_factory.mktemp("lab"), kernels) as running:
        yield running


@pytest.fixture(scope="session")
def axe():
    """Checks parts of a page: ``assert axe(page.area(1)) == []``; see ``tests.browser.axe``."""
    if lacking := lacking_axe():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacking)
    return findings


@pytest.fixture
def server():
    """A provider that takes a fifth of a second for an answer."""
    with testing.serve(latency=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def page(lab, browser):
    """A page of JupyterLab, which takes seconds to load: the tests turn it to their notebooks."""
    lab.write("begin/0.ipynb", [], "ipykernel7")
    loaded = lab.open(browser, "begin/0.ipynb")
    yield loaded
    loaded.end_kernel()
    loaded.close()


@pytest.fixture
def opened(request, lab, page):
    """Opens a notebook in a folder and with a kernel of its own; a picture of its end is kept."""

    def open_(cells, kernel):
        name = f"{_name(request)}/0.ipynb"
        lab.write(name, cells, kernel)
        page.turn_to(name)
        return page

    yield open_
    page.page.screenshot(path=picture(request, "end"))
    page.look(LIGHT, 1000)


@pytest.fixture
def kept(request):
    """Where a test's picture of this name is kept."""
    return lambda name: picture(request, name)


def picture(request, name) -> Path:
    ARTIFACTS.joinpath("browser").mkdir(parents=True, exist_ok=True)
    return ARTIFACTS / "browser" / f"{_name(request)}-{name}.png"


def _name(request):
    return re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
