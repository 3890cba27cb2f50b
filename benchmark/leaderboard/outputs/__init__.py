"""What the leaderboard is written as, one module an output."""
