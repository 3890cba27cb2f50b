"""What the leaderboard is written as, one module or package an output; a new one is one line here.

The terminal and the notebook show a leaderboard and write no file: they are no outputs.
"""

from __future__ import annotations

from benchmark.leaderboard.outputs.base import Output
from benchmark.leaderboard.outputs.csv_file import CSV
from benchmark.leaderboard.outputs.json_file import JSON
from benchmark.leaderboard.outputs.markdown import MARKDOWN
from benchmark.leaderboard.outputs.out_of_fold import OUT_OF_FOLD
from benchmark.leaderboard.outputs.page import PAGE
from benchmark.leaderboard.outputs.plots import PLOTS
from benchmark.leaderboard.outputs.readme import README

OUTPUTS: dict[str, Output] = {  # in the order of writing; the names stand in messages
    "Markdown": MARKDOWN,
    "CSV": CSV,
    "JSON": JSON,
    "README": README,
    "page": PAGE,
    "plots": PLOTS,
    "out-of-fold boxes": OUT_OF_FOLD,
}
