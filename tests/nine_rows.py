"""The nine rows of the leaderboard, as its experiment has them, and how large their models are."""

from __future__ import annotations

from command import LEADERBOARD

from benchmark.experiment.experiment import load_experiment

ROWS = load_experiment(LEADERBOARD).rows
PARAMETERS = {  # with ten classes
    "r50_fpn_freeanchor_1x": 36_516_542,
    "r50_fpn_pisa_1x": 36_516_542,
    "r50_fpg_50e": 71_268_542,
    "r50_fpn_90k": 36_516_542,
    "r50_fpn_3x": 36_516_542,
    "r101_fpn_3x": 55_508_670,
    "x101_fpn_3x": 94_414_782,
    "convnext_tiny_fpn_3x": 37_307_422,
    "convnext_large_fpn_3x": 207_832_510,
}
