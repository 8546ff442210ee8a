"""Providers: where keys are, servers on this machine, and one that is started here."""
