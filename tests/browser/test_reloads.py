"""A page that is left in mid-run finds the panel, or at least the card, in the same cell."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from tests.browser.lab import missing

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

from llmframe import testing
from tests.browser.reloads import APPS, CALLS, come_back, is_kept, write

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("app", "call", "way"),
    [  # each of the values at least twice; all of them: python -m tests.browser.reloads
        ("JupyterLab", "blocking", "reload"),
        ("JupyterLab", "background", "save and reopen"),
        ("Notebook 7", "blocking", "save and reopen"),
        ("Notebook 7", "background", "reload"),
    ],
)
def test_a_page_that_comes_back_finds_its_cell_as_it_should_be(lab, browser, app, call, way):
    if app == "Notebook 7" and find_spec("notebook") is None:
        pytest.skip("pip install --group browser")
    assert {app} <= set(APPS)
    assert {call} <= set(CALLS)
    name = f"{app}-{call}-{way}/0.ipynb".replace(" ", "-")
    with testing.serve(latency=0.7) as server:
        write(lab, name, server.url, call)
        assert is_kept(come_back(lab, browser, name, app, way))
