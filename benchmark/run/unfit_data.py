"""Annotation files that a config has of its own, beside those of the experiment's data set."""

from __future__ import annotations

from pathlib import Path

from benchmark.config.sources import own_data
from benchmark.config.tree import Config
from benchmark.data.dataset import Dataset, check_fits
from benchmark.errors import attempt
from benchmark.run.contents import Contents


def unfit_data(config: Config, dataset: Dataset, contents: Contents, cache: Path) -> list[str]:
    """What is wrong with annotation files that a config has of its own, with the key of each.

    Args:
        config: Composed config.
        dataset: The experiment's.
        contents: Remembers hashes.
        cache: File that remembers what large annotation files hold.
    """
    problems: list[str] = []
    for key, data in own_data(config, dataset).items():
        wrong: list[str] = []
        attempt(wrong, check_fits, data, cache)
        problems += [f"{key}.ann_file: {problem}" for problem in wrong]
        path = data.train.annotations
        if not wrong and contents.of(str(path)) == dataset.val.sha256:
            problems.append(
                f"{key}.ann_file: {path} holds what the runs are validated on, so that training on it makes their "
                "scores worthless; leave it out"
            )
    return problems
