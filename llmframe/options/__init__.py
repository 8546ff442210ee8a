"""The options of every call: declared, checked, layered."""
