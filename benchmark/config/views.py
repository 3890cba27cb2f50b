"""The views of its images that a row is evaluated on with test-time augmentation, and what does not go with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmark.config.retarget import dataset_leaves
from benchmark.config.shrink.images import takes_one_size
from benchmark.config.test_time import (
    Pipeline,
    is_set,
    own_scale,
    packed_keys,
    shipped_tta,
    through_views,
)
from benchmark.config.tree import Config, dicts
from benchmark.config.vocabulary.words import class_of
from benchmark.errors import UserError
from benchmark.experiment.rows.augmented import Views


def augmented(config: Config, views: Views, overridden: Iterable[str] = ()) -> Pipeline:
    """The pipeline that gives the views of each image that a row is evaluated on.

    Each goes through the pipeline of the row's validation, mirrored or not right after the resizing. Where that pads
    to a size, all views are padded to the one that holds the largest of them, as mmdet's own configs do.

    Args:
        config: A config as it was composed, or as a run's ``config.py`` has it.
        views: The views that are asked for; the usual ones are those of a ``tta_pipeline`` that the row has set.
        overridden: Key paths that the row or ``--set`` have set.

    Raises:
        UserError: With whatever of the pipeline or of the model does not go with the views.
    """
    own = config.get("tta_pipeline")
    if own and views == Views() and is_set(overridden):
        return list(own)
    leaf = next(dataset_leaves(config.get("val_dataloader")), {})
    pipeline = list(leaf.get("pipeline") or [])
    if problems := [*_against(pipeline, config.get("model"), views)]:
        raise UserError(problems)
    return through_views(pipeline, packed_keys(own or shipped_tta()), views)


def _against(pipeline: Pipeline, model: object, views: Views) -> Iterator[str]:
    """What stands against views of the images of a pipeline, for a model."""
    if not pipeline or "Pack" not in class_of(pipeline[-1]):
        yield "its test pipeline does not end with packing, so that no views can be made of its images"
    if any(class_of(step) == "LoadProposals" for step in dicts(pipeline)):
        yield "its test pipeline reads proposals, which are not mirrored with an image"
    if views.scales in (None, [1.0]):
        return
    if takes_one_size(model):
        yield "its model takes images of one size only: leave scales out"
    elif own_scale(pipeline) is None:
        yield "its test pipeline resizes to no scale of two sides that could be another: leave scales out"
