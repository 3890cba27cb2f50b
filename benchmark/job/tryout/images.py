"""The images of a try-out: few, and such as a training meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader

_LOOKED_AT = 1000  # images whose objects are counted to find what is wanted
_TRIES = 20  # images that go through a pipeline until one comes out with a box


class NoImages(Exception):
    """A data set is empty: whatever it reads, nothing of it is left."""


def with_objects(loader: DataLoader[Any], count: int) -> list[Any]:
    """Images with boxes, as the pipeline gives them; others where there are too few.

    Args:
        loader: Of the training.
        count: How many; one may come twice, of a data set that has no more.

    Raises:
        NoImages: The data set has none.
        Exception: Whatever the pipeline raises.
    """
    dataset: Any = loader.dataset
    if not len(dataset):
        raise NoImages(
            "no image is left to train on: the data set's filter_cfg leaves all of them out"
        )
    wanted = [*_numbers(dataset, lambda objects: objects > 0), *range(len(dataset))]
    given = [dataset[number] for number in islice(dict.fromkeys(wanted), count)]
    tries = (dataset[number] for number in islice(wanted, count, _TRIES))
    kept = [one for one in given if _boxes(one)]
    while len(kept) < count:
        one = next(tries, None)
        if one is None:
            break
        kept += [one] if _boxes(one) else []
    return [*kept, *given, *given][:count]


def without_objects(loader: DataLoader[Any]) -> Any | None:
    """An image without any box, as the pipeline gives it; None where the first thousand images have boxes."""
    dataset: Any = loader.dataset
    number = next(_numbers(dataset, lambda objects: objects == 0), None)
    return None if number is None else dataset[number]


def first(loader: DataLoader[Any]) -> Any:
    """The first image of a data set.

    Raises:
        NoImages: It has none.
    """
    dataset: Any = loader.dataset
    if not len(dataset):
        raise NoImages(
            "no image is left to validate on: the data set's filter_cfg leaves all of them out"
        )
    return dataset[0]


def _numbers(dataset: Any, wanted: Callable[[int], bool]) -> Iterator[int]:
    """Numbers of images that have as many objects as are wanted; none of a data set that does not tell."""
    look = getattr(dataset, "get_data_info", None)
    if look is None:
        return
    for number in range(min(len(dataset), _LOOKED_AT)):
        info = look(number)
        objects = info.get("instances") if isinstance(info, dict) else None
        if objects is not None and wanted(len(objects)):
            yield number


def _boxes(one: Any) -> int:
    """How many boxes came out of a pipeline with an image."""
    sample = one.get("data_samples") if isinstance(one, dict) else None
    return len(sample.gt_instances) if sample is not None and "gt_instances" in sample else 0
