"""What mmdet's filters leave of the data for the rows of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.config.retarget import dataset_leaves
from benchmark.data.dataset import Split
from benchmark.data.findings import Findings
from benchmark.data.memory import Memory
from benchmark.data.selection import Selection, nothing_left, told_of
from benchmark.run.plan import Plan

_Selections = tuple[Selection, ...]


def left_of(plan: Plan, memory: Memory) -> Findings:
    """Finds rows whose config takes no object from the plan's data, and tells what training leaves out."""
    found = Findings()
    configs = {run.spec.row: run.config for run in plan.runs}
    for loader, split in (("train", plan.dataset.train), ("val", plan.dataset.val)):
        taken = {row: _selections(config, loader, split) for row, config in configs.items()}
        for selections in dict.fromkeys(taken.values()):
            rows = [row for row in taken if taken[row] == selections]
            who = f"{'rows' if len(rows) > 1 else 'row'} {', '.join(rows)}: "
            found.errors.extend(nothing_left(split.annotations, selections, who, memory))
        filters = {one.kept for some in taken.values() for one in some if one.learns}
        for kept in sorted(filters, key=str):
            found.warnings.extend(told_of(split.annotations, Selection(True, kept), memory))
    return found


def _selections(config: Mapping[str, object], loader: str, split: Split) -> _Selections:
    """Of the data sets of a loader that read the split's file; none if another reads something else."""
    given = config.get(f"{loader}_dataloader")
    leaves = list(dataset_leaves(given.get("dataset"))) if isinstance(given, Mapping) else []
    if any(leaf["ann_file"] != str(split.annotations) for leaf in leaves):
        return ()
    return tuple(Selection.of(leaf, learns=loader == "train") for leaf in leaves)
