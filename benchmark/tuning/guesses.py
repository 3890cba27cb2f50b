"""What a training may come to before any of a study was made: a guess, which says what it rests on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.run.journal import Journal
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.tuning.simulated import Curve
from benchmark.tuning.study import Study
from benchmark.writing.words import counted

Values = npt.NDArray[np.float64]

# Fewer trainings say too little of how far settings lie apart.
FEWEST = 5

# The family of curves: how evenly they end, how soon they rise, as a share of the training, and how far a validation
# lies off, as a share of the highest end. The mAP50 of the settings that `perf/recorded` holds ranked as it did at the
# end by 0.7 to 0.9 (Spearman) after two of nine epochs; so do these.
_RISE = (0.1, 1.0)
_OFF = 0.06


@dataclass(frozen=True)
class Guess:
    """What trainings of a row come to.

    Attributes:
        shares: How far a training is at each validation, as a share of the whole.
        curves: The objective at each validation of trainings that there are, trainings x validations; None for the
            family.
        basis: What that is, in words.
        seconds: How long a training takes; None where none is known.
        timed: Number of trainings that tell so.
        highest: The highest end of the family.
    """

    shares: Sequence[float]
    curves: Values | None
    basis: str
    seconds: float | None
    timed: int
    highest: float = 1.0

    def answers(self, seed: int) -> Callable[[Mapping[str, Any]], Curve]:
        """What a training comes to, by its parameters: by lot, the same for the same."""
        whole = 1.0 if self.seconds is None else self.seconds
        taken = (np.diff(self.shares, prepend=0.0) * whole).tolist()

        def answer(params: Mapping[str, Any]) -> Curve:
            text = f"{seed} {sorted(params.items())!r}"
            values = self._drawn(np.random.default_rng(zlib.crc32(text.encode())))
            return Curve(values.tolist(), taken)

        return answer

    def _drawn(self, lot: np.random.Generator) -> Values:
        if self.curves is None:
            return self.highest * _of_family(np.asarray(self.shares), lot)
        one, other = self.curves[lot.integers(len(self.curves), size=2)]
        weight = lot.random()
        mixed: Values = weight * one + (1 - weight) * other
        return mixed


def _of_family(shares: Values, lot: np.random.Generator) -> Values:
    rise = np.exp(lot.uniform(*np.log(_RISE)))
    risen = (1 - np.exp(-shares / rise)) / (1 - np.exp(-1 / rise))
    values: Values = lot.random() * risen + lot.normal(0.0, _OFF, len(shares))
    return np.clip(values, 0.0, None)


_FAMILY = (
    "of a family, by lot: the ends are spread evenly, each rises in its own time (to 63 % of its end after 10 to 100 % "
    f"of the training), and a validation lies {100 * _OFF:.0f} % of the highest end off"
)


def guess_of(study: Study, shares: Sequence[float], highest: float = 0.0) -> Guess:
    """What trainings of the study's row come to.

    That of trials of the row in the results folder, whatever study they were of, where there are enough that were
    trained to the end; else of a family.

    Args:
        study: The study.
        shares: How far a training is at each validation, as a share of the whole.
        highest: The best that a trial of the study has come to, so that others of a family lie where its own do; 0
            where none has.
    """
    runs, spec = Runs(study.request.results), study.base.runs[0].spec
    made = runs.started(lambda s: (s.row, s.profile) == (spec.row, spec.profile), [])
    complete = [run for run in made if run.record and run.record.state is State.COMPLETE]
    taken = [
        run.record.train_seconds for run in complete if run.record and run.record.train_seconds
    ]
    trials = [run.spec.run_id for run in complete if run.spec.study is not None]
    curves = [_values(runs, run_id, study.file.objectives[0]) for run_id in trials]
    whole = [values for values in curves if len(values) == len(shares)]
    enough = len(whole) >= FEWEST
    return Guess(
        shares=shares,
        curves=np.array(whole) if enough else None,
        basis=_of_trials(len(whole)) if enough else _of_the_family(len(whole), highest),
        seconds=median(taken) if taken else None,
        timed=len(taken),
        highest=highest or 1.0,
    )


def _of_the_family(count: int, highest: float) -> str:
    scale = f"; the highest end is {highest:.3g}, the best of the study so far" if highest else ""
    return f"{_FAMILY}{scale}; {_too_few(count)}"


def _of_trials(count: int) -> str:
    return (
        f"between those of two of the {count} trials of this row in the results folder that were trained to the end, "
        "by lot; those that were pruned have no end and are left out, so that the real ones may be worse"
    )


def _too_few(count: int) -> str:
    there = "no trial" if not count else f"only {counted(count, 'trial')}"
    were = "were" if count > 1 else "was"
    return (
        f"{there} of this row in the results folder {were} trained to the end, and {FEWEST} are needed to draw from "
        "them"
    )


def _values(runs: Runs, run_id: str, objective: str) -> list[float]:
    """The objective at each validation of a run; those without it left out."""
    points = Journal(runs.folder(run_id).metrics_file).validations()
    return [float(point[objective]) for point in points if point.get(objective) is not None]
