"""The process's governors, and the most concurrent requests of a run."""

from __future__ import annotations

import sys

from llmframe.engine import governor as governors
from llmframe.engine.governor import auto_cap, governor_for
from llmframe.engine.governor.gate import Gate
from llmframe.engine.governor.governor import AUTO_CAP
from tests.kits import virtual_time
from tests.kits.governor import new_governor


def test_one_endpoint_key_and_model_have_one_governor():
    here = governor_for("https://x/v1", "sk-secret", "m")
    assert governor_for("https://x/v1", "sk-secret", "m") is here
    others = [
        governor_for("https://y/v1", "sk-secret", "m"),
        governor_for("https://x/v1", "sk-other", "m"),
        governor_for("https://x/v1", "sk-secret", "n"),
    ]
    assert len({id(each) for each in [here, *others]}) == 4
    assert "sk-secret" not in repr(vars(governors))


def test_a_forked_child_begins_with_fresh_governors():
    here = governor_for("https://x/v1", "k", "m")
    governors.forget_governors()
    assert governor_for("https://x/v1", "k", "m") is not here


def test_the_cap_of_a_run_that_finds_its_own_is_known():
    class NotingGate(Gate):
        def expect(self, first, ceiling, **rest):
            self.ceiling = ceiling
            super().expect(first, ceiling, **rest)

    async def main():
        gate = NotingGate()
        new_governor(gate).join(None)
        assert gate.ceiling == auto_cap()

    virtual_time.run(main())


def test_where_open_files_are_not_counted_the_cap_is_the_most(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert auto_cap() == AUTO_CAP
