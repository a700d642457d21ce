"""End-to-end speech processing: recipes, models, training, search."""

__version__ = "0.1.0"
