"""One row's way from its key to its result."""
