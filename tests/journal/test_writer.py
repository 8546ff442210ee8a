"""A thread that writes may be interrupted at any moment, and blocks no other afterwards."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from llmframe.journal import store, writer
from llmframe.system import files
from tests.kits.journal import answer, key, opened

FILES = {module.__file__ for module in (files, store, writer)}


def interrupted_at(moment: int, work) -> bool:
    """Raise KeyboardInterrupt at the nth call or return within a write; True if it got that far.

    Python handles signals there, and not between the lines.
    """
    left, before = moment, sys.gettrace()

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        left -= event in ("call", "return")
        if left == 0 and event != "line":
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_at_any_step_of_a_write_leaves_no_lock_held(tmp_path: Path) -> None:
    steps = 0
    with opened(tmp_path / "c.jsonl", tmp_path / ".llmframe") as checkpoint:
        checkpoint.append(key(0), answer(0))
        while interrupted_at(steps + 1, lambda: checkpoint.append(key(1), answer(1))):
            steps += 1
            other = threading.Thread(target=checkpoint.flush, args=(5.0,), daemon=True)
            other.start()
            other.join(10)
            assert not other.is_alive(), steps
        assert checkpoint.get(key(1)) == answer(1)
    assert steps >= 6
