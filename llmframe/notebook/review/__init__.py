"""How a person is asked: by keys in a notebook, on the line in a terminal."""
