"""A run: what was asked, what happened, and the folder that it is."""
