"""Fast paths of the layers' arithmetic, each with a plain torch one beside it that gives the same numbers."""
