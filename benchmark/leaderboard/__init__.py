"""The leaderboard, from the records on disk: never trains, never asks a tracker.

`select` finds the runs of each row, `judge` says what their numbers are worth, `document` is what is shown, and
`outputs` what it is written as; `write` writes or compares the files of all outputs.
"""
