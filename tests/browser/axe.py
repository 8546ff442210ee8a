"""axe-core on a page: what somebody with other eyes, ears or hands could not read or use."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator

HERE = Path(__file__).parent  # package.json names the version, package-lock.json its checksum
SCRIPT = HERE / "node_modules/axe-core/axe.min.js"
INSTALL = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(HERE))
GRAVE = ("serious", "critical")


@cache
def lacking_axe() -> str:
    """Install axe-core unless it is there; what is lacking, empty if nothing."""
    if SCRIPT.exists():
        return ""
    if shutil.which("npm") is None:
        return "no npm, which installs axe-core: apt-get install npm"
    done = subprocess.run(INSTALL, capture_output=True, text=True, timeout=240, check=False)
    return "" if SCRIPT.exists() else f"npm could not install axe-core: {done.stderr[-400:]}"


def findings(part: Locator) -> list[str]:
    """What axe finds in the parts of a page: rule, help, and the element's beginning, each a line.

    Only what it calls serious or critical. The parts must be on the page.
    """
    parts = part.element_handles()
    assert parts, "these parts are not on the page"
    part.page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found = part.page.evaluate(_RUN, parts)
    return [line for each in found if each["impact"] in GRAVE for line in _lines(each)]


def _lines(violation: dict[str, Any]) -> list[str]:
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]}: {node['failureSummary']}"
        for node in violation["nodes"]
    ]


_RUN = "async parts => (await axe.run({include: parts}, {resultTypes: ['violations']})).violations"
