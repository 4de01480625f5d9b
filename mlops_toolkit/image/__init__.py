"""A model becomes an image that serves it: layers, the documents around them, and how they reach a registry with or without Docker."""
