"""Lists of labels: long ones, and those that are proposed from a sample."""
