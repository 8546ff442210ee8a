"""The server's embeddings: vectors made from the words of a text, by the rules of a provider."""
