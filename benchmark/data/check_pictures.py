"""The half of the check that looks at image files; see `benchmark.data.check`."""

from __future__ import annotations

from benchmark.data.dataset import Split
from benchmark.data.findings import Reporter
from benchmark.data.keep import files_of_boxes_outside
from benchmark.data.pictures import Pictures

_TURNED = (
    "images annotated with the size that they have before their EXIF orientation turns them; mmdet "
    "turns them,"
)
_TURN = "turn the files, or let LoadImageFromFile have color_type='color_ignore_orientation'"


def tell_pictures(reporter: Reporter, split: Split, found: Pictures) -> None:
    """Tells of the image files of a split that jobs cannot read, or would misread.

    Args:
        reporter: What is told.
        split: The split.
        found: What is wrong with its files.
    """
    for kind, told in found.faults.items():
        reporter.error(list(told), kind.replace("{folder}", str(split.images)))
    lost = _outside_when_turned(split, found)
    reporter.error(
        [found.turned[name] for name in lost],
        f"{_TURNED} and boxes of theirs lie outside then: {_TURN}",
    )
    kept = [told for name, told in found.turned.items() if name not in lost]
    reporter.warning(kept, f"{_TURNED} so the boxes may not fit: {_TURN}")
    reporter.warning(
        list(found.flat),
        "images of over 8 bits a channel that are nearly black or flat in the upper 8, which are "
        "all that mmdet reads: write them with 8 bits, scaled to 0..255",
    )


def _outside_when_turned(split: Split, found: Pictures) -> list[str]:
    """The images of which a box lies wholly outside once they are turned: the loss on it is infinite."""
    if not found.turned:
        return []
    return list(dict.fromkeys(files_of_boxes_outside(split.read(), set(found.turned))))
