"""What an experiment asks for: one run for each row and seed, and for each fold of a divided data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.config.compose import (
    changes_of,
    check_recipes,
    compose,
    labelled,
    source_files,
    surroundings_of,
)
from benchmark.config.imports import missing_modules, module_hash, own_module_files
from benchmark.config.sampled import sampled, with_rule
from benchmark.config.tree import Config
from benchmark.config.vocabulary import objections
from benchmark.data.dataset import Dataset, describe, describe_source, stated_dataset
from benchmark.data.folds import in_folds
from benchmark.data.memory import Memory
from benchmark.errors import UserError, allowed, attempt
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.experiment.rows import recipe_key
from benchmark.experiment.rows.base import Surroundings
from benchmark.files import is_file
from benchmark.run.contents import Contents, missing_files
from benchmark.run.identity import Essences, former_run_id, identity, run_id
from benchmark.run.journal import damages as damages_of_journal
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.run.spec import MODULE, RunSpec
from benchmark.run.state import Planned
from benchmark.run.unfit_data import unfit_data


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
    """

    experiment: Experiment
    dataset: Dataset
    profile: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    runs: tuple[Planned, ...]
    cache: Path | None = None

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
    if problems or dataset is None:
        raise UserError(problems)
    return plan_for(experiment, request, dataset, profile, rows, on_disk)


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
    for row in rows:
        told = attempt(problems, labelled, row, dataset, setting.around)
        asked = None if told is None else attempt(problems, _runs, setting, told, seeds)
        shown.append(told or row)
        looked = [on_disk.look(*run) for run in asked or ()]
        problems += _objections(request, row, looked)
        runs += looked
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    chosen = (tuple(shown), tuple(seeds), tuple(runs))
    return Plan(experiment, dataset, profile, *chosen, cache=_cache(request))


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
    made = all(run.state is State.COMPLETE for run in runs)
    if made or not request.needs_data:
        return []
    return [f"row '{row.name}': {problem}" for problem in objections(dict(runs[0].config))]


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
    seeds = request.seeds or tuple(experiment.seeds)
    return {
        _spec(one, row, seed, way).run_id
        for one in _by_fold(setting)
        for row in rows
        for way in attempt([], _ways, one, row) or ()
        for seed in seeds
    }


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
    return replace(plan, seeds=(*plan.seeds, *more), runs=(*plan.runs, *added.runs))


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


@dataclass(frozen=True)
class _Setting:
    """What all runs of a plan share."""

    experiment: Experiment
    request: Request
    dataset: Dataset
    around: Surroundings
    on_disk: Runs
    contents: Contents
    essences: Essences
    files: tuple[str, ...]


def _setting(
    experiment: Experiment, request: Request, dataset: Dataset, profile: str, on_disk: Runs
) -> _Setting:
    around = surroundings_of(experiment, profile)
    contents = Contents(request.results / "runs" / ".contents.json")
    known = (contents, Essences(dataset, contents), experiment.files)
    return _Setting(experiment, request, dataset, around, on_disk, *known)


@dataclass(frozen=True)
class _Way:
    """What a row's runs are, what their ids are made from beside seed and setting, and where modules are imported."""

    config: Config
    essence: str
    files: Mapping[str, str]
    given: Mapping[str, str]
    sources: tuple[str, ...]
    imports_from: str | None
    changes: tuple[str, ...]


def _ways(setting: _Setting, row: Row) -> Sequence[_Way]:
    """How a row's runs are made; two ways where only data that is not there tells which images they take."""
    overrides = setting.request.overrides
    base = compose(row, setting.dataset, setting.around, seed=0, overrides=overrides)
    modules = _modules(setting, row, base)
    memory = Memory(_cache(setting.request))
    known = sampled(base, setting.dataset, {**row.overrides, **overrides}, memory)
    configs = [base, with_rule(base)] if known is None else [known]
    select = setting.experiment.select
    given = {
        **row.recipe.given(setting.around),
        **({} if select == "last" else {"select": select}),
        **{f"{MODULE}{name}": module_hash(files) for name, files in modules.items()},
    }
    of_modules = (str(path) for files in modules.values() for path in files)
    sources = (*setting.files, *source_files(row, setting.around), *of_modules)
    imports_from = str(setting.around.folder) if modules else None
    return [
        _Way(
            config,
            *setting.essences.of(config),
            given=given,
            sources=sources,
            imports_from=imports_from,
            changes=changes_of(row, setting.dataset, setting.around),
        )
        for config in configs
    ]


