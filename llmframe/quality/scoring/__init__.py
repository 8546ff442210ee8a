"""How right a column is: score, shares, compare, threshold."""
