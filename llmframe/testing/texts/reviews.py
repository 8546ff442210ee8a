"""Sentences of real product reviews, each rated by at least twenty people."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

SOURCE = "vaderSentiment==3.3.2"
"""Its source code holds them, under the MIT licence as it states; its wheel does not. They are
other people's texts: downloaded when asked for, and never copied into this project."""
ARCHIVE = "hutto_ICWSM_2014.tar.gz"
TEXTS, VOTES = "/amazonReviewSnippets_GroundTruth.txt", "/amazonReviewSnippets_anonDataRatings.txt"


def reviews() -> list[dict[str, Any]]:
    """3,708 sentences: ``id``, ``rating``, ``votes`` and ``text``.

    votes: what each of twenty people said, from -4 (very bad) to 4; rating: their mean.
    pip downloads them, 2.5 MB. Raises RuntimeError where it cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        texts, rated = _unpack(_download(Path(folder)))
    votes = {name: json.loads(last) for name, _, _, last in _cells(rated, 4)}
    return [
        {"id": name, "rating": float(rating), "votes": votes[name], "text": text}
        for name, rating, text in _cells(texts, 3)
    ]


def _cells(table: str, columns: int) -> list[list[str]]:
    """The cells of each line; a line that has not enough of them is left out."""
    rows = [line.split("\t", columns - 1) for line in table.splitlines()]
    return [row for row in rows if len(row) == columns]


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "-d", str(folder), SOURCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = next(folder.glob("*.tar.gz"), None)
    if done.returncode or found is None:
        raise RuntimeError(f"pip could not download the source of {SOURCE}: {done.stderr[-500:]}")
    return found


def _unpack(package: Path) -> list[str]:
    """The texts of the two files, which are in an archive inside the package."""
    with tarfile.open(package) as outer, tarfile.open(fileobj=_member(outer, ARCHIVE)) as inner:
        # one of them begins with a byte order mark
        return [
            _member(inner, name).read().decode("utf-8-sig", "replace") for name in (TEXTS, VOTES)
        ]


def _member(archive: tarfile.TarFile, ending: str) -> IO[bytes]:
    """The file of the archive whose name ends so, opened; nothing is written to disk."""
    name = next(name for name in archive.getnames() if name.endswith(ending))
    opened = archive.extractfile(name)
    assert opened is not None
    return opened
