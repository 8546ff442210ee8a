"""Against servers that the project did not write; skipped where they are not installed."""
