"""Rows whose config cannot be composed now, from a file that is broken or gone: shown by the runs that they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.rows import recipe_key
from benchmark.leaderboard.history import History, setting_of
from benchmark.leaderboard.results import RowResult
from benchmark.run.plan import Plan
from benchmark.run.reached import reached
from benchmark.run.record import State
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned

_UNCHECKED = "its config cannot be composed now, so that nothing says whether it is as published"


def uncomposed_result(row: Row, plan: Plan, history: History, compared: bool) -> RowResult:
    """What is known of a row without its config: of each seed and fold the newest run asked for in the same words.

    Args:
        row: It names a config or parts that cannot be loaded.
        plan: The plan over the other rows.
        history: The runs of the experiment.
        compared: Whether the table is held against published values.
    """
    runs = _newest(row, plan, history)
    folds = [one.fold.number if one.fold else None for one in plan.dataset.folds]
    asked = [(seed, fold) for seed in plan.seeds for fold in folds]
    found = [runs.get(one) for one in asked]
    labels = next((run.spec.labels for run in found if run is not None), {})
    return RowResult(
        row.model_copy(update={"labels": {**labels, **row.labels}}),
        tuple(seed for seed, _ in asked),
        records=tuple(run.record if run else None for run in found),
        states=tuple(run.state if run else State.WAITING for run in found),
        reached=tuple(reached(run) if run else "" for run in found),
        unlike=_UNCHECKED if compared else "",
        changes=next((run.spec.changes for run in found if run is not None), ()),
        folds=tuple(fold for _, fold in asked if fold is not None),
    )


def _newest(row: Row, plan: Plan, history: History) -> Mapping[tuple[int, int | None], Planned]:
    """By seed and fold the run of a row that ended last, else any that has not."""
    setting = (plan.profile, *plan.dataset.hashes)
    fitting = [
        run
        for run in history.fitting
        if setting_of(run.spec) == setting and _is_asked(run.spec, row, plan.experiment)
    ]
    fitting.sort(key=lambda run: run.record.finished_at if run.record else "")
    return {(r.spec.seed, r.spec.fold): history.on_disk.look(r.spec, {}) for r in fitting}


def _is_asked(spec: RunSpec, row: Row, experiment: Experiment) -> bool:
    """Whether a run was asked for in the words that the row has now; what its files held then nobody can say."""
    asked = (row.name, recipe_key(row.recipe), dict(row.recipe.names), row.overrides, row.gpus)
    of_run = (spec.row, spec.recipe, dict(spec.names), dict(spec.overrides), spec.gpus)
    same_way = not spec.trains or experiment.trains_on_all(row) != spec.validates
    return asked == of_run and spec.select == experiment.select and same_way


def told_of(lost: Mapping[str, Sequence[str]]) -> list[str]:
    """What is said of such rows."""
    return [
        f"{problem}; its runs are shown as they were made"
        for found in lost.values()
        for problem in found
    ]