def _modules(setting: _Setting, row: Row, base: Config) -> Mapping[str, tuple[Path, ...]]:
    """Files of the modules that a row's config imports from the experiment's folder, by name.

    Raises:
        UserError: With everything that the config names and that is not there, or does not fit.
    """
    problems: list[str] = []
    if setting.request.needs_data:
        problems += missing_files(base) + missing_modules(base, setting.around.folder)
        found = (setting.dataset, setting.contents, _cache(setting.request))
        problems += unfit_data(base, *found)
    modules = attempt(problems, own_module_files, base, setting.around.folder)
    if problems or modules is None:
        raise UserError([f"row '{row.name}': {problem}" for problem in problems])
    return modules


def _runs(setting: _Setting, row: Row, seeds: Iterable[int]) -> Sequence[tuple[RunSpec, Config]]:
    # Composed once a row and fold: nothing else in a config depends on the seed.
    found = [(one, _ways(one, row)) for one in _by_fold(setting)]
    return [_run(one, row, seed, ways) for seed in seeds for one, ways in found]


def _by_fold(setting: _Setting) -> list[_Setting]:
    """The setting over each fold of its data set that is asked for; itself where nothing is divided."""
    data, fold = setting.dataset, setting.request.fold
    if data.fold is None:
        return [setting]
    chosen = data.folds if fold is None else (data.with_fold(fold),)
    return [
        replace(setting, dataset=one, essences=Essences(one, setting.contents)) for one in chosen
    ]


def _run(setting: _Setting, row: Row, seed: int, ways: Sequence[_Way]) -> tuple[RunSpec, Config]:
    """The run of a seed: of two ways it may have been made the one that has a folder, else the first."""
    specs = [_spec(setting, row, seed, way) for way in ways]
    made = (
        i for i, spec in enumerate(specs) if is_file(setting.on_disk.folder(spec.run_id).spec_file)
    )
    chosen = 0 if len(ways) == 1 else next(made, 0)
    config = ways[chosen].config
    return specs[chosen], {**config, "randomness": {**config["randomness"], "seed": seed}}


def _spec(setting: _Setting, row: Row, seed: int, way: _Way) -> RunSpec:
    profile, given = setting.around.profile, way.given
    digest = identity(way.essence, setting.dataset, seed, profile, row.gpus, given)
    return RunSpec(
        run_id=_run_id(setting, row.name, seed, digest),
        experiment=setting.experiment.name,
        row=row.name,
        labels=row.labels,
        recipe=recipe_key(row.recipe),
        names=row.recipe.names,
        given=given,
        files=way.files,
        imports_from=way.imports_from,
        changes=way.changes,
        sources=way.sources,
        seed=seed,
        dataset=setting.dataset,
        profile=profile,
        overrides={**row.overrides, **setting.request.overrides},
        command_line=setting.request.overrides,
        gpus=row.gpus,
    )


def _run_id(setting: _Setting, row: str, seed: int, digest: str) -> str:
    """The row's run id: the former one where a run of this very row has it."""
    fold = setting.dataset.fold.number if setting.dataset.fold else None
    now = run_id(row, seed, setting.around.profile, digest, fold)
    former = former_run_id(row, seed, setting.around.profile, digest, fold)
    if former != now:
        with suppress(FileNotFoundError, NotADirectoryError, UserError):
            return former if setting.on_disk.spec(former).row == row else now
    return now
