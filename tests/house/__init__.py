"""The figures of the house: see ``__main__``."""
