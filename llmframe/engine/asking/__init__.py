"""What is sent for a row, and what its reply means."""
