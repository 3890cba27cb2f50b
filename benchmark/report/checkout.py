"""The leaderboard of a checkout without run folders: ``<experiment>.json`` is under version control, runs are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmark.dataset import Dataset, Split
from benchmark.experiment import Experiment, Row
from benchmark.plan import Plan, Request, plan_for
from benchmark.report.columns import COLUMNS
from benchmark.report.document import Data, Leaderboard, Line, read_leaderboard
from benchmark.report.table import RowResult
from benchmark.run import State


def kept_leaderboard(
    experiment: Experiment, request: Request
) -> tuple[Leaderboard, None, tuple[str, ...]] | None:
    """The leaderboard that the results folder keeps, None where it keeps none or the request asks for another.

    Returns:
        The leaderboard, no configs, and a sentence for everything in it that is not as the experiment is now: run
        ids are computed again from the experiment and its parts.

    Raises:
        UserError: The file is no leaderboard, or an override does not fit its row.
    """
    path = request.results / f"{experiment.name}.json"
    asked = (request.profile, request.data_root, request.seeds, *request.overrides)
    if not path.exists() or any(option is not None for option in asked):
        return None
    kept = read_leaderboard(path)
    plan = plan_for(
        experiment,
        replace(request, seeds=kept.seeds),
        _dataset(kept.dataset),
        kept.profile,
        experiment.rows,
    )
    return kept, None, tuple(_differences(kept, plan, path))


def _dataset(data: Data) -> Dataset:
    """The dataset without its files: a run id counts their hashes only."""
    train, val = (Split(Path(), Path(), sha256) for sha256 in (data.train, data.val))
    return Dataset(data.name, data.classes, train, val)


def _differences(kept: Leaderboard, plan: Plan, path: Path) -> list[str]:
    lines = {line.row: line for line in kept.rows}
    rows = {row.name: row for row in plan.rows}
    found = [f"row {name}: not in {path}" for name in rows if name not in lines]
    found += [f"row {name} of {path}: not in the experiment" for name in lines if name not in rows]
    if kept.title != plan.experiment.title:
        found.append(f"title: '{plan.experiment.title}', in {path}: '{kept.title}'")
    for name in (name for name in lines if name in rows):
        found += _label_differences(rows[name], lines[name], path)
    ids = {run.spec.run_id for run in plan.runs}
    return found + [
        f"row {line.row}, seed {run.seed}: {run.run_id} in {path} was made with another config than the row has now"
        for line in kept.rows
        if line.row in rows
        for run in line.runs
        if run.run_id is not None and run.run_id not in ids
    ]


def _label_differences(row: Row, line: Line, path: Path) -> list[str]:
    """Where what a row says of itself is not what is kept."""
    now = RowResult(row, (0,), (None,), (State.WAITING,))
    own = [c for c in COLUMNS if c.label or c.key == "leaderboard_map50"]
    return [
        f"row {row.name}: {c.title} is {c.cell(c.read(now))}, in {path}: {c.cell(line.values[c.key])}"
        for c in own
        if c.read(now) != line.values[c.key]
    ]
