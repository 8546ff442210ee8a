"""Requests and what comes back: one run, one row's way, the governor, the wire. No pandas."""
