"""Everything that the page shows, as one plain value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.leaderboard.columns import texts
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.page.configs import configs
from benchmark.leaderboard.outputs.page.curves import curves
from benchmark.leaderboard.outputs.page.gallery import gallery


def payload(
    leaderboard: Leaderboard, results: Path, configs_by_row: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Collects what the page shows; JSON can hold all of it.

    Args:
        leaderboard: The table.
        results: The results folder, which the run folders lie in.
        configs_by_row: Composed configs by the name of the row.

    Returns:
        ``leaderboard``, as in its JSON file; ``progress``, the rows of which every seed is complete, in words;
        ``texts``, a dict a row with every cell as readers see it; ``curves`` and ``curves_left_out``, see
        `curves`; ``configs``, see `configs`; ``gallery``, see `gallery`.
    """
    shown, left_out = curves(leaderboard, results)
    return {
        "leaderboard": leaderboard.plain,
        "progress": leaderboard.progress,
        "texts": [texts(leaderboard.declared, line.values) for line in leaderboard.rows],
        "curves": shown,
        "curves_left_out": left_out,
        "configs": configs(configs_by_row),
        "gallery": gallery(leaderboard, results),
    }
