"""Recorded search spaces, and what a training at any point of one would come to.

``perf/record.py`` trains a fixed set of settings to the end and writes every validation to ``perf/recorded/``. Between
the settings a Gaussian process over the whole curve stands in (Matern 5/2, a length for each parameter, one noise for
all): a point's curve is its mean there, and the residual of a setting that is drawn by lot, seeded by the study and the
point, so that early and late validations go together as they do in trainings. The residuals are those of settings that
were left out, scaled to the noise between two training seeds that the recording names.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import yaml
from scipy.linalg import cho_solve
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmark.tuning.simulated import Curve
from benchmark.tuning.study_file import Parameter

RECORDED = Path(__file__).resolve().parent / "recorded"
SCORE = "mAP50"
Array = npt.NDArray[np.float64]

_DENSE = 20_000  # points among which a space's best is looked for


@dataclass(frozen=True)
class Axis:
    """One parameter of a space.

    Attributes:
        name: Its name.
        parameter: As the study file has it.
        choices: What Optuna holds for each choice, by its text in the recording; empty of a number.
    """

    name: str
    parameter: Parameter
    choices: Mapping[str, Any]

    def read(self, text: str) -> Any:
        """What Optuna holds for a cell of a recording."""
        if self.choices:
            return self.choices[text]
        return int(float(text)) if self.parameter.kind == "int" else float(text)

    def suggest(self, trial: optuna.Trial) -> Any:
        """A value of a trial."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices.values()))
        given = self.parameter
        low, high = given.low or 0.0, given.high or 0.0
        if given.kind == "int":
            return trial.suggest_int(
                self.name, int(low), int(high), step=int(given.step or 1), log=given.log
            )
        return trial.suggest_float(self.name, low, high, step=given.step, log=given.log)

    def place(self, value: Any) -> list[float]:
        """Where a value lies: a number from 0 to 1, or a corner for each choice, at distance 1 from one another."""
        if self.choices:
            return [float(value == choice) / np.sqrt(2) for choice in self.choices.values()]
        low, high = float(self.parameter.low or 0), float(self.parameter.high or 0)
        if self.parameter.log:
            low, high, value = np.log(low), np.log(high), np.log(value)
        return [float((value - low) / (high - low))]

    def draw(self, lot: np.random.Generator, count: int) -> Array:
        """Where values lie that are drawn evenly, count x coordinates."""
        if not self.choices:
            return lot.random((count, 1))
        corners: Array = np.eye(len(self.choices))[lot.integers(len(self.choices), size=count)]
        return corners / np.sqrt(2)


def _axis(name: str, content: Mapping[str, Any]) -> Axis:
    parameter = Parameter.model_validate(content)
    if parameter.when:
        raise SystemExit(f"{name}: conditional parameters are not simulated")
    listed = parameter.choices or []
    plain = listed.items() if isinstance(listed, dict) else ((_held(one), one) for one in listed)
    return Axis(name, parameter, {str(held): held for held, _ in plain})


def _held(choice: Any) -> Any:
    return (
        choice
        if choice is None or isinstance(choice, bool | int | float | str)
        else json.dumps(choice)
    )


@dataclass(frozen=True)
class Space:
    """A recorded space.

    Attributes:
        name: Its name.
        axes: Its parameters.
        settings: Parameters of each setting, as Optuna holds them; the first is the row's own.
        curves: mAP50 at every validation, settings x validations.
        seconds: Seconds from one validation to the next, settings x validations.
        noise: Median of the absolute difference in mAP50 between two training seeds; None where it was not recorded.
    """

    name: str
    axes: Sequence[Axis]
    settings: Sequence[Mapping[str, Any]]
    curves: Array
    seconds: Array
    noise: float | None

    @property
    def own(self) -> Mapping[str, Any]:
        """The row's own setting."""
        return self.settings[0]

    @property
    def validations(self) -> int:
        """Number of validations of a training."""
        return self.curves.shape[1]

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Draws a trial's parameters."""
        return {axis.name: axis.suggest(trial) for axis in self.axes}

    def place(self, params: Mapping[str, Any]) -> Array:
        """Where parameters lie, in the unit cube of numbers and beside it the corners of choices."""
        return np.array([x for axis in self.axes for x in axis.place(params[axis.name])])


