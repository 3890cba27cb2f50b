"""How numbers, tables and pictures are written, for the leaderboard, studies and comparisons alike."""
