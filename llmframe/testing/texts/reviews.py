"""Sentences of real product reviews, each rated by at least twenty people."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

SOURCE = "vaderSentiment==3.3.2"
"""Its source code holds them, under the MIT licence as it states; its wheel does not. They are
other people's texts: downloaded when asked for, and never copied into this project."""
ARCHIVE, FILE = "hutto_ICWSM_2014.tar.gz", "/amazonReviewSnippets_GroundTruth.txt"


def reviews() -> list[dict[str, Any]]:
    """3,708 sentences: ``id``, ``rating`` (the mean, from -4 to 4) and ``text``.

    pip downloads them, 2.5 MB. Raises RuntimeError where it cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines = _unpack(_download(Path(folder))).splitlines()
    rows = (line.split("\t", 2) for line in lines if line.count("\t") >= 2)
    return [{"id": name, "rating": float(rating), "text": text} for name, rating, text in rows]


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "-d", str(folder), SOURCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = next(folder.glob("*.tar.gz"), None)
    if done.returncode or found is None:
        raise RuntimeError(f"pip could not download the source of {SOURCE}: {done.stderr[-500:]}")
    return found


def _unpack(package: Path) -> str:
    """The text of the file of sentences, in an archive inside the package."""
    with tarfile.open(package) as outer, tarfile.open(fileobj=_member(outer, ARCHIVE)) as inner:
        return _member(inner, FILE).read().decode("utf-8", "replace")


def _member(archive: tarfile.TarFile, ending: str) -> IO[bytes]:
    """The file of the archive whose name ends so, opened; nothing is written to disk."""
    name = next(name for name in archive.getnames() if name.endswith(ending))
    opened = archive.extractfile(name)
    assert opened is not None
    return opened
