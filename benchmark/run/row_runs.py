"""From a row to what is asked of its runs: what their ids are made from, and the runs that they are made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.config.compose import changes_of, compose, labelled, source_files
from benchmark.config.faster import asked_of, told
from benchmark.config.imports import missing_modules, module_hash, own_module_files
from benchmark.config.judged import judged_images
from benchmark.config.sampled import sampled, with_rule
from benchmark.config.tree import Config
from benchmark.config.unvalidated import CHANGE, on_all, waiting_for_scores
from benchmark.data.dataset import Dataset
from benchmark.data.memory import Memory
from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.rows import recipe_key
from benchmark.experiment.rows.base import Recipe, Surroundings
from benchmark.files import is_file
from benchmark.run.contents import Contents, missing_files
from benchmark.run.identity import Essences, digest_of, former_run_id, identity, run_id
from benchmark.run.made_rows import check_made
from benchmark.run.pseudo import counted, labels_of, said_of
from benchmark.run.runs import Runs
from benchmark.run.spec import MODULE, PseudoLabels, RunSpec
from benchmark.run.unfit_data import unfit_data

_OfSource = tuple["int | None", "tuple[int, ...] | None", str]  # fold, seeds, name of the row


@dataclass(frozen=True)
class Setting:
    """What all runs of a plan share.

    Attributes:
        experiment: Whose rows they are of.
        dataset: What they are made on.
        around: What recipes may rest on.
        seeds: Those that a command asks for; None where it asks for none.
        fold: The one fold that a command asks for; None for all.
        overrides: ``--set``.
        needs_data: Whether the files that a row's config names must be there.
        cache: File that remembers what large annotation files hold.
        on_disk: The runs of the results folder.
        contents: Hashes of files.
        essences: What of configs changes the result.
        files: The files that the experiment was read from; found out by a look at all of its rows.
        sources: Specs of the rows that others are made from, by fold and name; filled in as they are asked for.
    """

    experiment: Experiment
    dataset: Dataset
    around: Surroundings
    seeds: tuple[int, ...] | None
    fold: int | None
    overrides: Mapping[str, object]
    needs_data: bool
    cache: Path
    on_disk: Runs
    contents: Contents
    essences: Essences
    files: tuple[str, ...]
    sources: dict[_OfSource, Sequence[RunSpec]] = field(default_factory=dict)

    @property
    def number(self) -> int | None:
        """Which fold the data set is; None where it is not divided."""
        return self.dataset.fold.number if self.dataset.fold else None

    def by_fold(self) -> list[Setting]:
        """The setting over each fold of its data set that is asked for; itself where nothing is divided."""
        if self.dataset.fold is None:
            return [self]
        data = self.dataset
        chosen = data.folds if self.fold is None else (data.with_fold(self.fold),)
        return [self._on(one) for one in chosen]

    def every_fold(self) -> list[Setting]:
        """The setting over each fold of its data set; itself where nothing is divided."""
        return [self._on(one) for one in self.dataset.folds] if self.dataset.fold else [self]

    def _on(self, dataset: Dataset) -> Setting:
        return replace(self, dataset=dataset, essences=Essences(dataset, self.contents))


@dataclass(frozen=True)
class Way:
    """What a row's runs are, what their ids are made from beside seed and setting, and where modules are imported."""

    config: Config
    essence: str
    files: Mapping[str, str]
    given: Mapping[str, str]
    sources: tuple[str, ...]
    imports_from: str | None
    changes: tuple[str, ...]
    making: Mapping[str, object]
    pseudo: PseudoLabels | None = None
    digests: Mapping[int, str] = field(
        default_factory=dict
    )  # of ids, by seed, where they are known


def _ways(setting: Setting, row: Row) -> Sequence[Way]:
    """How a row's runs are made; two ways where only data that is not there tells which images they take."""
    overrides = setting.overrides
    base = compose(row, setting.dataset, setting.around, seed=0, overrides=overrides)
    if not base:
        return [_without_config(setting, row)]
    making = _making_of(setting, row)
    modules = _modules(setting, row, base)
    memory = Memory(setting.cache)
    known = sampled(base, setting.dataset, {**row.overrides, **overrides}, memory)
    configs = [base, with_rule(base)] if known is None else [known]
    select = setting.experiment.select
    pseudo = labels_of(row, setting.experiment, setting.dataset, setting.around.folder, base)
    whole = setting.experiment.trains_on_all(row)
    given = {
        **row.recipe.given(setting.around),
        **_counted(making),
        **counted(pseudo),
        **({} if select == "last" else {"select": select}),
        **({"train_on": "all"} if whole else {}),
        **{f"{MODULE}{name}": module_hash(files) for name, files in modules.items()},
    }
    said = [*said_of(row), *((CHANGE,) if whole else ())]
    said += told(asked_of(row, setting.around, overrides), base)
    of_modules = (str(path) for files in modules.values() for path in files)
    sources = (*setting.files, *source_files(row, setting.around), *of_modules)
    return [
        Way(
            _on_all(setting, row, config) if whole else config,
            *setting.essences.of(config),  # val, too, counts by its hash
            given=given,
            sources=sources,
            imports_from=str(setting.around.folder) if modules else None,
            changes=(*changes_of(row, setting.dataset, setting.around), *said),
            making=making,
            pseudo=pseudo,
        )
        for config in configs
    ]


