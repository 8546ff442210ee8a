"""Estimates with their error: arrays and numbers in, numbers out; numpy and math only."""
