"""Who watches the runs."""
