"""``detboard tune --dry-run``: how far a study's budget goes, simulated before anything is trained."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from benchmark.tuning.guesses import Guess, guess_of
from benchmark.tuning.simulated import Simulation
from benchmark.tuning.storage import Strategies, StudyKey, study_in_memory
from benchmark.tuning.strategies import NO_PRUNER, VISIT_ALL, pruner_of, sampler_of
from benchmark.tuning.study import Study, validated_at
from benchmark.tuning.study_file import Strategy
from benchmark.writing.words import counted, duration

_WIDTH = 80
_STUDIES = 20
_AT_RANDOM = Strategy(type="RandomSampler")
_MOST_REPORTS = 40_000  # of validations, each of which takes some tenths of a millisecond


@dataclass(frozen=True)
class Forecast:
    """One simulated study.

    Attributes:
        complete: Number of trials that were trained to their end.
        given_up: Validations after which each of the others was given up.
        reused: Number of trials that took the result of an earlier one with the same parameters.
        trained: What was trained, in full trainings.
        seconds: Simulated time until the last one ended.
    """

    complete: int
    given_up: Sequence[int]
    reused: int
    trained: float
    seconds: float

    @property
    def trials(self) -> int:
        """Number of trials."""
        return self.complete + len(self.given_up) + self.reused


def dry_run(study: Study, slots: int, prunes: bool, trials: int | None) -> str:
    """What a study would cost, in words.

    Args:
        study: The study.
        slots: Number of trials side by side.
        prunes: Whether the launcher sees to its jobs while they run.
        trials: Number of trials; that of the study file if None.
    """
    target = study.file.n_trials if trials is None else trials
    if not prunes:
        study = replace(study, file=study.file.model_copy(update={"pruner": NO_PRUNER}))
    points = validated_at(study.base.runs[0].config) if study.trains else [1]
    guess = guess_of(study, [point / points[-1] for point in points])
    count = max(1, min(_STUDIES, _MOST_REPORTS // max(1, target * len(points))))
    forecasts = [_forecast(study, guess, slots, target, seed) for seed in range(count)]
    said = [*_about(study, slots, target, prunes), "", *_table(study, forecasts, guess)]
    return "\n".join([*said, *(_assumed(guess) if study.trains else ())])


def _forecast(study: Study, guess: Guess, slots: int, target: int, seed: int) -> Forecast:
    """Simulates the study once."""
    # What trainings come to is drawn by lot, so nothing can be learnt: only one that visits all points is another.
    key = StudyKey(study.file.name, ["maximize"], {}, study.space.published())
    store = study_in_memory(key, _strategies(study, len(guess.shares), seed))
    simulation = Simulation(store, study.space.suggest, guess.answers(seed), slots, target)
    simulation.run()
    ended = simulation.ended
    trained = sum(guess.shares[len(trial.values) - 1] for trial in ended)
    given_up = [len(trial.values) for trial in ended if trial.pruned]
    reused = len(store.study.get_trials(deepcopy=False)) - len(ended)
    return Forecast(len(ended) - len(given_up), given_up, reused, trained, simulation.seconds)


def _strategies(study: Study, validations: int, seed: int) -> Strategies:
    given = study.file.sampler
    drawn = given if given is not None and given.type in VISIT_ALL else _AT_RANDOM
    file = study.file.model_copy(update={"sampler": drawn, "seed": seed})
    sampler, _ = sampler_of(file, study.space)
    pruner, _ = pruner_of(file, validations)
    return replace(study.strategies, sampler=sampler, pruner=pruner)


def _about(study: Study, slots: int, target: int, prunes: bool) -> list[str]:
    """What is simulated."""
    file, strategies = study.file, study.strategies
    first = f"dry run of study '{file.name}': nothing is trained, and nothing is made"
    trials = f"{counted(target, 'trial')} of row {file.row}, {slots} at a time"
    if not study.trains:
        told = [f"{trials}; a trial fuses boxes that are there: it trains nothing"]
        return _wrapped([first, *told, f"sampler: {strategies.sampler_words}"])
    points = validated_at(study.base.runs[0].config)
    takes = f"a training takes {counted(points[-1], *_unit(study))}, with {counted(len(points), 'validation')}"
    pruner = (
        strategies.pruner_words
        if prunes
        else "none: the launcher looks at a trial when it has ended"
    )
    said = [
        first,
        f"{trials}; {takes}",
        f"sampler: {strategies.sampler_words}",
        f"pruner: {pruner}",
    ]
    return _wrapped(said)


def _unit(study: Study) -> tuple[str, str]:
    loop = study.base.runs[0].config.get("train_cfg")
    epochs = isinstance(loop, Mapping) and bool(loop.get("max_epochs"))
    return ("epoch", "epochs") if epochs else ("iteration", "iterations")


def _table(study: Study, forecasts: Sequence[Forecast], guess: Guess) -> list[str]:
    """A line a number: its median over the simulated studies, and the range of eight in ten of them."""
    head = f"over {counted(len(forecasts), 'simulated study', 'simulated studies')}"
    lines = [f"{head:<44}{'median':>12}   {'8 of 10':>16}"]
    lines += [_line("trials", [f.trials for f in forecasts])]
    if study.trains:
        lines += _of_training(study, forecasts, guess)
    lines += [_line("  with the result of an earlier one", [f.reused for f in forecasts])]
    return [*lines, *(_costs(study, forecasts, guess) if study.trains else ("epochs: none",))]


def _of_training(study: Study, forecasts: Sequence[Forecast], guess: Guess) -> list[str]:
    length = validated_at(study.base.runs[0].config)[-1]
    given_up = [guess.shares[n - 1] * length for f in forecasts for n in f.given_up]
    lines = [_line("  trained to the end", [f.complete for f in forecasts])]
    lines += [_line("  given up", [len(f.given_up) for f in forecasts])]
    return [*lines, *([_line(f"    after, {_unit(study)[1]}", given_up)] if given_up else ())]


def _costs(study: Study, forecasts: Sequence[Forecast], guess: Guess) -> list[str]:
    length = validated_at(study.base.runs[0].config)[-1]
    lines = [
        _line(f"{_unit(study)[1]} in all", [f.trained * length for f in forecasts]),
        _line(
            "  as a share of all trials in full",
            [f.trained / f.trials for f in forecasts],
            _percent,
        ),
    ]
    if guess.seconds is not None:
        lines += [_line("time", [f.seconds for f in forecasts], duration)]
    return lines


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _line(name: str, values: Sequence[float], say: Callable[[float], str] = _whole) -> str:
    low, high = np.percentile(values, (10, 90))
    between = f"{say(float(low))} to {say(float(high))}"
    return f"{name:<44}{say(float(median(values))):>12}   {between:>16}".rstrip()


def _assumed(guess: Guess) -> list[str]:
    """What the numbers rest on."""
    said = [
        f"What a trial comes to is drawn: {guess.basis}.",
        "The sampler is taken to learn nothing. One that learns proposes better trials, of which fewer are given up.",
    ]
    if guess.seconds is None:
        said.append("No run of this row in the results folder says how long a training takes.")
    else:
        runs = counted(guess.timed, "complete run")
        said.append(
            f"A training takes {duration(guess.seconds)}: the median of {runs} of this row."
        )
    return ["", *_wrapped(said)]


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ")]
