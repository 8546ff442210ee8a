"""Web pages that answer where an API was expected: a proxy's, a firewall's, a wrong address's."""

from __future__ import annotations

import re

from llmframe.providers.responses.scrubber import Scrubber

MOST_OF_PAGE = 4096  # characters of a page searched for its title
_TITLE = re.compile(r"<title[^>]*>(.{1,200}?)</title>", re.I | re.S)


def is_page(body: object) -> bool:
    """Whether a response's body is a web page."""
    return isinstance(body, str) and body.lstrip().startswith("<")


def page_title(page: str, scrub: Scrubber | None = None) -> str:
    """The title of a web page in quotes and brackets; empty where it has none."""
    found = _TITLE.search(page[:MOST_OF_PAGE])
    title = (scrub or Scrubber())(found[1]) if found else ""
    return f' ("{title}")' if title else ""
