"""An endpoint: its address, key, prices and request dialect."""
