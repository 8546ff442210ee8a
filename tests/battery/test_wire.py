"""The wire: what a network and a provider can do to a request, and what the frame shows then."""

from __future__ import annotations

import pytest

from llmframe import testing
from tests.battery.kit import check, frame, statuses, tag

pytestmark = pytest.mark.battery


def test_a_run_that_nothing_disturbs_is_its_own_measure(tmp_path):
    with testing.serve(latency=0.005) as server:
        out = tag(frame(40), server, tmp_path)
        assert statuses(out) == {"ok": 40}
        check(out, frame(40), server)
