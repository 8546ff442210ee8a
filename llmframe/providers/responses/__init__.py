"""What providers send back: completions, usage, limits and errors, in all their spellings."""
