"""What stands in a leaderboard's document of its data, and of the method of its intervals and ranks."""

from __future__ import annotations

from typing import ClassVar

from benchmark.leaderboard.validations import Told
from benchmark.statistics import LEVEL, RESAMPLES, SEED
from benchmark.yaml_file import Strict


class TestData(Strict):
    """The test split that rows are evaluated on: SHA-256 of its annotations, and the number of its images."""

    sha256: str
    images: int


class Data(Told):
    """The dataset that every run was made on.

    Attributes:
        name: Short name.
        classes: Class names in label order.
        train: SHA-256 of the training annotations.
        val: SHA-256 of the validation annotations.
        val_images: Number of images that the runs were evaluated on, None before the first complete run.
        masks: Whether every object has a mask, see `benchmark.data.dataset.Dataset`.
        folds: In how many folds the training split is divided; 0 where it is not. Then ``val`` is the SHA-256 of the
            division, and ``val_images`` are those of all folds.
        test: The test split; None where no run was evaluated on one.
    """

    silent: ClassVar[tuple[str, ...]] = ("masks", "folds")
    unsaid: ClassVar[tuple[str, ...]] = ("test",)

    name: str
    classes: tuple[str, ...]
    train: str
    val: str
    val_images: int | None
    masks: bool = False
    folds: int = 0
    test: TestData | None = None


class Method(Told):
    """How intervals and ranks were computed.

    Attributes:
        level: Level of the intervals, and of the ranks over the whole table.
        resamples: Number of bootstrap resamples of the validation images.
        bootstrap_seed: Their seed.
        correction: Of the comparisons between rows.
        folds: What stands in the place of the resamples where the data is divided; empty elsewhere.
    """

    silent: ClassVar[tuple[str, ...]] = ("folds",)

    level: float = LEVEL
    resamples: int = RESAMPLES
    bootstrap_seed: int = SEED
    correction: str = "Holm"
    folds: str = ""
