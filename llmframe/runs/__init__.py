"""A run's handle, and the loop that it lives on."""
