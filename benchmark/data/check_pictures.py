"""The half of the check that looks at image files; see `benchmark.data.check`."""

from __future__ import annotations

from benchmark.data.dataset import Split
from benchmark.data.findings import Reporter
from benchmark.data.pictures import Pictures


def tell_pictures(reporter: Reporter, split: Split, found: Pictures) -> None:
    """Tells of the image files of a split that jobs cannot read, or would misread.

    Args:
        reporter: What is told.
        split: The split.
        found: What is wrong with its files.
    """
    for kind, told in found.faults.items():
        reporter.error(list(told), kind.replace("{folder}", str(split.images)))
    reporter.warning(
        list(found.turned),
        "images annotated with the size that they have before their EXIF orientation turns them; "
        "mmdet turns them, so the boxes may not fit: turn the files, or let LoadImageFromFile have "
        "color_type='color_ignore_orientation'",
    )
    reporter.warning(
        list(found.flat),
        "images of over 8 bits a channel that are nearly black or flat in the upper 8, which are "
        "all that mmdet reads: write them with 8 bits, scaled to 0..255",
    )
