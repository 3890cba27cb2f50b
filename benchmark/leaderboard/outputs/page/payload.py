"""Everything that the page shows, as one plain value."""

from __future__ import annotations

from typing import Any

from benchmark.leaderboard.columns import texts
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page.configs import configs
from benchmark.leaderboard.outputs.page.gallery import gallery


def payload(material: Material) -> dict[str, Any]:
    """Collects what the page shows; JSON can hold all of it.

    Returns:
        ``leaderboard``, as in its JSON file; ``progress``, the rows of which every seed is complete, in words;
        ``texts``, a dict a row with every cell as readers see it; ``curves`` and ``curves_left_out``, see
        `benchmark.leaderboard.curves.curves`; ``configs``, see `configs`; ``gallery``, see `gallery`.
    """
    leaderboard = material.leaderboard
    shown, left_out = material.curves
    return {
        "leaderboard": leaderboard.plain,
        "progress": leaderboard.progress,
        "texts": [texts(leaderboard.declared, line.values) for line in leaderboard.rows],
        "curves": shown,
        "curves_left_out": left_out,
        "configs": configs(material.configs or {}),
        "gallery": gallery(leaderboard, material.runs),
    }
