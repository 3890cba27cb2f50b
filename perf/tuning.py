"""How many epochs samplers and pruners take to be as good as random search, on recorded search spaces.

    python perf/tuning.py
    python perf/tuning.py --seeds 200
    python perf/tuning.py --all --seeds 50 --budgets 10
    python perf/tuning.py --all --samplers GP --pruners none "halving 3, 3" --seeds 10 --slots 2 --budgets 10

The driver of ``detboard tune`` asks, hears validations, prunes and tells as it always does
(`benchmark.tuning.simulated`); what a training comes to is told from recordings (`spaces`). Random search without
pruning trains a number of settings to the end, the row's own the first of them: its *budget*. Held against the best
value that it measured, a study's figure is the epochs that all its trials have spent when it has measured one as good,
as a share of that budget. A study that has none when the budget is spent counts as over 100 %, in the median, too.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

# Processes side by side: more threads each would only be in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from evaluation import machine
from figures import HEAD, Figure, Outcome, figure, line_of
from images import ImagePruner, Nearest, read_images
from spaces import RECORDED, Array, Surface, read_space

from benchmark.run.devices import cpu_count
from benchmark.tuning.opening import study_in_memory
from benchmark.tuning.simulated import Ended, Simulation
from benchmark.tuning.storage import Strategies, StudyKey
from benchmark.tuning.strategies import SAMPLERS, pruner_of, sampler_of
from benchmark.tuning.study_file import StudyFile

STUDY = Path(__file__).resolve().parents[1] / "experiments" / "tune" / "small.yaml"
RANDOM = 1_000_000  # added to the seed of the random search that a study is held against: it draws other points


@dataclass(frozen=True)
class Method:
    """How a study is searched: as its file says it, None for what it has if it says nothing."""

    sampler: Mapping[str, Any] | str | None = None
    pruner: Mapping[str, Any] | str | None = None
    images: float | None = (
        None  # in the pruner's place: Wilcoxon's test on images, below this p-value
    )

    def file(self, name: str, seed: int, trials: int) -> StudyFile:
        """A study file with it."""
        content = {"experiment": "none.yaml", "row": "none", "path": STUDY, "name": name}
        named = {"sampler": self.sampler, "pruner": self.pruner, "seed": seed, "n_trials": trials}
        search = {"none": {"type": "float", "low": 0, "high": 1}}
        return StudyFile.model_validate({**content, **named, "search": search})


RANDOM_SEARCH = Method("RandomSampler", "NopPruner")


@dataclass(frozen=True)
class Case:
    """A kind of study.

    Attributes:
        space: Name of the recorded space.
        slots: Number of trials side by side.
        budget: Number of trainings to the end whose epochs it may spend.
        folder: Where the recording is.
        nearest: Whether trainings come to what the nearest recorded setting does, rather than to `Surface`.
    """

    space: str
    slots: int
    budget: int
    folder: Path = RECORDED
    nearest: bool = False


@dataclass(frozen=True)
class Searched:
    """A study, to the end of its budget.

    Attributes:
        spent: Epochs of all trials when each trial ended that was trained to its end.
        values: Best mAP50 measured until then.
        truths: mAP50 without noise of the trial that it was measured of.
        trials: Number of trials that ended.
        pruned: How many of them were pruned.
    """

    spent: Sequence[int]
    values: Sequence[float]
    truths: Sequence[float]
    trials: int
    pruned: int

    def until(self, value: float, of: Sequence[float]) -> float:
        """Epochs until the best was as good as a value; infinite if it never was."""
        return next((n for n, best in zip(self.spent, of, strict=True) if best >= value), np.inf)


@lru_cache(maxsize=8)
def surface(name: str, folder: Path, nearest: bool = False) -> Surface:
    """What trainings come to in a recorded space; if asked for that of the nearest setting."""
    return (Nearest if nearest else Surface)(read_space(name, folder))


@lru_cache(maxsize=8)
def images_of(made: Surface, folder: Path) -> Array:
    """The scores of a space's images."""
    return read_images(made.space, folder)


def search(
    made: Surface, method: Method, case: Case, seed: int, trials: int | None = None
) -> Searched:
    """Simulates a study until its budget is spent, or until so many trials have ended."""
    space, lot = made.space, seed % RANDOM
    file = method.file(f"{space.name}-{seed}", seed, trials or 2 * case.budget)
    sampler, words = sampler_of(file, None)
    pruner, pruner_words = pruner_of(file, space.validations)
    if method.images is not None:
        pruner = ImagePruner(made, images_of(made, case.folder), method.images)
    strategies = Strategies(sampler, pruner, words, pruner_words, most_twins=4)
    store = study_in_memory(StudyKey(file.name, ["maximize"], {}, space.own), strategies)
    simulation = Simulation(
        store, space.suggest, partial(made.answer, seed=lot), case.slots, trials
    )
    simulation.run(case.budget * space.validations)
    return searched(made, simulation.ended)


