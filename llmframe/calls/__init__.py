"""The calls a person makes, one file each."""
