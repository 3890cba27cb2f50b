"""What a warm start is worth: studies on one recorded space that begin with a study on another, and without.

    python perf/warm_start.py
    python perf/warm_start.py --seeds 50 --all

Both spaces have the same parameters over different rows, see ``perf/recorded``. For each seed a study on the one space
spends its budget; a study on the other then begins with its trials, see `benchmark.tuning.prior`, or with nothing. The
figures are those of `tuning.py`; beside them stands what a seed's study with a warm start comes to, less the same
without, with its interval at 95 % over the seeds.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from evaluation import machine
from spaces import RECORDED, Space, Surface
from tuning import Case, Figure, Method, Outcome, beside, figure, reference, searched, surface

from benchmark.run.devices import cpu_count
from benchmark.tuning.informed import InformedSampler
from benchmark.tuning.opening import study_in_memory
from benchmark.tuning.prior import Prior
from benchmark.tuning.simulated import Simulation
from benchmark.tuning.storage import Strategies, StudyKey
from benchmark.tuning.strategies import pruner_of, sampler_of
from benchmark.tuning.warm import TRIED

PAIR = ("small", "two_stage")
EARLIER = 500_000  # added to the seed of the earlier study
LATE = 1.25  # what a study counts as that was not as good within its budget


@dataclass(frozen=True)
class Start:
    """How a study begins.

    Attributes:
        tried: How many of the earlier study's settings are tried first.
        known: Whether the sampler knows its trials.
    """

    tried: int
    known: bool


COLD = Start(0, known=False)
WARM = {f"warm start ({TRIED} tried, all known)": Start(TRIED, known=True)}
OTHERS = {
    **{f"{n} tried, all known": Start(n, known=True) for n in (0, 1, 3, 6)},
    **{f"{n} tried, none known": Start(n, known=False) for n in (1, 3, 6)},
}


def run(
    made: Surface, method: Method, case: Case, seed: int, start: Start, prior: Prior | None
) -> Simulation:
    """Simulates a study until its budget is spent."""
    space = made.space
    file = method.file(f"{space.name}-{seed}", seed, 2 * case.budget)
    sampler, pruner = sampler_of(file, None), pruner_of(file, space.validations)
    strategies = Strategies(sampler[0], pruner[0], sampler[1], pruner[1], most_twins=4)
    key = StudyKey(file.name, ["maximize"], {}, space.own, prior=prior and (lambda _: prior))
    store = study_in_memory(key, strategies)
    if prior is not None and start.known:
        known = [_frozen(space, params, values) for _, params, values in prior.trials]
        store.study.sampler = InformedSampler(store.study.sampler, known)
    simulation = Simulation(store, space.suggest, partial(made.answer, seed=seed), case.slots)
    simulation.run(case.budget * space.validations)
    return simulation


def _frozen(
    space: Space, params: Mapping[str, object], values: Sequence[float]
) -> optuna.trial.FrozenTrial:
    asked = optuna.create_study(direction="maximize").ask()
    space.suggest(asked)
    return optuna.trial.create_trial(
        params=dict(params), distributions=asked.distributions, values=list(values)
    )


def earlier(made: Surface, method: Method, case: Case, seed: int, start: Start) -> Prior:
    """What a study on the other space, with the same budget, leaves to one that begins with it."""
    ended = run(made, method, case, seed + EARLIER, COLD, None).ended
    whole = [trial for trial in ended if not trial.pruned]
    trials = tuple((trial.number, dict(trial.params), [trial.values[-1]]) for trial in whole)
    ranked = sorted(trials, key=lambda trial: -trial[2][0])
    first = [number for number, params, _ in ranked if params != made.space.own][: start.tried]
    return Prior(made.space.name, "memory", trials, tuple(first), 0)


def outcome(method: Method, case: Case, other: str, start: Start, seed: int) -> Outcome:
    """One study, beside the random search of its seed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # as `tuning.outcomes` has it
    made, theirs = surface(case.space, case.folder), reference(replace(case, slots=1), seed)
    asked, there = replace(case, space=other), surface(other, case.folder)
    prior = None if start == COLD else earlier(there, method, asked, seed, start)
    ours = searched(made, run(made, method, case, seed, start, prior).ended)
    return beside(ours, theirs, made, case.budget)


def gain(warm: Sequence[Outcome], cold: Sequence[Outcome]) -> dict[str, tuple[float, float, float]]:
    """Mean differences, warm less cold, seed by seed: of epochs as a share of the budget, and of what is missing."""
    lot = np.random.default_rng(0)
    found = {}
    for name in ("epochs", "behind"):
        ours, theirs = (
            np.minimum([getattr(one, name) for one in side], LATE) for side in (warm, cold)
        )
        apart = ours - theirs
        means = apart[lot.integers(len(apart), size=(2000, len(apart)))].mean(axis=1)
        low, high = np.percentile(means, (2.5, 97.5))
        found[name] = (float(apart.mean()), float(low), float(high))
    return found


def line_of(name: str, found: Figure, better: Mapping[str, tuple[float, float, float]]) -> str:
    """A line of the table."""
    median = f"{found.median:.0%}" if np.isfinite(found.median) else ">100%"
    told = f"{name:34s} {median:>6s} {found.reached:8.0%} {found.behind:8.4f}"
    if not better:
        return told
    epochs, behind = better["epochs"], better["behind"]
    saved = f"{epochs[0]:+.0%} ({epochs[1]:+.0%} to {epochs[2]:+.0%})"
    return f"{told}   {saved:24s} {behind[0]:+.4f} ({behind[1]:+.4f} to {behind[2]:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="studies with a warm start, and without")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--budgets", type=int, nargs="+", default=[10])
    parser.add_argument("--samplers", nargs="+", default=["default"], help="Optuna's names")
    parser.add_argument("--all", action="store_true", help="other ways to begin, too")
    parser.add_argument("--jobs", type=int, default=cpu_count())
    parser.add_argument("--folder", type=Path, default=RECORDED)
    options = parser.parse_args()
    if min(options.seeds, options.slots, options.jobs, *options.budgets) < 1:
        parser.error("--seeds, --slots, --budgets, --jobs: give numbers from 1")
    print(f"{options.seeds} seeds, {options.slots} slots; {machine()}", flush=True)
    starts = OTHERS if options.all else WARM
    with ProcessPoolExecutor(options.jobs) as pool:
        for other, name in permutations(PAIR):
            for budget in options.budgets:
                for sampler in options.samplers:
                    case = Case(name, options.slots, budget, options.folder)
                    _say(pool, case, other, sampler, range(options.seeds), starts)


def _say(
    pool: ProcessPoolExecutor,
    case: Case,
    other: str,
    sampler: str,
    seeds: Sequence[int],
    starts: Mapping[str, Start],
) -> None:
    """Measures one kind of study and prints its table."""
    method = Method() if sampler == "default" else Method(sampler)
    print(f"\n{case.space} after {other}, {sampler} sampler, {case.budget} full trainings")
    print(f"{'':34s} median  reached   behind   epochs, warm less cold   behind, warm less cold")
    waiting = {
        name: [pool.submit(outcome, method, case, other, start, seed) for seed in seeds]
        for name, start in {"without": COLD, **starts}.items()
    }
    found = {name: [one.result() for one in parts] for name, parts in waiting.items()}
    for name, ours in found.items():
        better = gain(ours, found["without"]) if name != "without" else {}
        print(line_of(name, figure(ours), better), flush=True)


if __name__ == "__main__":
    main()
