"""Variables: of the environment, else of the ``.env`` file; read, never changed."""

from __future__ import annotations

import codecs
import io
import os
from dataclasses import dataclass, field
from pathlib import Path

BASE_URL = "OPENAI_BASE_URL"
AZURE_ENDPOINT = "AZURE_OPENAI_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Found:
    """A value, which may be a key. source: where it stands, for people; in_file: in a file."""

    value: str = field(repr=False)
    source: str = ""
    in_file: bool = False


def find_variable(name: str, *, only_file: bool = False) -> Found | None:
    """What a variable holds; blank is as good as unset, and quotes around it are no part of it."""
    value = "" if only_file else _bare(os.environ.get(name))
    if value:
        return Found(value, f"the environment variable {name}")
    value = _bare(_in_file().get(name))
    return Found(value, f"{name} in the .env file", in_file=True) if value else None


def file_trouble() -> str:
    """Why a ``.env`` file that is there may hide what it holds; empty where nothing does."""
    try:
        import dotenv  # noqa: F401 - only whether it is there
    except ImportError:
        there = Path(".env").is_file()
        return "there is one, which pip install python-dotenv lets be read" if there else ""
    path, text = _file()
    if text is None:
        return f"{path} cannot be read" if path else ""
    return f"{path} is no UTF-8 text: save it as such" if {"\ufffd", "\0"} & set(text) else ""


def _bare(value: str | None) -> str:
    """Without blanks around it, and one pair of quotes, as some tools write them along."""
    bare = (value or "").strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1].strip()
    return bare


def _in_file() -> dict[str, str | None]:
    """What the ``.env`` file here or in a folder above holds, where python-dotenv is there."""
    try:
        from dotenv import dotenv_values
    except ImportError:
        return {}
    return dotenv_values(stream=io.StringIO(_file()[1] or ""), interpolate=False)


def _file() -> tuple[str, str | None]:
    """The path of the ``.env`` file, "" without one, and its text; None if it cannot be read.

    PowerShell writes UTF-16 with a mark. What no encoding fits is replaced: keys are ASCII.
    """
    from dotenv import find_dotenv

    path = find_dotenv(usecwd=True)
    try:
        raw = Path(path).read_bytes() if path else b""
    except OSError:
        return path, None
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return path, raw.decode("utf-16" if marked else "utf-8-sig", errors="replace")
