"""A run's handle, the session behind it, and the loop that it lives on."""
