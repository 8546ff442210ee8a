"""Sentences for people that need more than their place knows."""
