"""Tag a DataFrame of texts with an LLM from one notebook cell.

>>> import llmframe as lf
>>> df.llm.tag("text", {"intent": ["refund", "delivery", "other"]}, model="...")
"""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from llmframe._collision import refuse_stranger

refuse_stranger(Path(__file__).parent)

from llmframe import errors
from llmframe._version import __version__
from llmframe.accessor import llm, register
from llmframe.calls.check import check
from llmframe.calls.estimate import estimate
from llmframe.calls.files import history, load, read_checkpoint, read_metadata, read_parquet
from llmframe.calls.preview import preview
from llmframe.calls.stream import tag_stream
from llmframe.calls.tag import atag, start, tag
from llmframe.options.layers import configure
from llmframe.report import RunReport
from llmframe.runs.run import Run, last_run

__all__ = [
    "Run",
    "RunReport",
    "__version__",
    "atag",
    "check",
    "configure",
    "errors",
    "estimate",
    "history",
    "last_run",
    "llm",
    "load",
    "preview",
    "read_checkpoint",
    "read_metadata",
    "read_parquet",
    "start",
    "tag",
    "tag_stream",
]

register()
del Path, refuse_stranger, register


def __dir__() -> list[str]:
    return __all__  # what people see after `lf.` and Tab


if not TYPE_CHECKING:  # type checkers would take any name for one that exists

    def __getattr__(name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "testing":
            raise errors.MisuseError("import it first: from llmframe import testing")
        usage = "lf.tag(df, input, fields) asks a model about every row, and so does df.llm.tag"
        raise errors.MisuseError(f"llmframe has no {name!r}; {usage}")
