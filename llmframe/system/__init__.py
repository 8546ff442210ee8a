"""Loops, threads, files and locks."""
