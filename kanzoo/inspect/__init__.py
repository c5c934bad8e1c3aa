"""Look into a network."""
