"""Waits that double."""

STEPS = 20  # doublings, at most: after weeks of an outage 2.0**steps would overflow


def exponential(first: float, steps: int, longest: float) -> float:
    """Seconds after so many doublings of the first wait, the longest at most."""
    return min(longest, first * 2.0 ** min(steps, STEPS))
