"""The leaderboard itself as JSON: what programs read, and what stands for the run folders in a fresh clone."""

from __future__ import annotations

from benchmark.leaderboard.outputs.base import text_output

JSON = text_output(".json", lambda leaderboard: leaderboard.text(), whole=True)
