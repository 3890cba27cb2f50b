"""Files with the boxes that a detector found: read from anywhere, and written to be handed in."""
