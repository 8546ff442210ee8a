"""Is it right: what a tagged frame holds."""
