"""HOW it runs: pipeline, governor, retry, backend and journal; no DataFrame, no screen."""
