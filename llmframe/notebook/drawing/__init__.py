"""HTML and text made from values."""
