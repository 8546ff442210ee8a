"""How fast a run went from its beginning until now: counted in bins, drawn as a small line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmframe.notebook.drawing import style

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 60  # points of the line at most; a long run's bins are wider
WIDTH = 1.0  # seconds, of a bin at the beginning
_FEWEST = 4  # points that make a line
_BOX = (120, 22)  # pixels, of the picture


def line_html(rates: Sequence[float]) -> str:
    """The rates as a line over the whole run; empty while there is too little to see."""
    highest = max(rates, default=0.0)
    if len(rates) < _FEWEST or highest <= 0:
        return ""
    width, height = _BOX
    step, room = width / (len(rates) - 1), height - 3
    line = " ".join(
        f"{at * step:.1f},{height - 1 - room * rate / highest:.1f}" for at, rate in enumerate(rates)
    )
    area = f'points="0,{height} {line} {width},{height}" fill="{style.FIELD}" opacity="0.15"'
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="rows per second since the start" style="vertical-align:-5px;margin-right:8px">'
        f"<polygon {area}/>"
        f'<polyline points="{line}" fill="none" stroke="{style.FIELD}" stroke-width="1.5"/></svg>'
    )
