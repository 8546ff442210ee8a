"""The words of the test records."""
