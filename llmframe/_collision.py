"""Another package with the same import name: detected at import, before it can do harm."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

STRANGER = re.compile(r"llmframe-[^-]+\.(dist|egg)-info")  # ours is llmframe_notebook-...


def refuse_stranger(package: Path) -> None:
    """ImportError if another distribution has files in this package's folder.

    package: the folder of this package. Two distributions that share a folder overwrite each
    other's files, and uninstalling either breaks the other. A distribution elsewhere on the
    path does no harm.
    """
    try:
        names = os.listdir(package.parent)  # noqa: PTH208 - a folder of thousands: speed matters
    except OSError:  # in a zip file
        return
    for name in names:
        if STRANGER.fullmatch(name) and _has_files(package.parent / name, package.name):
            raise ImportError(
                f"two packages have written into {package}: llmframe-notebook (this one) and "
                f"another, described by {name}. Their files overwrite each other, so neither can "
                "be trusted. Uninstall both (pip uninstall llmframe "
                "llmframe-notebook), then install llmframe-notebook again from where you had it.",
                name=package.name,
            )


def _has_files(metadata: Path, package: str) -> bool:
    """True where a distribution's list of files names the package's folder."""
    listed = ""
    for file in (metadata / "RECORD", metadata / "installed-files.txt"):
        with contextlib.suppress(OSError):
            listed += file.read_text(encoding="utf-8", errors="replace")
    found = rf"(?m)^(\.\./)?{re.escape(package)}/"
    return re.search(found, listed.replace("\\", "/")) is not None
