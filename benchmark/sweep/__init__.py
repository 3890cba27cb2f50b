"""Running what is missing."""