def _on_all(setting: Setting, row: Row, config: Config) -> Config:
    """The config of a row that is trained on train and val together.

    Raises:
        UserError: With every setting of it that waits for a validation.
    """
    if problems := [f"row '{row.name}': {problem}" for problem in waiting_for_scores(config)]:
        raise UserError(problems)
    return on_all(config, setting.dataset)


def _without_config(setting: Setting, row: Row) -> Way:
    making = _making_of(setting, row)
    given_files = {"files": making["files"]} if making.get("files") else {}
    essence, files = setting.essences.of(given_files)
    given = {**row.recipe.given(setting.around), **_counted(making)}
    return Way({}, essence, files, given, setting.files, None, (), making)


def _making_of(setting: Setting, row: Row) -> Mapping[str, object]:
    """How a row's boxes are made, and of which images; empty if it trains.

    Raises:
        UserError: It cannot be made, see `check_made`.
    """
    making = row.recipe.making(setting.around)
    if not making:
        return {}
    known = (setting.experiment, setting.dataset, setting.around, setting.overrides)
    check_made(row, *known)
    return {**making, **judged_images(setting.dataset, setting.around, Memory(setting.cache))}


def _counted(making: Mapping[str, object]) -> dict[str, str]:
    """What counts into a run id of how its boxes are made; ``indices`` follow from the annotations."""
    counting = {key: value for key, value in making.items() if key not in ("files", "indices")}
    text = json.dumps(counting, sort_keys=True)
    return {"making": hashlib.sha256(text.encode()).hexdigest()} if counting else {}


def _modules(setting: Setting, row: Row, base: Config) -> Mapping[str, tuple[Path, ...]]:
    """Files of the modules that a row's config imports from the experiment's folder, by name.

    Raises:
        UserError: With everything that the config names and that is not there, or does not fit.
    """
    problems: list[str] = []
    if setting.needs_data:
        problems += missing_files(base, recipe_key(row.recipe))
        problems += missing_modules(base, setting.around.folder)
        found = (setting.dataset, setting.contents, setting.cache)
        problems += unfit_data(base, *found)
    modules = attempt(problems, own_module_files, base, setting.around.folder)
    if problems or modules is None:
        raise UserError([f"row '{row.name}': {problem}" for problem in problems])
    return modules


@dataclass(frozen=True)
class Making:
    """One making of a row: its seed, and the runs that it is made from."""

    seed: int
    sources: tuple[RunSpec, ...] = ()


def _makings(setting: Setting, row: Row) -> Sequence[Making]:
    """Every making of a row.

    Raises:
        UserError: It shares no seed with the rows that it is made from.
    """
    recipe = row.recipe
    seeds = recipe.seeds(setting.experiment.seeds, setting.seeds)
    if row.pseudo is not None:
        return [Making(seed, (_teacher(setting, row.pseudo.source, seed),)) for seed in seeds]
    if not recipe.source_rows:
        return [Making(seed) for seed in seeds]
    # What is made over all seeds is no other run where a command asks for some of them.
    over = replace(setting, seeds=None) if recipe.over_seeds else setting
    folds = over.every_fold() if recipe.over_folds else [over]
    sources = {
        name: [spec for one in folds for spec in _source(one, name)] for name in recipe.source_rows
    }
    _refuse_unvalidated(setting, row, sources)
    if recipe.over_seeds:
        return [Making(seeds[0], tuple(spec for specs in sources.values() for spec in specs))]
    by_seed = [_by_seed(specs) for specs in sources.values()]
    shared = [seed for seed in by_seed[0] if all(seed in of_row for of_row in by_seed)]
    if not shared and setting.seeds is not None:
        # It has no run of the seeds that a command asks for; that it has some at all is seen to here.
        return _makings(replace(setting, seeds=None), row)[:0]
    if not shared:
        have = "; ".join(
            f"{name}: {', '.join(map(str, s))}" for name, s in zip(sources, by_seed, strict=True)
        )
        raise UserError(f"row '{row.name}': the rows that it is made from share no seed ({have})")
    return [
        Making(seed, tuple(spec for of_row in by_seed for spec in of_row[seed])) for seed in shared
    ]


def _teacher(setting: Setting, source: str, seed: int) -> RunSpec:
    """The run whose boxes are learnt with a seed: of a row that lacks it, as one made over all seeds does, the first.

    That is the first of all that the row has, whichever seeds a command asks for.
    """
    of_seed = (spec for spec in _source(setting, source) if spec.seed == seed)
    return next(of_seed, None) or _source(replace(setting, seeds=None), source)[0]


