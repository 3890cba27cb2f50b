"""What mmdet's filters leave of the data for the rows of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.config.retarget import dataset_leaves
from benchmark.data.findings import Findings
from benchmark.data.memory import Memory
from benchmark.data.selection import Selection, nothing_left, told_of
from benchmark.run.plan import Plan

_Chosen = tuple[tuple[Path, Selection], ...]


def left_of(plan: Plan, memory: Memory) -> Findings:
    """Finds rows whose config takes no object from the data, and tells what training leaves out."""
    found = Findings()
    # What training leaves out of a fold is told of the file that was divided.
    folds = plan.dataset.folds
    whole = {one.train.annotations: one.fold.whole.annotations for one in folds if one.fold}
    configs = {(run.spec.row, run.spec.fold): run.config for run in plan.runs}
    for loader in ("train", "val"):
        chosen = {of: chosen_of(config, loader) for of, config in configs.items()}
        for same in dict.fromkeys(chosen.values()):
            rows = [row for row, fold in chosen if chosen[row, fold] == same]
            who = f"{'rows' if len(rows) > 1 else 'row'} {', '.join(rows)}: "
            found.errors.extend(nothing_left(same, who, memory))
        filters = {
            (whole.get(path, path), one.kept)
            for some in chosen.values()
            for path, one in some
            if one.learns
        }
        for path, kept in sorted(filters, key=str):
            found.warnings.extend(told_of(path, Selection(True, kept), memory))
    return found


def chosen_of(config: Mapping[str, object], loader: str) -> _Chosen:
    """The annotation file of each data set of a loader, and what it takes of it."""
    given = config.get(f"{loader}_dataloader")
    leaves = list(dataset_leaves(given.get("dataset"))) if isinstance(given, Mapping) else []
    learns = loader == "train"
    return tuple((Path(leaf["ann_file"]), Selection.of(leaf, learns)) for leaf in leaves)
