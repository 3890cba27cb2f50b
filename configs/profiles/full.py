"""The published schedule: changes nothing."""
