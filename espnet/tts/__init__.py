"""Speech from features."""
