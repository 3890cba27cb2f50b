"""The experiment file and its rows."""
