"""Does less of the same: smaller images, fewer of them, fewer epochs, no pretrained weights.

A profile is an ordinary part. What no ordinary key can say, because it depends on what the other
parts hold, it says in one mapping named ``shrink``; this package applies it to the merged config,
whatever detector that is of. It changes how much is done, never what is built: every ``type`` of a model stays.
"""

from __future__ import annotations

from benchmark.config.shrink.data import shrink_data
from benchmark.config.shrink.images import shrink_images
from benchmark.config.shrink.limits import Limits
from benchmark.config.shrink.model import shrink_model
from benchmark.config.shrink.pixels import BATCH_SIZES, SCALES, mapped
from benchmark.config.shrink.precision import use_full_precision
from benchmark.config.shrink.schedule import shrink_schedule
from benchmark.config.shrink.weights import start_from_random_weights
from benchmark.config.tree import Config
from benchmark.config.written import SHRUNK

__all__ = ["BATCH_SIZES", "SCALES", "Limits", "mapped", "shrink"]


def shrink(config: Config, limits: Config) -> tuple[str, ...]:
    """Applies a profile's ``shrink`` mapping to a merged config, in place.

    Args:
        config: Merged config whose parts are not shared.
        limits: The fields of `Limits`.

    Returns:
        What was changed beside plain sizes, numbers of images and epochs, and weights, a line each; so nothing for
        a detector that does less of everything without further ado.

    Raises:
        UserError: An unknown or missing field, or a value that is not a positive whole number.
    """
    bounds = Limits.of(limits)
    changes: list[str] = []
    images = shrink_images(config, bounds.longest_side, changes)
    shrink_model(config, bounds.longest_side, images.factor, changes)
    shrink_data(config, bounds.times(images.share), changes)
    config[SHRUNK] = True
    shrink_schedule(config, bounds.epochs, changes)
    use_full_precision(config, changes)
    if not bounds.pretrained:
        start_from_random_weights(config.get("model"), changes)
        config["load_from"] = None
    return tuple(changes)
