"""The training engine: recipe, loop, background thread."""
