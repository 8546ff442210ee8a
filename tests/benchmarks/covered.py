"""Branch coverage of what must not be wrong: journal, governor, retry, parse.

``python -m tests.benchmarks.covered`` runs the tests that need neither browser nor kernel, some
minutes, and prints the table; less than 100 % is the exit status.
"""

from __future__ import annotations

import subprocess
import sys

MUST = (
    "llmframe/journal/*",
    "llmframe/engine/governor/*",
    "llmframe/engine/retry*.py",
    "llmframe/task/parse.py",
)
QUICK = "not slow and not kernel and not browser and not battery"


def python(*arguments: str) -> int:
    """Run a module of this Python's; its exit status."""
    return subprocess.run([sys.executable, "-m", *arguments], check=False).returncode


def main() -> int:
    """Print the table; 0 if all of it is covered."""
    quick = ("-q", "-n", "2", "--dist", "loadfile", "-m", QUICK)
    if failed := python("pytest", *quick, "--cov", "--cov-branch", "--cov-report="):
        return failed
    return python("coverage", "report", f"--include={','.join(MUST)}", "-m", "--fail-under=100")


if __name__ == "__main__":
    sys.exit(main())
