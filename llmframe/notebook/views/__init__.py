"""The views of a run, one a file."""
