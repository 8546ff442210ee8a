"""Tag a DataFrame of texts with an LLM from one notebook cell.

>>> import llmframe as lf  # doctest: +SKIP
>>> df.llm.tag("text", {"intent": ["refund", "delivery", "other"]}, model="...")  # doctest: +SKIP
"""

from pathlib import Path

from llmframe._collision import refuse_stranger

refuse_stranger(Path(__file__).parent)

from llmframe import errors
from llmframe._version import __version__
from llmframe.accessor import llm, register
from llmframe.api import (
    atag,
    check,
    compact,
    read_checkpoint,
    read_metadata,
    read_parquet,
    start,
    tag,
)
from llmframe.config import configure
from llmframe.engine.report import RunReport
from llmframe.run import Run, last_run

__all__ = [
    "Run",
    "RunReport",
    "__version__",
    "atag",
    "check",
    "compact",
    "configure",
    "errors",
    "last_run",
    "llm",
    "read_checkpoint",
    "read_metadata",
    "read_parquet",
    "start",
    "tag",
]

register()
del Path, refuse_stranger, register
