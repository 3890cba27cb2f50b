"""Whether measured values may be held against published ones, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.config.faster import option_names
from benchmark.config.retarget import dataset_leaves
from benchmark.data.dataset import Dataset, is_here, is_of_source, is_test_of_source
from benchmark.errors import UserError, few
from benchmark.experiment.experiment import Experiment, Row
from benchmark.leaderboard.results import COMPARABLE_PROFILE, OTHER_IMAGES, RowResult
from benchmark.leaderboard.values_on_test import TestSplit
from benchmark.run.plan import Plan, Request, plan_for

_PREFIX = "not compared with the published values: "
_NO_DATA = "the experiment's 'dataset' does not say which data they are of; record its sha256 there"
_NOT_RECORDED = "these are other annotations than the experiment's dataset.sha256 names"
_ELSEWHERE = (
    "not run on the experiment's own 'dataset'; where it is the same data, record its sha256 there"
)

_ON_TEST = "published on the test split"
_FOLDS = "measured on folds of the training split, of which no published value is"


def why_not_compared(plan: Plan, request: Request) -> str:
    """Why the full runs of a plan are held against no published value, for the whole table; empty if they are.

    Published values are of one data set and one training: the experiment's own, as its ``dataset`` block names it by
    hash or place, and as its rows say without ``--set``. Under another profile the profile's name says it.

    Args:
        plan: The runs of the table.
        request: Its ``--set``.
    """
    if plan.profile != COMPARABLE_PROFILE or all(row.published is None for row in plan.rows):
        return ""
    source, base = plan.experiment.dataset, plan.experiment.path.parent
    own = is_of_source(plan.dataset, source, base, plan.cache)
    why = _of_data(plan.experiment, plan.dataset, own) or _of_overrides(plan, request)
    return _PREFIX + why if why else ""


def is_elsewhere(plan: Plan) -> bool:
    """Whether a plan's data is known not to be the experiment's own; False where no row has a hidden set's score."""
    published = (row.published for row in plan.rows if row.published)
    if not any(each.split != "val" for each in published) and not any(
        row.leaderboard for row in plan.rows
    ):
        return False
    source, base = plan.experiment.dataset, plan.experiment.path.parent
    return is_of_source(plan.dataset, source, base, plan.cache) is False


def kept_otherwise(experiment: Experiment, dataset: Dataset, caveat: str, cache: Path) -> str:
    """What is wrong with the caveat of a board whose data and runs are not here: the recorded hashes tell.

    Args:
        experiment: As it is now.
        dataset: The hashes of the board's data.
        caveat: What the board says, empty where it shows differences.
        cache: File that remembers what large annotation files hold.

    Returns:
        A sentence; empty if nothing is wrong, or the experiment names its data by a place where there is none now.
    """
    source, base = experiment.dataset, experiment.path.parent
    if all(row.published is None for row in experiment.rows):
        return ""
    place_only = (source.root or source.train) and not source.sha256
    if place_only and not is_here(source, base, cache):
        return ""
    own = is_of_source(dataset, source, base, cache)
    why = _of_data(experiment, dataset, own)
    if why and not caveat:
        return f"it shows differences to published values, and is now {_PREFIX}{why}"
    if not why and caveat in {_PREFIX + reason for reason in (_NO_DATA, _NOT_RECORDED, _ELSEWHERE)}:
        return "its data is now that of the published values, and it shows no difference to them"
    return ""


def why_row_not_compared(row: Row, config: Mapping[str, object]) -> str:
    """Why one row is held against no published value although its table is; empty if it is.

    Args:
        row: The row.
        config: Its composed config.
    """
    if row.published is None:
        return ""
    if row.study is not None:
        return f"not trained as published: its values come from the study {row.study}"
    if row.published.split == "test":
        return ""  # see `held`
    for leaf in dataset_leaves(config.get("val_dataloader")):
        if leaf.get("indices") is not None:
            return f"evaluated on a part of the validation images (indices: {leaf['indices']})"
    return ""


def warnings_of_published(plan: Plan, request: Request) -> list[str]:
    """What of a plan's published values will be held against nothing, and why; empty under another profile."""
    if plan.profile != COMPARABLE_PROFILE:
        return []
    if why := why_not_compared(plan, request):
        return [why]
    test = plan.dataset.test
    on_test = [row.name for row in plan.rows if row.published and row.published.split == "test"]
    if not on_test or (test is not None and test.labelled):
        return []
    return [f"{few(on_test)}: {_ON_TEST}, and the data has none with annotations"]


def held(rows: Sequence[RowResult], untested: str) -> tuple[RowResult, ...]:
    """Rows that are held against their published values only where they were measured on what these are of.

    Args:
        rows: The rows of a table that compares with published values, judged on both splits.
        untested: As the function of this name says.
    """
    return tuple(replace(row, unlike=row.unlike or _why_not_held(row, untested)) for row in rows)


def _why_not_held(result: RowResult, untested: str) -> str:
    published = result.row.published
    if published is None or not result.complete:
        return ""
    if published.split == "test":
        return untested or (result.test.why if result.test else "")
    if result.map50 is None:
        return result.missing.get("map50", "")
    return OTHER_IMAGES if result.unpaired == OTHER_IMAGES else ""


def untested(plan: Plan, test: TestSplit | None) -> str:
    """Why nothing measured is of the test split that published values are of; empty if something is, or none is so."""
    if not any(row.published and row.published.split == "test" for row in plan.rows):
        return ""
    if test is None:
        return f"{_ON_TEST}, and nothing was measured on one with annotations"
    source, base = plan.experiment.dataset, plan.experiment.path.parent
    if is_test_of_source(test.sha256, plan.dataset, source, base, plan.cache):
        return ""
    if source.sha256 is not None and source.sha256.test is None:
        return f"{_ON_TEST}, of which dataset.sha256 does not say the annotations; record its 'test' there"
    return f"{_ON_TEST}, of other annotations than these"


def _of_data(experiment: Experiment, dataset: Dataset, own: bool | None) -> str:
    if dataset.fold is not None:
        return _FOLDS
    if own:
        return ""
    if own is None:
        return _NO_DATA
    return _NOT_RECORDED if experiment.dataset.sha256 else _ELSEWHERE


def _of_overrides(plan: Plan, request: Request) -> str:
    """``--set`` with a key that changes no run id changes no result either."""
    if not request.overrides:
        return ""
    changes = f"{option_names(request.overrides)} changes what is run"
    bare = replace(request, overrides={}, seeds=plan.seeds)
    try:
        as_rows_say = plan_for(plan.experiment, bare, plan.dataset, plan.profile, plan.rows)
    except UserError:  # a row that is whole with --set only
        return changes
    ids = {run.spec.run_id for run in as_rows_say.runs}
    same = all(run.spec.run_id in ids for run in plan.runs)
    return "" if same else changes
