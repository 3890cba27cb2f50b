"""How the values and trials of a study are worded: with units, rounded, and with a sign where they are differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmark.tuning.findings.findings import Findings, Trial
from benchmark.writing import words
from benchmark.writing.words import DASH, duration, fraction, hundredths, shortened, signed

if TYPE_CHECKING:
    from benchmark.job.measure import Objective


def value_text(objective: str, value: float | None) -> str:
    """A value of an objective: ``0.4321``, ``12.30 ms``, ``36.52 M``."""
    if value is None or math.isnan(value):
        return DASH
    cost = _cost(objective)
    return f"{hundredths(value / cost.divide)} {cost.symbol}" if cost else fraction(value)


def axis_text(objective: str, higher_better: bool) -> str:
    """An axis of an objective: its name, its unit and which way is better."""
    cost = _cost(objective)
    name, unit = (cost.title, cost.unit) if cost else (objective, "fraction")
    return f"{name} ({unit}, {'higher' if higher_better else 'lower'} is better)"


def scaled(objective: str, value: float) -> float:
    """A value in the unit of its axis: parameters in millions, the rest as it is."""
    cost = _cost(objective)
    return value / cost.divide if cost else value


def difference_text(objective: str, difference: float) -> str:
    """A signed difference of a score, with as many digits as show that it is not 0."""
    if _cost(objective) is not None:
        sign = "-" if difference < 0 else "+"
        return sign + value_text(objective, abs(difference))
    return f"{difference:+.2g}" if 0 < abs(difference) < 5e-5 else signed(difference)


def _cost(objective: str) -> Objective | None:
    """What a measurement declares of an objective; None of a score."""
    from benchmark.job.measure import objectives

    _, reading = objectives().get(objective, (None, None))
    return reading.objective if reading else None


def params_text(trial: Trial) -> str:
    """All parameters of a trial on one line."""
    return words.params_text(trial.params) or DASH


def number_text(value: float) -> str:
    """A number of epochs: ``12``, ``7.5``, ``1,234.5``, ``0.333``."""
    if 0 < value < 1:
        return f"{value:.3g}"
    return f"{value:,.1f}".removesuffix(".0")


def seconds_text(seconds: float) -> str:
    """Device seconds, and how long that is: ``5400 s (1 h 30 min)``."""
    return duration(seconds) if seconds < 60 else f"{seconds:.0f} s ({duration(seconds)})"


def share_text(part: float, whole: float) -> str:
    """A share in percent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole > 0 else DASH


def name_of(trial: Trial) -> str:
    """``trial 3 (run r50-s7-full-0a1b2c3d)``."""
    return f"trial {trial.number}" + (f" (run {trial.run_id})" if trial.run_id else "")


def cause_text(trial: Trial) -> str:
    """Why a trial failed, in one line that is not too long."""
    line = " ".join(trial.cause.split()) or "no cause was given"
    return shortened(line)


def state_text(trial: Trial) -> str:
    """A trial's state, and what is special about it."""
    notes: list[str] = [trial.state]
    notes += ["the row's own setting"] if trial.published else []
    notes += [f"setting of the warm start's trial {trial.warm}"] if trial.warm is not None else []
    notes += [f"same as trial {trial.same_as}"] if trial.same_as is not None else []
    notes += ["no predictions"] if trial.no_predictions else []
    notes += [f"batches in parts of {trial.at_once}"] if trial.at_once else []
    return ", ".join(notes)


def values_text(findings: Findings, trial: Trial) -> tuple[str, ...]:
    """A trial's value of each objective; dashes where it has none."""
    values = trial.values or (None,) * len(findings.about.objectives)
    return tuple(map(value_text, findings.about.objectives, values))
