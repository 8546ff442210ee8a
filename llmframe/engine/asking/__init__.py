"""What is sent for a row, and what a reply means."""
