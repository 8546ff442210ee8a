"""WHAT is asked: fields, prompt and the reading of replies; no DataFrame, no screen."""
