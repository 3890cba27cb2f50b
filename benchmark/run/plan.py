"""What an experiment asks for: one run for each row and seed, and for each fold of a divided data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.config.compose import check_recipes, labelled, surroundings_of
from benchmark.config.sources import Looks
from benchmark.config.unvalidated import as_if_validated
from benchmark.config.vocabulary import objections
from benchmark.data.dataset import (
    Dataset,
    describe,
    describe_source,
    stated_dataset,
    validation_file,
)
from benchmark.data.folds import in_folds
from benchmark.errors import UserError, allowed, attempt, few
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.experiment.rows.predictions import PredictionsRecipe
from benchmark.run.contents import Contents
from benchmark.run.identity import Essences
from benchmark.run.journal import damages as damages_of_journal
from benchmark.run.known_runs import KnownRuns
from benchmark.run.record import State
from benchmark.run.row_runs import Setting, every_way, runs_of
from benchmark.run.runs import Runs
from benchmark.run.state import Planned


@dataclass(frozen=True)
class Request:
    """The options that choose what an experiment's verbs work on.

    Attributes:
        path: The experiment file.
        results: Folder of the results.
        profile: Name of a profile in place of the experiment's.
        data_root: A dataset folder in place of the experiment's.
        rows: Names of the rows to work on; None for all.
        seeds: Seeds in place of the experiment's.
        overrides: ``--set``: key paths and values, applied to every row after the row's own.
        fold: The one fold to work on where the data is divided; None for all.
        needs_data: Whether the data must be there, and the files that a config names; if not, an experiment that
            names classes and paths is believed.
    """

    path: Path
    results: Path = Path("results")
    profile: str | None = None
    data_root: Path | None = None
    rows: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)
    fold: int | None = None
    needs_data: bool = True


@dataclass(frozen=True)
class Plan:
    """All runs of a request.

    Attributes:
        profile: Name of the profile that it runs under.
        rows: The rows that were chosen, in order, with the labels that their configs give by default.
        seeds: The seeds of each row.
        dataset: What they are made on; of a divided data set its first fold.
        runs: One for each row, seed and fold, row by row.
        cache: File that remembers what large annotation files hold.
        aside: Annotations of the validation split of a divided data set, which counts for nothing; None without one.
    """

    experiment: Experiment
    dataset: Dataset
    profile: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    runs: tuple[Planned, ...]
    cache: Path | None = None
    aside: Path | None = None

    def counts(self) -> dict[State, int]:
        """Number of runs in each state."""
        states = [run.state for run in self.runs]
        return {state: states.count(state) for state in State if state in states}


def make_plan(request: Request, on_disk: Runs | None = None) -> Plan:
    """Reads the experiment and the data's annotation headers, and looks at what is on disk.

    The runs of the results folder are read anew if ``on_disk`` is None.

    Raises:
        UserError: With everything that is wrong with the experiment, its parts, the overrides and the data.
    """
    return plan_of(load_experiment(request.path), request, on_disk)


def plan_of(experiment: Experiment, request: Request, on_disk: Runs | None = None) -> Plan:
    """The plan of an experiment that is already read; see `make_plan`."""
    problems: list[str] = []
    dataset = attempt(problems, find_dataset, experiment, request)
    rows = attempt(problems, choose_rows, experiment, request.rows) or ()
    profile = request.profile or experiment.profile
    problems += check_recipes(experiment, surroundings_of(experiment, profile))
    if dataset is not None and request.needs_data:
        problems += _unjudged(experiment, dataset, test_left_aside(experiment, request))
    if problems or dataset is None:
        raise UserError(problems)
    return plan_for(experiment, request, dataset, profile, rows, on_disk)


def test_left_aside(experiment: Experiment, request: Request) -> str:
    """A word on a test split that an experiment names and a request leaves aside; empty if there is none."""
    if request.data_root is None or experiment.dataset.test is None:
        return ""
    return (
        "'test' under 'dataset' is left aside, for --data-root stands in the place of all of 'dataset': "
        f"the test split of {request.data_root} is its test.json"
    )


def without_score(plan: Plan) -> list[str]:
    """A word on rows whose runs will have no score at all, and of which no leaderboard says anything either."""
    test = plan.dataset.test
    judged = test is not None and test.labelled
    silent = {run.spec.row: run.spec.why_unvalidated for run in plan.runs if not run.spec.validates}
    blind = _without_test_boxes(plan.experiment.rows)
    by_reason: dict[str, list[str]] = {}
    for row in plan.rows:
        if (
            row.name in silent
            and row.leaderboard is None
            and not (judged and row.name not in blind)
        ):
            by_reason.setdefault(silent[row.name], []).append(row.name)
    mend = (
        "give those of each row that it is made from"
        if judged
        else "give a test split with annotations"
    )
    also = ", its boxes of the test split are not known" if judged else ""
    return [
        f"{few(names)}: {why}{also}, and nothing judges it: {mend}, or what a leaderboard says of it ('leaderboard')"
        for why, names in by_reason.items()
    ]


def _without_test_boxes(rows: Sequence[Row]) -> set[str]:
    """Names of the rows that are given boxes of val alone, and of all that are made from one of these."""
    found = {
        row.name
        for row in rows
        if isinstance(row.recipe, PredictionsRecipe) and not row.recipe.predictions.test
    }
    while more := {row.name for row in rows if found & {*row.recipe.source_rows}} - found:
        found |= more
    return found


def _unjudged(experiment: Experiment, dataset: Dataset, aside: str) -> list[str]:
    """A message where the rows are to be ranked by a test split that does not say which objects there are."""
    if experiment.judge == "val" or (dataset.test is not None and dataset.test.labelled):
        return []
    what = "its test split has no annotations" if dataset.test else "it has no test split"
    return [
        f"judge: test: {what}, so that nothing could rank the rows: put a test.json beside train.json and val.json, "
        f"or name one under 'dataset' (test: {{annotations, images}}), or leave 'judge' out ({dataset.name})"
        + (f"; {aside}" if aside else "")
    ]


def plan_for(
    experiment: Experiment,
    request: Request,
    dataset: Dataset,
    profile: str,
    rows: Sequence[Row],
    on_disk: Runs | None = None,
) -> Plan:
    """The plan over a dataset that is already known; see `make_plan`.

    Raises:
        UserError: With every override that does not fit its row, every file that a row's config names and that
            is not there, and every setting that a run would not honour.
    """
    seeds = request.seeds or tuple(experiment.seeds)
    on_disk = on_disk or Runs(request.results)
    setting = _setting(experiment, request, dataset, profile, on_disk)
    problems: list[str] = []
    shown: list[Row] = []
    runs: list[Planned] = []
    known = KnownRuns(setting)
    for row in rows:
        if done := known.complete(row):
            shown.append(row)
            runs += done
            continue
        looks = Looks.count
        told = attempt(problems, labelled, row, dataset, setting.around)
        asked = None if told is None else attempt(problems, runs_of, setting, told)
        known.note(row, asked or (), looks)
        shown.append(told or row)
        looked = [on_disk.look(*run) for run in asked or ()]
        problems += _objections(request, row, looked)
        runs += looked
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    chosen = (tuple(shown), tuple(seeds), tuple(runs))
    aside = (
        validation_file(experiment.dataset, experiment.path.parent, request.data_root)
        if experiment.folds is not None and request.needs_data
        else None
    )
    return Plan(experiment, dataset, profile, *chosen, cache=_cache(request), aside=aside)


def plan_as_far(
    experiment: Experiment, request: Request, dataset: Dataset, profile: str, on_disk: Runs
) -> tuple[Plan, dict[str, list[str]]]:
    """The plan over every row of an experiment that can be composed, and why each other one cannot, by its name.

    Raises:
        UserError: No row can be composed, or overrides of the command line fit not all of them.
    """
    where = (dataset, profile)
    try:
        return plan_for(experiment, request, *where, experiment.rows, on_disk), {}
    except UserError:
        if request.overrides:
            raise
        lost: dict[str, list[str]] = {row.name: [] for row in experiment.rows}
        for row in experiment.rows:
            attempt(lost[row.name], plan_for, experiment, request, *where, [row], on_disk)
        lost = {name: problems for name, problems in lost.items() if problems}
        if len(lost) == len(experiment.rows):
            raise
    rows = [row for row in experiment.rows if row.name not in lost]
    return plan_for(experiment, request, *where, rows, on_disk), lost


def _objections(request: Request, row: Row, runs: Sequence[Planned]) -> list[str]:
    """What stands in the way of runs that are to be made; one that is complete has shown that nothing did."""
    made = all(run.state is State.COMPLETE or not run.config for run in runs)
    if made or not request.needs_data:
        return []
    config = dict(runs[0].config)
    whole = config if runs[0].spec.validates else as_if_validated(config)
    return [f"row '{row.name}': {problem}" for problem in objections(whole)]


def asked_ids(
    experiment: Experiment,
    request: Request,
    dataset: Dataset,
    profile: str,
    rows: Sequence[Row],
    on_disk: Runs,
) -> set[str]:
    """The run ids that an experiment asks for in a setting; a row that cannot be composed in it asks for none.

    Of the dataset only hashes and classes count, of the request overrides and seeds. Where the data is not there, ids
    count that depend on which images a shortened run takes, either way.
    """
    wanted = replace(request, needs_data=False)
    setting = _setting(experiment, wanted, dataset, profile, on_disk)
    found = (attempt([], every_way, setting, row) or () for row in rows)
    return {run_id for ids in found for run_id in ids}


def with_all_rows(plan: Plan, request: Request, on_disk: Runs) -> Plan:
    """The plan over every row that can be composed, for the table; as it is where an override fits no other row."""
    rows = plan.experiment.rows
    if len(plan.rows) == len(rows):
        return plan
    asked = replace(
        request, needs_data=False
    )  # what a row lacks that is not to run now is told when it is
    try:
        return plan_as_far(plan.experiment, asked, plan.dataset, plan.profile, on_disk)[0]
    except UserError:
        return plan


def with_seeds(plan: Plan, request: Request, seeds: Iterable[int], on_disk: Runs) -> Plan:
    """The plan with more seeds for every row, for the table; runs are sorted by row and seed."""
    more = tuple(sorted(set(seeds) - set(plan.seeds)))
    if not more:
        return plan
    wider = replace(request, seeds=more, needs_data=False)
    added = plan_for(plan.experiment, wider, plan.dataset, plan.profile, plan.rows, on_disk)
    # A row may have seeds that nobody asks for.
    runs = {run.spec.run_id: run for run in (*plan.runs, *added.runs)}
    return replace(plan, seeds=(*plan.seeds, *more), runs=tuple(runs.values()))


def damages(runs: Iterable[Planned]) -> list[str]:
    """A sentence for each run whose folder is damaged, and for each that goes on with a damaged journal."""
    unfinished = [run for run in runs if run.record is None]
    told = [run.problem or damages_of_journal(run.folder.metrics_file) for run in unfinished]
    return list(dict.fromkeys(filter(None, told)))


def refreshed(plan: Plan, on_disk: Runs) -> Plan:
    """The same runs as they are now."""
    return replace(plan, runs=tuple(on_disk.look(run.spec, run.config) for run in plan.runs))


def find_dataset(experiment: Experiment, request: Request) -> Dataset:
    """The dataset of ``--data-root``, else the experiment's own; with ``folds`` the first fold of it."""
    cache, alone = _cache(request), experiment.folds is not None
    base = experiment.path.parent
    if request.data_root is not None:
        found = describe(request.data_root, cache=cache, alone=alone)
    elif not request.needs_data and (stated := stated_dataset(experiment.dataset, base, alone)):
        return stated
    else:
        found = describe_source(experiment.dataset, base, cache=cache, alone=alone)
    if experiment.folds is None:
        return found
    return in_folds(found, experiment.folds, base, request.results)


def _cache(request: Request) -> Path:
    return request.results / "datasets.json"


def choose_rows(experiment: Experiment, names: Iterable[str] | None) -> tuple[Row, ...]:
    """The rows called ``names``, in the experiment's order; all of them for None."""
    known = {row.name: row for row in experiment.rows}
    if names is None:
        return tuple(experiment.rows)
    wanted = list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UserError([f"--rows {name}: no such row; {allowed(name, known)}" for name in unknown])
    return tuple(row for row in experiment.rows if row.name in wanted)


def _setting(
    experiment: Experiment, request: Request, dataset: Dataset, profile: str, on_disk: Runs
) -> Setting:
    contents = Contents(request.results / "runs" / ".contents.json")
    return Setting(
        experiment,
        dataset,
        surroundings_of(experiment, profile),
        request.seeds,
        request.fold,
        request.overrides,
        request.needs_data,
        _cache(request),
        on_disk,
        contents,
        Essences(dataset, contents),
        experiment.files,
    )
