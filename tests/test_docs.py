"""The pages for developers name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BASES = [REPOSITORY, REPOSITORY / "llmframe", REPOSITORY / "llmframe" / "engine"]
PAGES = [
    "CONTRIBUTING.md",
    *sorted(f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")),
]
PATH = re.compile(
    r"(?<![\w/.-])(?!\.venv/)[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|yaml|toml))(?![\w/])"
)


def paths(page):
    """What is in backticks or a link of the page and has the form of a path."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    named = re.findall(r"`([^`\n]+)`|\]\(([^)]+)\)", text)
    return sorted({path for pair in named for part in pair for path in PATH.findall(part)})


@pytest.mark.parametrize("page", PAGES)
def test_every_path_on_a_page_exists(page):
    named = paths(page)
    assert len(named) >= 3
    assert [path for path in named if not any((base / path).exists() for base in BASES)] == []


def test_the_table_of_rooms_names_every_folder():
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = [path.parent for path in (REPOSITORY / "llmframe").glob("*/__init__.py")]
    assert [folder.name for folder in folders if f"`{folder.name}/`" not in text] == []
