"""What a profile's ``shrink`` mapping may say."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from benchmark.config.tree import Config
from benchmark.errors import UserError, allowed

# As many images say whether every class is found, and whether a batch is made.
_FEWEST_IMAGES = 4
_FEWEST_VAL_IMAGES = 8


@dataclass(frozen=True)
class Limits:
    """The ``shrink`` mapping of a profile.

    Attributes:
        longest_side: Longest side of a training image in pixels; every image size shrinks by the
            same factor.
        epochs: Passes over the images below.
        images: Training images in an epoch, repetitions included; which ones, `benchmark.data.spread` says.
        val_images: Images validated on; likewise.
        pretrained: Whether to load pretrained weights. Without them nothing is frozen: frozen
            random weights never learn.
    """

    longest_side: int
    epochs: int
    images: int
    val_images: int
    pretrained: bool = True

    @classmethod
    def of(cls, given: Config) -> Limits:
        """Checks a mapping.

        Raises:
            UserError: An unknown or missing field, or a value that is not a positive whole number.
        """
        names = [field.name for field in fields(cls)]
        problems = [
            f"shrink: unknown '{key}'; {allowed(key, names)}" for key in given if key not in names
        ]
        for name in names:
            value = given.get(name, True if name == "pretrained" else None)
            if name == "pretrained" and not isinstance(value, bool):
                problems.append(f"shrink.pretrained: {value!r} is neither True nor False")
            elif name != "pretrained" and (not isinstance(value, int) or value < 1):
                problems.append(f"shrink.{name}: {value!r} is not a positive whole number")
        if problems:
            raise UserError(problems)
        return cls(**given)

    def times(self, share: float) -> Limits:
        """The same with a share of the images, for images that cannot be as small as they should.

        Args:
            share: Of 0..1; 1 changes nothing.
        """
        if share >= 1:
            return self
        images = min(self.images, max(round(self.images * share), _FEWEST_IMAGES))
        held_out = min(self.val_images, max(round(self.val_images * share), _FEWEST_VAL_IMAGES))
        return replace(self, images=images, val_images=held_out)
