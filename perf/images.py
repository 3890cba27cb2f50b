"""Wilcoxon's test on the scores of images, as a pruner: what it would be worth if jobs told these scores.

``optuna.pruners.WilcoxonPruner`` compares what a trial reports step by step with what the best trial reported at the
same steps, an image each. A job's journal holds scores of the whole validation alone, so `detboard tune` does not offer
it. Here the images of a trial are those of the nearest recorded setting, and only there; so is its curve (`Nearest`).
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import wilcoxon
from spaces import Array, Space, Surface

from benchmark.tuning.simulated import Curve


def read_images(space: Space, folder: Path) -> Array:
    """Scores of the images at each validation, settings x validations x images; NaN where none was recorded."""
    lines = (
        gzip.decompress((folder / f"{space.name}_images.csv.gz").read_bytes()).decode().splitlines()
    )
    rows = [[float(cell) for cell in line.split(",")] for line in lines[1:]]
    if next(csv.reader(lines[:1])) != ["setting", "epoch", "image", "score"]:
        raise SystemExit(
            f"{space.name}_images.csv.gz: other columns than setting, epoch, image, score"
        )
    table = np.array(rows)
    images = {image: n for n, image in enumerate(np.unique(table[:, 2]))}
    scores = np.full((len(space.settings), space.validations, len(images)), np.nan)
    for setting, epoch, image, score in table:
        if setting < len(scores):
            scores[int(setting), int(epoch) - 1, images[image]] = score
    return scores


class Nearest(Surface):
    """What trainings come to if each were the nearest recorded setting's."""

    def answer(self, params: Mapping[str, Any], seed: int) -> Curve:
        """See `Surface`; nothing is drawn."""
        nearest = self.nearest(params)
        return Curve(self.space.curves[nearest].tolist(), self.space.seconds[nearest].tolist())

    def truth(self, params: Mapping[str, Any]) -> float:
        """The last mAP50 of the nearest setting."""
        return float(self.space.curves[self.nearest(params), -1])

    @property
    def best(self) -> float:
        """The best last mAP50 of all settings."""
        return float(self.space.curves[:, -1].max())


class ImagePruner(optuna.pruners.BasePruner):
    """Gives a trial up whose images score worse than the best trial's at the same validation.

    Args:
        surface: Where trials lie.
        scores: See `read_images`.
        threshold: One-sided p-value below which a trial is given up.
    """

    def __init__(self, surface: Surface, scores: npt.NDArray[np.float64], threshold: float) -> None:
        self._surface, self._scores, self._threshold = surface, scores, threshold

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """See `optuna.pruners.BasePruner`."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete or trial.last_step is None:
            return False
        best = max(complete, key=lambda one: one.value)
        mine, theirs = (
            self._scores[self._surface.nearest(one.params), trial.last_step - 1]
            for one in (trial, best)
        )
        apart = mine - theirs
        # As Optuna has it: one that is not worse on average goes on, whatever the test says.
        if not np.any(apart) or np.isnan(apart).any() or apart.mean() >= 0:
            return False
        return bool(
            wilcoxon(apart, alternative="less", zero_method="zsplit").pvalue < self._threshold
        )
