"""Append-only journal of finished rows, so that a crash loses nothing and nothing is paid twice."""

from llmframe.engine.journal.adopt import AdoptReport, adopt_plain
from llmframe.engine.journal.checkpoint import Checkpoint, TaskInfo
from llmframe.engine.journal.compact import compact
from llmframe.engine.journal.lines import id_text
from llmframe.engine.journal.opening import open_checkpoint

__all__ = [
    "AdoptReport",
    "Checkpoint",
    "TaskInfo",
    "adopt_plain",
    "compact",
    "id_text",
    "open_checkpoint",
]
