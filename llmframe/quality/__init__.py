"""What a tagged frame holds, for people: counts, distributions, failed rows."""
