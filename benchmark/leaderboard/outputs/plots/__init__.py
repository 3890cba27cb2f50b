"""The leaderboard's plots."""