def searched(made: Surface, ended: Sequence[Ended]) -> Searched:
    """What the trials of a study came to."""
    whole = [trial for trial in ended if not trial.pruned]
    best = [max(whole[: n + 1], key=lambda trial: trial.values[-1]) for n in range(len(whole))]
    return Searched(
        spent=[trial.spent for trial in whole],
        values=[trial.values[-1] for trial in best],
        truths=[made.truth(trial.params) for trial in best],
        trials=len(ended),
        pruned=len(ended) - len(whole),
    )


@lru_cache(maxsize=1024)
def reference(case: Case, seed: int) -> Searched:
    """The random search that a study with this seed is held against; of one slot: nothing is pruned."""
    made = surface(case.space, case.folder, case.nearest)
    return search(made, RANDOM_SEARCH, case, seed + RANDOM, case.budget)


def outcomes(method: Method, case: Case, seeds: Sequence[int]) -> list[Outcome]:
    """Runs a kind of study with each of some seeds."""
    # CMA-ES warns of every choice that it leaves to a random sampler.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Of what Optuna calls experimental, and of fits at the ends of their bounds.
    warnings.simplefilter("ignore")
    return [_outcome(method, case, seed) for seed in seeds]


def _outcome(method: Method, case: Case, seed: int) -> Outcome:
    made = surface(case.space, case.folder, case.nearest)
    theirs = reference(replace(case, slots=1), seed)
    return beside(search(made, method, case, seed), theirs, made, case.budget)


def beside(ours: Searched, theirs: Searched, made: Surface, budget: int) -> Outcome:
    """A study beside a random search with the same budget of full trainings."""
    whole = budget * made.space.validations
    return Outcome(
        epochs=ours.until(theirs.values[-1], ours.values) / whole,
        truly=ours.until(theirs.truths[-1], ours.truths) / whole,
        behind=made.best - (ours.truths[-1] if ours.truths else 0.0),
        trials=ours.trials,
        pruned=ours.pruned / max(1, ours.trials),
    )


METHODS = {
    "random, none": RANDOM_SEARCH,
    "TPE, Hyperband (former)": Method("TPESampler", "HyperbandPruner"),
    "as a file that says nothing": Method(),
}
# These spaces have too many points for GridSampler and BruteForceSampler.
SAMPLED: dict[str, Mapping[str, Any] | str] = {
    name.removesuffix("Sampler"): name
    for name in SAMPLERS
    if name not in ("GridSampler", "BruteForceSampler")
}
# With Optuna's own numbers these draw ten and fifty trials at random: all, or most, of a budget. Unless scrambled, QMC
# has the same points for every seed.
SAMPLED |= {
    "TPE": {"type": "TPESampler", "n_startup_trials": 5},
    "GP": {"type": "GPSampler", "n_startup_trials": 5},
    "QMC": {"type": "QMCSampler", "scramble": True},
    "NSGAII": {"type": "NSGAIISampler", "population_size": 8},
    "NSGAIII": {"type": "NSGAIIISampler", "population_size": 8},
}
PRUNED: Mapping[str, Mapping[str, Any] | str] = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile 25": {"type": "PercentilePruner", "percentile": 25.0},
    "patient": {"type": "PatientPruner", "wrapped_pruner": "MedianPruner", "patience": 1},
    "halving 1, 3": {"type": "SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 3},
    "halving 3, 3": {"type": "SuccessiveHalvingPruner", "min_resource": 3, "reduction_factor": 3},
    "halving 3, 2": {"type": "SuccessiveHalvingPruner", "min_resource": 3, "reduction_factor": 2},
    "Hyperband 1, 3": {"type": "HyperbandPruner"},
    "Hyperband 2, 3": {"type": "HyperbandPruner", "min_resource": 2},
}


def every(samplers: Sequence[str], pruners: Sequence[str]) -> dict[str, Method]:
    """Each of these samplers with each of these pruners."""
    return {f"{s}, {p}": Method(SAMPLED[s], PRUNED[p]) for s, p in product(samplers, pruners)}


# Beside each other where the nearest setting answers, with all its images.
BY_IMAGES = {
    "random, none": RANDOM_SEARCH,
    "TPE, none": Method(pruner="NopPruner"),
    "TPE, as a file that says nothing": Method(),
    "TPE, Wilcoxon 0.1": Method(images=0.1),
    "TPE, Wilcoxon 0.01": Method(images=0.01),
}

