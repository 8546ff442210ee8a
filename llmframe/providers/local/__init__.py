"""A small model on this machine, served by llama.cpp."""
