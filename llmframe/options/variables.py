"""Variables of the environment, else of the ``.env`` file; read, never changed."""

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
    """A value, which may be a key. source: where it was found, for people."""

    value: str = field(repr=False)
    source: str = ""
    in_file: bool = False


def find_variable(name: str, *, only_file: bool = False) -> Found | None:
    """The value of a variable; None where it is not set, or blank."""
    value = "" if only_file else _bare(os.environ.get(name))
    if value:
        return Found(value, f"the environment variable {name}")
    try:
        from dotenv import dotenv_values
    except ImportError:
        return None
    values = dotenv_values(stream=io.StringIO(_read_file()[1] or ""), interpolate=False)
    value = _bare(values.get(name))
    return Found(value, f"{name} in the .env file", in_file=True) if value else None


def file_trouble() -> str:
    """Why a ``.env`` file that exists may hide what it holds; "" where nothing does."""
    try:
        import dotenv  # noqa: F401 - only to see if it is installed
    except ImportError:
        exists = Path(".env").is_file()
        return "there is one, which pip install python-dotenv lets be read" if exists else ""
    path, text = _read_file()
    if text is None:
        return f"{path} cannot be read" if path else ""
    return f"{path} is not UTF-8 text: save it as such" if {"\ufffd", "\0"} & set(text) else ""


def _bare(value: str | None) -> str:
    """Without blanks around it, and without the pair of quotes that some tools write."""
    bare = (value or "").strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1].strip()
    return bare


def _read_file() -> tuple[str, str | None]:
    """The path of the ``.env`` file here or above, and its text.

    The path is "" where there is no file; the text is None where it cannot be read.
    """
    from dotenv import find_dotenv

    path = find_dotenv(usecwd=True)
    try:
        raw = Path(path).read_bytes() if path else b""
    except OSError:
        return path, None
    # PowerShell writes UTF-16 with a mark; keys are ASCII, so other encodings do no harm
    marked = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return path, raw.decode("utf-16" if marked else "utf-8-sig", errors="replace")
