"""Files and batches of the test server, in the shape of OpenAI's API."""

from __future__ import annotations

from llmframe.testing.batches.rules import BatchRules, Rules

__all__ = ["BatchRules", "Rules"]