def read_space(name: str, folder: Path = RECORDED) -> Space:
    """Reads ``NAME.yaml`` and ``NAME.csv``."""
    about = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    axes = [_axis(key, content) for key, content in about["search"].items()]
    rows: dict[int, list[dict[str, str]]] = {}
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(int(row["setting"]), []).append(row)
    whole = [rows[number] for number in sorted(rows)]
    longest = max(map(len, whole))
    done = np.array([_filled([float(row["seconds"]) for row in one], longest) for one in whole])
    return Space(
        name=name,
        axes=axes,
        settings=[{axis.name: axis.read(one[0][axis.name]) for axis in axes} for one in whole],
        # Where the loss is no number the recording ends, with a line that has no score.
        curves=np.array(
            [_filled([float(row[SCORE] or 0) for row in one], longest) for one in whole]
        ),
        seconds=np.diff(done, axis=1, prepend=0.0),
        noise=_noise(about, {int(one[0]["setting"]): float(one[-1][SCORE] or 0) for one in whole}),
    )


def _filled(values: list[float], count: int) -> list[float]:
    return values + values[-1:] * (count - len(values))


def _noise(about: Mapping[str, Any], last: Mapping[int, float]) -> float | None:
    again = about.get("again", {}).get(SCORE, {})
    apart = [abs(last[number] - value) for number, value in again.items() if number in last]
    return float(np.median(apart)) if apart else None


@dataclass(frozen=True)
class Trust:
    """How well settings that were left out are told from the others.

    Attributes:
        nearest: Rank correlation of the last mAP50 with that of the nearest other setting.
        process: Rank correlation of the last mAP50 with the Gaussian process's.
        error: Median of the process's absolute error in the last mAP50.
        nearest_error: The same of the nearest setting's.
        early: Rank correlation of the mAP50 of each validation with the last one's, over the settings.
    """

    nearest: float
    process: float
    error: float
    nearest_error: float
    early: Sequence[float]


class Surface:
    """What trainings come to anywhere in a recorded space; see above.

    Args:
        space: The recording.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._places = np.array([space.place(params) for params in space.settings])
        size = self._places.shape[1]
        kernel = ConstantKernel() * Matern(np.ones(size), (0.1, 30.0), nu=2.5) + WhiteKernel(0.1)
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        process.fit(self._places, space.curves)
        self._kernel, self._weights = process.kernel_.k1, process.alpha_
        self._mean, self._scale = process._y_train_mean, process._y_train_std
        inverse = cho_solve((process.L_, True), np.eye(len(self._places)))
        self._left_out: Array = process.alpha_ / np.diag(inverse)[:, None] * self._scale
        fitted = float(np.sqrt(process.kernel_.k2.noise_level) * self._scale[-1])
        self._residuals = self._left_out * min(
            1.0, self._noise(fitted) / self._left_out[:, -1].std()
        )

    def _noise(self, fitted: float) -> float:
        """Standard deviation of the last mAP50 between two seeds; the process's own where none was recorded.

        Two normal draws differ by 0.954 standard deviations in the median.
        """
        return fitted if self.space.noise is None else self.space.noise / 0.954

    def means(self, places: Array) -> Array:
        """Mean curves at some places, places x validations."""
        mean = self._kernel(places, self._places) @ self._weights * self._scale + self._mean
        return np.asarray(np.clip(mean, 0.0, 1.0))

    def truth(self, params: Mapping[str, Any]) -> float:
        """The last mAP50 without noise."""
        return float(self.means(self.space.place(params)[None])[0, -1])

    def answer(self, params: Mapping[str, Any], seed: int) -> Curve:
        """What one training comes to, and how long its epochs take: as long as the nearest setting's."""
        place = self.space.place(params)
        lot = np.random.default_rng(
            zlib.crc32(f"{seed} {json.dumps(params, sort_keys=True)}".encode())
        )
        noise = self._residuals[lot.integers(len(self._residuals))]
        values = np.clip(self.means(place[None])[0] + noise, 0.0, 1.0)
        return Curve(values.tolist(), self.space.seconds[self.nearest(params)].tolist())

    def nearest(self, params: Mapping[str, Any]) -> int:
        """The number of the recorded setting that is nearest."""
        return int(np.abs(self._places - self.space.place(params)).sum(axis=1).argmin())

    @cached_property
    def best(self) -> float:
        """About the best last mAP50 without noise that the space holds: that of many points drawn at random."""
        lot = np.random.default_rng(0)
        drawn = np.concatenate([axis.draw(lot, _DENSE) for axis in self.space.axes], axis=1)
        return float(self.means(drawn)[:, -1].max())

    def trust(self) -> Trust:
        """How well a setting that is left out is told, by the nearest other one and by the process."""
        last = self.space.curves[:, -1]
        apart = np.abs(self._places[:, None] - self._places[None]).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        nearest, told = last[apart.argmin(axis=1)], last - self._left_out[:, -1]
        return Trust(
            nearest=float(spearmanr(nearest, last).statistic),
            process=float(spearmanr(told, last).statistic),
            error=float(np.median(np.abs(told - last))),
            nearest_error=float(np.median(np.abs(nearest - last))),
            early=[float(spearmanr(curve, last).statistic) for curve in self.space.curves.T],
        )