Figures = dict[tuple[Case, str], Figure]


def measured(
    cases: Sequence[Case], methods: Mapping[str, Method], seeds: Sequence[int], jobs: int
) -> Iterator[tuple[Case, str, Figure]]:
    """The figure of each method in each case, as they come, computed in processes side by side."""
    starts = range(0, len(seeds), _BLOCK)
    with ProcessPoolExecutor(jobs) as pool:
        for case in cases:
            waiting = {
                name: [
                    pool.submit(outcomes, method, case, seeds[start : start + _BLOCK])
                    for start in starts
                ]
                for name, method in methods.items()
            }
            for name, parts in waiting.items():
                yield case, name, figure([one for part in parts for one in part.result()])


_BLOCK = 10  # seeds a task


def say_case(case: Case, validations: int) -> None:
    """Prints the head of a case's table."""
    print(
        f"\n{case.space}, {case.slots} slots, {case.budget} full trainings ({case.budget * validations} epochs)"
    )
    print(HEAD)


def say_trust(made: Surface) -> None:
    """Prints what a space is like, and how far what is told between its settings can be trusted."""
    space, last, trust = made.space, made.space.curves[:, -1], made.trust()
    noise = "not recorded" if space.noise is None else f"{space.noise:.4f}"
    ends = f"own {last[0]:.3f}, best {last.max():.3f}, median {np.median(last):.3f}"
    early = " ".join(f"{one:.2f}" for one in trust.early)
    print(
        f"{space.name}: {len(last)} settings, {ends}; two seeds apart: {noise}\n"
        f"  left out, rank correlation and median error: told by the process {trust.process:.2f}, {trust.error:.3f}; "
        f"by the nearest {trust.nearest:.2f}, {trust.nearest_error:.3f}\n"
        f"  rank correlation of each validation with the last: {early}"
    )


def say_held_out(figures: Figures, spaces: Sequence[str]) -> None:
    """Prints for each space the method that is best on the others, and what it comes to there."""
    print("\nchosen on the other spaces")
    for case in dict.fromkeys(case for case, _ in figures):
        others = [replace(case, space=name) for name in spaces if name != case.space]
        names = dict.fromkeys(name for _, name in figures)
        best = min(names, key=lambda name: sum(figures[other, name].score for other in others))
        where = f"{case.space}, {case.slots} slots, {case.budget}"
        print(f"{where:31s} {best}\n{line_of('', figures[case, best])}")


def main() -> None:
    parser = argparse.ArgumentParser(description="samplers and pruners against random search")
    known = sorted(path.stem for path in RECORDED.glob("*.csv"))
    parser.add_argument("--spaces", nargs="+", default=known, metavar="NAME")
    parser.add_argument("--folder", type=Path, default=RECORDED, help="where the recordings are")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slots", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 40], metavar="TRAININGS")
    parser.add_argument("--all", action="store_true", help="every sampler with every pruner")
    parser.add_argument(
        "--samplers", nargs="+", default=list(SAMPLED), choices=SAMPLED, help="with --all"
    )
    parser.add_argument(
        "--pruners", nargs="+", default=list(PRUNED), choices=PRUNED, help="with --all"
    )
    parser.add_argument("--jobs", type=int, default=cpu_count(), help="processes side by side")
    parser.add_argument(
        "--images", action="store_true", help="Wilcoxon's test on the images' scores"
    )
    options = parser.parse_args()
    if not options.spaces:
        parser.error(f"{options.folder} holds no recording: perf/record.py makes some")
    if min(options.seeds, options.jobs, *options.slots) < 1 or min(options.budgets) < 2:
        parser.error("--seeds, --jobs and --slots: give a number from 1; --budgets: from 2")
    print(f"{options.seeds} seeds; {machine()}", flush=True)
    for name in options.spaces:
        say_trust(surface(name, options.folder))
    kinds = product(
        options.spaces, options.slots, options.budgets, [options.folder], [options.images]
    )
    whole = every(options.samplers, options.pruners) if options.all else METHODS
    methods = BY_IMAGES if options.images else whole
    figures = say(
        measured([Case(*one) for one in kinds], methods, range(options.seeds), options.jobs)
    )
    if options.all and len(options.spaces) > 1:
        say_held_out(figures, options.spaces)


def say(found: Iterator[tuple[Case, str, Figure]]) -> Figures:
    """Prints figures as they come; returns them."""
    figures: Figures = {}
    for case, name, figured in found:
        if not any(case == other for other, _ in figures):
            say_case(case, surface(case.space, case.folder).space.validations)
        figures[case, name] = figured
        print(line_of(name, figured), flush=True)
    return figures


if __name__ == "__main__":
    main()
