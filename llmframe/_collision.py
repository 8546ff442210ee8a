"""A stranger's package of the same import name: found before it can do harm, and named."""

from __future__ import annotations

import os
import re
from pathlib import Path

STRANGER = re.compile(r"llmframe-[^-]+\.(dist|egg)-info")  # ours is llmframe_notebook-...


def refuse_stranger(package: Path) -> None:
    """ImportError if another distribution has files in this package's folder.

    package: the folder of this package. Two distributions that write into one folder
    overwrite each other's files, and to uninstall either breaks the other. One that lies
    elsewhere on the path is no harm; nor is one that has no such folder.
    """
    for name in _beside(package):
        if STRANGER.fullmatch(name) and _has_files(package.parent / name, package.name):
            raise ImportError(
                f"two packages have written into {package}: llmframe-notebook (this one) and a "
                f"stranger's, of which {name} tells. Their files overwrite each other, so nothing "
                "of either is to be trusted. Uninstall both (pip uninstall llmframe "
                "llmframe-notebook), then install llmframe-notebook again from where you had it.",
                name=package.name,
            )


def _beside(package: Path) -> list[str]:
    try:
        return os.listdir(package.parent)  # noqa: PTH208 - in a folder of thousands it counts
    except OSError:  # in a zip file
        return []


def _has_files(metadata: Path, package: str) -> bool:
    """Whether a distribution's list of files names the package's folder."""
    listed = "".join(map(_read, (metadata / "RECORD", metadata / "installed-files.txt")))
    found = rf"(?m)^(\.\./)?{re.escape(package)}/"
    return re.search(found, listed.replace("\\", "/")) is not None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
