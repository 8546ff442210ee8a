"""Requests and replies on the wire, and what a failure means."""
