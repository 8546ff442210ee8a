"""A live preview on a real JupyterLab page: answers are read while they are written."""

from __future__ import annotations

import os
import sys

import pytest

from llmframe import testing
from tests.browser.lab import missing, until
from tests.kits.scripts import BEGIN

if (lacking := missing()) and not os.environ.get("CI"):  # there they are never skipped
    pytest.skip(lacking, allow_module_level=True)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform != "linux", reason="Debian's Chromium is driven"),
]

WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen " * 2
LIVE = 'df.llm.preview("text", {"intent": ["refund", "other"], "note": str}, live=True)'


def test_ten_answers_are_written_side_by_side_and_stop_pays_for_none_again(opened, kept):
    with testing.serve(stream=4, answer=lambda *_: {"intent": "refund", "note": WORDS}) as server:
        begin = BEGIN.replace('os.environ["LOOPBACK"], progress=False', repr(server.url))
        page = opened([f"{begin}\ndf = frame(10)", LIVE, LIVE], "ipykernel7")
        page.run(0)
        page.send(1)
        until(lambda: page.shown(1).count("▍") == 10)
        page.picture(kept("written"), page.area(1), page.area(1))
        page.click("Stop", 1)
        page.finish(1)
        assert "10 not reached" in page.shown(1)
        page.run(2)
        assert "10 ok" in page.shown(2)
        assert WORDS.strip() in page.shown(2)
        assert server.ledger.rows() == {f"record {n}": 1 for n in range(10)}
