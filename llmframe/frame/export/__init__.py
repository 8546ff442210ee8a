"""A frame as a file: typed, whole or not at all, and neutral where others will open it."""
