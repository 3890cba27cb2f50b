"""``detboard tune --dry-run``: how far a study's budget goes, simulated before anything is trained."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from optuna.trial import TrialState

from benchmark.tuning.forecast import Forecast, Forecasts, Standing, simulate
from benchmark.tuning.guesses import Guess, guess_of
from benchmark.tuning.prior import prior_of
from benchmark.tuning.strategies import NO_PRUNER
from benchmark.tuning.study import Study, validated_at
from benchmark.tuning.study_run import as_begun, preview_store, target_of
from benchmark.writing.words import counted, duration

_WIDTH = 80
_STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "in work": TrialState.RUNNING,
}


def dry_run(
    study: Study, slots: int, prunes: bool, trials: int | None, storage: str | None = None
) -> Iterator[str]:
    """What a study would cost from where it is, in words: lines as they come, the last ones after some seconds.

    Args:
        study: The study.
        slots: Number of trials side by side.
        prunes: Whether the launcher sees to its jobs while they run.
        trials: Number of trials beyond those that there are; the study file's ``n_trials`` in all if None.
        storage: The URL of its storage; None for that of the results folder.

    Raises:
        UserError: The storage cannot be read, or its study of this name was made for something else.
    """
    name = study.file.name
    yield from _wrapped([f"dry run of study '{name}': nothing is trained, and nothing is made"])
    store = preview_store(study, storage)
    study = as_begun(study, store)
    if not prunes:
        study = replace(study, file=study.file.model_copy(update={"pruner": NO_PRUNER}))
    standing = Standing(store, target_of(store.study, study.file.n_trials, trials))
    yield from _wrapped([*_about(study, slots, standing, prunes), *_stands(study, standing)])
    if standing.to_come:
        yield ""
        points = validated_at(study.base.runs[0].config) if study.trains else [1]
        guess = guess_of(study, [point / points[-1] for point in points], _highest(standing))
        found = simulate(study, standing, guess, slots)
        yield from _table(study, found, guess, bool(standing.begun))
        yield from ["", *_wrapped([*_scaled(found), *(_assumed(guess) if study.trains else ())])]


def _highest(standing: Standing) -> float:
    """The highest value that a trial has come to; 0 where none has."""
    values = [
        value
        for trial in standing.trials
        if trial.state.is_finished()
        for value in (*trial.intermediate_values.values(), *(trial.values or ())[:1])
    ]
    return max(values, default=0.0)


def _about(study: Study, slots: int, standing: Standing, prunes: bool) -> list[str]:
    """What is simulated."""
    strategies = study.strategies
    trials = f"{counted(standing.target, 'trial')} of row {study.file.row}, {slots} at a time"
    if not study.trains:
        told = f"{trials}; a trial fuses boxes that are there: it trains nothing"
        return [told, f"sampler: {strategies.sampler_words}"]
    points = validated_at(study.base.runs[0].config)
    takes = f"a training takes {counted(points[-1], *_unit(study))}, with {counted(len(points), 'validation')}"
    pruner = (
        strategies.pruner_words
        if prunes
        else "none: the launcher looks at a trial when it has ended"
    )
    return [
        f"{trials}; {takes}",
        f"sampler: {strategies.sampler_words}",
        f"pruner: {pruner}",
    ]


def _stands(study: Study, standing: Standing) -> list[str]:
    """How far the study is, and what it knows of another."""
    prior = prior_of(standing.store.study)
    said = [f"warm start: {prior.words(study.learns)}"] if prior is not None else []
    if not standing.begun:
        return said
    by_state = {words: standing.count(state) for words, state in _STATES.items()}
    counts = ", ".join(f"{count} {words}" for words, count in by_state.items() if count)
    said.append(f"{counted(standing.begun, 'trial')} of it have begun: {counts}")
    if not standing.to_come and standing.store.exhausted:
        said.append("nothing is left to be trained: the sampler has visited every setting")
    elif not standing.to_come:
        said.append("nothing is left to be trained; --trials N asks for more")
    elif working := by_state["in work"]:
        which = "that in work is" if working == 1 else f"the {working} in work are"
        said.append(f"{which} simulated anew, whatever of it is trained already")
    return said


def _unit(study: Study) -> tuple[str, str]:
    loop = study.base.runs[0].config.get("train_cfg")
    epochs = isinstance(loop, Mapping) and bool(loop.get("max_epochs"))
    return ("epoch", "epochs") if epochs else ("iteration", "iterations")


def _table(study: Study, found: Forecasts, guess: Guess, goes_on: bool) -> list[str]:
    """A line a number: its median over the simulated studies, and the range of eight in ten of them."""
    forecasts = found.each
    head = f"over {counted(len(forecasts), 'simulated study', 'simulated studies')}"
    lines = [f"{head:<44}{'median':>12}   {'8 of 10':>16}"]
    lines += [_line("trials to come" if goes_on else "trials", [f.trials for f in forecasts])]
    if study.trains:
        lines += _of_training(study, forecasts, guess)
    lines += [_line("  with the result of an earlier one", [f.reused for f in forecasts])]
    return [*lines, *(_costs(study, forecasts, guess) if study.trains else ("epochs: none",))]


def _of_training(study: Study, forecasts: Sequence[Forecast], guess: Guess) -> list[str]:
    length = validated_at(study.base.runs[0].config)[-1]
    given_up = [guess.shares[n - 1] * length for f in forecasts for n in f.after]
    lines = [_line("  trained to the end", [f.complete for f in forecasts])]
    lines += [_line("  given up", [f.given_up for f in forecasts])]
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


def _scaled(found: Forecasts) -> list[str]:
    """That not all trials were simulated, if so it is."""
    if found.simulated == found.to_come:
        return []
    return [
        f"Simulated are the first {found.simulated:,} of {found.to_come:,} trials to come, and the numbers are "
        f"{found.to_come / found.simulated:.3g} times theirs. Settings that come again more often later on make it "
        "cheaper."
    ]


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
    return said


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ")]
