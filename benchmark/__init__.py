"""DetBoard regenerates a detection leaderboard from one YAML file.

In a notebook, ``benchmark.results("results")`` gives its leaderboards as a pandas data frame, and
``benchmark.runs("results")`` their runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.leaderboard.outputs.notebook import results, results_per_class
    from benchmark.leaderboard.outputs.run_frame import runs

__version__ = "0.1.0"
__all__ = ["results", "results_per_class", "runs"]


def __getattr__(name: str) -> object:
    # Looked up on first use: the command line imports this package at every start, and without pandas.
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from benchmark.leaderboard.outputs import notebook, run_frame

    found: object = run_frame.runs if name == "runs" else getattr(notebook, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
