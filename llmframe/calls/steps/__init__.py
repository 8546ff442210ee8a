"""What calls in small steps need: fields that are new, rows without an answer, old answers."""
