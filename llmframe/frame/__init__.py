"""The DataFrame side: a frame to requests by position, answers to typed columns."""