def _refuse_unvalidated(
    setting: Setting, row: Row, sources: Mapping[str, Sequence[RunSpec]]
) -> None:
    """Refuses what needs boxes that runs without a validation do not have.

    Raises:
        UserError: With the rows that have none.
    """
    names = [name for name, specs in sources.items() if not all(s.validates for s in specs)]
    if not names or not setting.needs_data:
        return
    why = dict.fromkeys(spec.why_unvalidated for name in names for spec in sources[name])
    whose = f"row '{row.name}': {', '.join(names)}: {' or '.join(filter(None, why))}"
    if row.recipe.needs_val:
        raise UserError(f"{whose}, with no boxes on val to calibrate scores by; drop 'calibrate'")
    if setting.dataset.test is None:
        raise UserError(f"{whose}: what is made of it has boxes on a test split alone; give one")


def _by_seed(specs: Sequence[RunSpec]) -> dict[int, list[RunSpec]]:
    found: dict[int, list[RunSpec]] = {}
    for spec in specs:
        found.setdefault(spec.seed, []).append(spec)
    return found


def _source(setting: Setting, name: str) -> Sequence[RunSpec]:
    """The runs of a row that others are made from; what stands in its own way is told where it is asked for."""
    key = (setting.number, setting.seeds, name)
    if key not in setting.sources:
        row = next(row for row in setting.experiment.rows if row.name == name)
        told = labelled(row, setting.dataset, setting.around)
        free = replace(setting, needs_data=False)
        setting.sources[key] = [spec for spec, _ in _runs_of_fold(free, told)]
    return setting.sources[key]


def runs_of(setting: Setting, row: Row) -> Sequence[tuple[RunSpec, Config]]:
    """What is asked of every run of a row, and its config, by seed and fold.

    Raises:
        UserError: With everything that is wrong with the row.
    """
    found = [run for one in setting.by_fold() for run in _runs_of_fold(one, row)]
    return sorted(found, key=lambda run: _place(setting, run[0]))


def _place(setting: Setting, spec: RunSpec) -> tuple[int, int]:
    seeds = setting.seeds or setting.experiment.seeds
    place = seeds.index(spec.seed) if spec.seed in seeds else len(seeds) + spec.seed
    return place, spec.fold or 0


def _runs_of_fold(setting: Setting, row: Row) -> list[tuple[RunSpec, Config]]:
    return [_run(setting, row, making, ways) for making, ways in _made_by(setting, row)]


def _made_by(setting: Setting, row: Row) -> list[tuple[Making, Sequence[Way]]]:
    """Every making of a row, and its ways."""
    # Composed once a row and fold: nothing else in a config depends on the seed.
    shared = _ways(setting, row)
    recipes = enumerate(_makings(setting, row))
    return [
        (making, shared if recipe is row.recipe else _ways(setting, _with(row, recipe)))
        for making, recipe in ((making, row.recipe.of_seed(n)) for n, making in recipes)
    ]


def _with(row: Row, recipe: Recipe) -> Row:
    return row.model_copy(update={"recipe": recipe})


def every_way(setting: Setting, row: Row) -> list[str]:
    """The ids of the runs of a row, of every way in which it may have been made."""
    return [
        spec_of(one, row, making, way).run_id
        for one in setting.by_fold()
        for making, ways in _made_by(one, row)
        for way in ways
    ]


def _run(setting: Setting, row: Row, making: Making, ways: Sequence[Way]) -> tuple[RunSpec, Config]:
    """One run: of two ways it may have been made the one that has a folder, else the first."""
    specs = [spec_of(setting, row, making, way) for way in ways]
    files = (setting.on_disk.folder(spec.run_id).spec_file for spec in specs)
    made = (i for i, file in enumerate(files) if is_file(file))
    chosen = 0 if len(ways) == 1 else next(made, 0)
    config = ways[chosen].config
    if not config:
        return specs[chosen], {}
    return specs[chosen], {**config, "randomness": {**config["randomness"], "seed": making.seed}}


def _without_val(way: Way, making: Making) -> Mapping[str, str]:
    """What is made of a run that has learnt the validation images is judged on them as little as that is."""
    learnt = way.making and not all(spec.validates for spec in making.sources)
    return {"train_on": "all"} if learnt else {}


def spec_of(setting: Setting, row: Row, making: Making, way: Way) -> RunSpec:
    """What is asked of a run that is made in one way."""
    profile, seed = setting.around.profile, making.seed
    from_rows = {f"source {n}": digest_of(s.run_id) for n, s in enumerate(making.sources, 1)}
    given = {**way.given, **from_rows, **_without_val(way, making)}
    of = (way.essence, setting.dataset, seed, profile, row.gpus, given)
    digest = way.digests.get(seed) or identity(*of)
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
        overrides={**row.overrides, **setting.overrides},
        command_line=setting.overrides,
        gpus=row.gpus,
        making=way.making,
        pseudo=way.pseudo,
        made_from=tuple(spec.run_id for spec in making.sources),
    )


def _run_id(setting: Setting, row: str, seed: int, digest: str) -> str:
    """The row's run id: the former one where a run of this very row has it."""
    of = (row, seed, setting.around.profile, digest, setting.number)
    now, former = run_id(*of), former_run_id(*of)
    if former != now:
        with suppress(FileNotFoundError, NotADirectoryError, UserError):
            return former if setting.on_disk.spec(former).row == row else now
    return now
