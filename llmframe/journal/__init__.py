"""Append-only journal of finished rows, so that a crash loses nothing and nothing is paid twice."""

from llmframe.journal.adopt import AdoptReport, adopt_plain
from llmframe.journal.checkpoint import Checkpoint, TaskInfo
from llmframe.journal.lines import id_text
from llmframe.journal.opening import open_checkpoint

__all__ = [
    "AdoptReport",
    "Checkpoint",
    "TaskInfo",
    "adopt_plain",
    "id_text",
    "open_checkpoint",
]
