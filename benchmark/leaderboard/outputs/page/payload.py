"""Everything that the page shows, as one plain value."""

from __future__ import annotations

import math
from typing import Any

from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page.axes import axes
from benchmark.leaderboard.outputs.page.configs import configs
from benchmark.leaderboard.outputs.page.gallery import gallery
from benchmark.leaderboard.values import told_reasons
from benchmark.statistics.scores import SCORES
from benchmark.writing.words import fraction


def payload(material: Material) -> dict[str, Any]:
    """Collects what the page shows; JSON can hold all of it.

    Returns:
        ``leaderboard``: as in its JSON file.
        ``progress``: the rows of which every seed is complete, in words.
        ``agreement``: how well mAP50 ranks the rows as others did, in words; empty if there is nothing to say.
        ``judged_by``: by what the rows are ranked, in words, unless by the validation images.
        ``resampled``: what the intervals are over, in words.
        ``texts``, ``reasons``: of each row every cell as readers see it, and why cells are dashes, by column key.
        ``run_texts``: the mAP50 of each run by its id, as readers see it.
        ``scores``: key and title of those that curves are drawn of.
        ``curves``, ``curves_left_out``: see `benchmark.leaderboard.curves.curves`.
        ``bars``, ``axes``, ``configs``, ``gallery``: see the functions of these names.
    """
    leaderboard = material.leaderboard
    shown, left_out = material.curves
    return {
        "leaderboard": leaderboard.plain,
        "progress": leaderboard.progress,
        "agreement": agreement_text(leaderboard),
        "judged_by": leaderboard.judged_by,
        "resampled": leaderboard.resampled,
        "texts": leaderboard.texts,
        "reasons": [told_reasons(leaderboard, line) for line in leaderboard.rows],
        "run_texts": _run_texts(leaderboard),
        "bars": bars(leaderboard),
        "axes": axes(leaderboard),
        "scores": [[score.key, score.title] for score in SCORES.values() if score.axis],
        "curves": shown,
        "curves_left_out": left_out,
        "configs": configs(material.configs or {}),
        "gallery": gallery(leaderboard, material.runs, material.looks),
    }


def bars(leaderboard: Leaderboard) -> dict[str, Any]:
    """The scale of the bars beside mAP50 on the split that judges, which holds what is drawn and no more.

    Returns:
        ``low`` and ``top``, fractions, and both in words as ``text``.
    """
    keys = (leaderboard.judged_key, *leaderboard.judged_bounds)
    found = [values[key] for values in leaderboard.values for key in keys]
    found += map(leaderboard.held_against, leaderboard.rows)
    drawn = [value for value in found if value is not None]
    low, top = (
        math.floor(min(drawn, default=0) * 100) / 100,
        math.ceil(max(drawn, default=1) * 100) / 100,
    )
    top = top if top > low else low + 0.01
    return {"low": low, "top": top, "text": f"{low:.2f} to {top:.2f}"}


def _run_texts(leaderboard: Leaderboard) -> dict[str, str]:
    runs = (run for line in leaderboard.rows for run in line.runs)
    return {run.run_id: fraction(run.map50) for run in runs if run.run_id and run.map50 is not None}
