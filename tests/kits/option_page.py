"""docs/options.md, made from the declarations: ``python -m tests.kits.option_page`` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llmframe.options.settings import OPTIONS

PAGE = Path(__file__).parents[2] / "docs" / "options.md"
HEAD = """\
# Options

All options of `df.llm.tag`, as `options/settings.py` declares them (this page is made from there,
by `tests/kits/option_page.py`). `help(df.llm.tag)` shows a line each. A call's own options come
first, then what `lf.configure` has set, then the environment. The names that other tools use are
in `options/synonyms.py`: whoever gives one of them reads what to write here.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    group = ""
    for option in OPTIONS.values():
        if option.group != group:
            group = option.group
            yield from ("", f"## {group}", "", "| option | default | it takes | what it does |")
            yield "|---|---|---|---|"
        words = option.doc.replace("\n", ". ").replace("....", "...").replace("|", "\\|")
        yield f"| `{option.name}` | `{option.default!r}` | {option.takes} | {words} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
