"""Append-only journal of finished rows, so that a crash loses nothing and nothing is paid twice."""

from llmframe.engine.journal.adopt import AdoptReport, adopt_plain
from llmframe.engine.journal.checkpoint import Checkpoint, TaskInfo
from llmframe.engine.journal.opening import open_checkpoint

__all__ = ["AdoptReport", "Checkpoint", "TaskInfo", "adopt_plain", "open_checkpoint"]
