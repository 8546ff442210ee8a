"""What says how far an answer can be trusted, apart from the answer."""
