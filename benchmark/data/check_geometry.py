"""What becomes of a split's boxes: which are left out of training, clipped, or out of an evaluation's reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.annotations import Annotations
from benchmark.data.findings import Reporter
from benchmark.data.keep import Mask, evaluated, firsts, left_out, past_edge, trained
from benchmark.statistics.counted import LARGEST

# Published sets hold a few broken boxes, slips of a tool or of a hand: 2 of the 860,001 of COCO's train2017 have no
# height. A tenth is no slip: the boxes are in another form, or a field is not what it should be. Among few boxes a
# share says nothing.
_SLIPS_SHARE = 0.1
_SLIPS = 10

# Tools that round corners to whole pixels, or that count pixels from 1, leave boxes that pass the
# image's edge by less than this; mmdet clips them, and what is lost is below what they measured.
_OVERHANG_PX = 1.0

# Of boxes that pass the edge, above which it is asked whether their numbers are in another form; that they are is said
# where nearly all boxes would lie within their images so: a slip or two does not change what a tool writes.
_ASKED_SHARE = 0.1
_NEARLY_ALL = 0.99

# Boxes that are enough to go by their areas: that an area is the product of other numbers is no chance.
_FEWEST = 5

_FORM = " (a bbox is [x, y, width, height])"
_AREA = " (it is width times height, or what a mask covers)"
_LEFT_OUT = ", which training leaves out"
_UNSEEN = ": an evaluation counts them, and no detection can find them"


@dataclass(frozen=True)
class _Kind:
    """Boxes that something becomes of.

    Attributes:
        mask: Which they are, shape (N,), bool.
        what: The message.
        broken: Whether they count into the share above which they are no slips.
    """

    mask: Mask
    what: str
    broken: bool = True


def check_geometry(reporter: Reporter, name: str, annotations: Annotations) -> None:
    """Reports what mmdet's training, or COCO's evaluation, makes of the boxes of ``train``, or of ``val``."""
    in_train = name == "train"
    kinds = _in_train(annotations) if in_train else _in_val(annotations)
    left = trained(annotations) if in_train else evaluated(annotations)
    broken = [kind.mask for kind in kinds if kind.broken]
    no_slips = _no_slips(np.logical_or.reduce(broken)) or bool(_fractions(annotations))
    for kind in kinds:
        is_error = not left.any() or (no_slips and kind.broken)
        what = kind.what + _share(kind.mask)
        reporter.boxes(annotations, np.flatnonzero(kind.mask), what, is_error)
    if not _check_edges(reporter, in_train, annotations):
        _check_areas(reporter, annotations)
    _check_left(reporter, in_train, annotations, left)


def _no_slips(mask: Mask) -> bool:
    count = int(mask.sum())
    return count > max(_SLIPS, _SLIPS_SHARE * len(mask))


def _share(mask: Mask) -> str:
    return f", {mask.mean():.1%} of all" if mask.sum() > _SLIPS else ""


def _in_train(annotations: Annotations) -> list[_Kind]:
    out = firsts(left_out(annotations))
    return [
        _Kind(out["flat"], f"boxes without width or height{_LEFT_OUT}{_FORM}"),
        _Kind(
            out["outside"], f"boxes wholly outside their image{_LEFT_OUT}{_fractions(annotations)}"
        ),
        _Kind(out["area"], f"boxes whose 'area' is not above 0{_LEFT_OUT}{_AREA}"),
        _Kind(
            out["side"],
            f"boxes with a side below 1 pixel{_LEFT_OUT}{_tiny(annotations, out['side'])}",
        ),
        _Kind(out["ignore"], f"boxes that are marked to 'ignore'{_LEFT_OUT}", broken=False),
    ]


def _in_val(annotations: Annotations) -> list[_Kind]:
    boxes, counted, out = annotations.boxes, evaluated(annotations), left_out(annotations)
    listed = ~boxes.crowd & ~out["unlisted"]
    unlooked = ", which an evaluation takes no notice of" + _AREA
    marked = "boxes that are marked to 'ignore', which COCO's evaluation does not do: they count"
    tiny = out["side"] & ~out["outside"] & counted
    small = f"boxes with a side below 1 pixel, which an evaluation counts{_tiny(annotations, tiny)}"
    flat = f"boxes without width or height{_UNSEEN}{_FORM}"
    return [
        _Kind(out["flat"] & counted, flat),
        _Kind(out["outside"] & counted, f"boxes wholly outside their image{_UNSEEN}"),
        _Kind((boxes.area < 0) & listed, f"boxes whose 'area' is below 0{unlooked}"),
        _Kind((boxes.area > LARGEST) & listed, f"boxes whose 'area' is above 1e10{unlooked}"),
        _Kind(tiny, small),
        _Kind(
            (boxes.area == 0) & ~out["flat"] & counted,
            f"boxes whose 'area' is 0, which count among the small ones{_AREA}",
            broken=False,
        ),
        _Kind(boxes.ignore & counted, marked, broken=False),
    ]


def _tiny(annotations: Annotations, tiny: Mask) -> str:
    """Says so where the file's boxes, or these alone, look as if they were written in fractions of their images."""
    xywh = annotations.boxes.xywh[tiny]
    if told := _fractions(annotations):
        return told
    in_corner = len(xywh) and np.mean(np.abs(xywh).max(axis=1) <= 1) >= _NEARLY_ALL
    return " (they lie in 0..1, as fractions of an image do, YOLO's?)" if in_corner else ""


def _fractions(annotations: Annotations) -> str:
    """Says so where the boxes look as if they were written in fractions of their images."""
    xywh = annotations.boxes.xywh
    share = np.mean(np.abs(xywh).max(axis=1) <= 1) if len(xywh) else 0
    if share < _NEARLY_ALL:
        return ""
    return f": {share:.1%} of the file's boxes lie in 0..1, as fractions of an image do (YOLO's); a bbox is in pixels"


def _check_edges(reporter: Reporter, in_train: bool, annotations: Annotations) -> bool:
    """Returns whether the boxes are held to be in another form."""
    out = left_out(annotations)
    sound = ~(out["unlisted"] | out["flat"] | out["outside"])
    over = sound & (past_edge(annotations) >= _OVERHANG_PX)
    done = (
        ", which training clips to it"
        if in_train
        else ", which an evaluation takes as they are, while detections end at the edge"
    )
    asked = len(over) and over.mean() > _ASKED_SHARE
    form = _other_form(annotations) if asked else ""
    what = f"boxes that pass their image's edge{done}{_share(over)}{form}"
    # Large objects in the middle of each image fit as corners, too; over half of them do not pass the edge.
    is_error = bool(form) and bool(over.mean() > 0.5) and len(over) >= _SLIPS
    reporter.boxes(annotations, np.flatnonzero(over), what, is_error)
    return is_error


def _check_areas(reporter: Reporter, annotations: Annotations) -> None:
    """Tells of corners that lie within their images when read as sizes, too: their areas give them away."""
    boxes = annotations.boxes
    a, b, c, d = boxes.xywh.T
    as_corners = _nearly((c - a) * (d - b), boxes.area) & (c > a) & (d > b)
    as_sizes = _nearly(c * d, boxes.area)
    if len(boxes.ids) < _FEWEST or as_corners.mean() < _NEARLY_ALL or as_sizes.mean() > 0.5:
        return
    what = (
        "boxes whose 'area' is theirs if they are read as [left, top, right, bottom]"
        f"{_share(as_corners)}: write them as [x, y, width, height]"
    )
    reporter.boxes(annotations, np.flatnonzero(as_corners), what, is_error=True)


def _nearly(product: NDArray[np.float64], area: NDArray[np.float64]) -> Mask:
    """Whether an area is this product of two sides, but for rounding."""
    nearly: Mask = np.abs(product - area) <= np.maximum(1.0, 0.01 * np.abs(area))
    return nearly


def _other_form(annotations: Annotations) -> str:
    """Says so where the boxes look as if their four numbers were others than left, top, width and height."""
    a, b, c, d = annotations.boxes.xywh.T
    forms = {
        "[left, top, right, bottom]": [a, b, c - a, d - b],
        "[centre x, centre y, width, height]": [a - c / 2, b - d / 2, c, d],
    }
    for form, columns in forms.items():
        xywh = np.column_stack(columns)
        fits = (past_edge(annotations, xywh) < _OVERHANG_PX) & (xywh[:, 2:] > 0).all(axis=1)
        if fits.mean() >= _NEARLY_ALL:
            return (
                f"; read as {form} {fits.mean():.1%} of the file's boxes lie within their image: write them as "
                "[x, y, width, height], or clip them to the image if they are"
            )
    return ""


_REASONS = {
    "unlisted": "of an image or a category that is not listed",
    "ignore": "marked to 'ignore'",
    "flat": "without width or height",
    "outside": "outside their image",
    "area": "with an 'area' that is not above 0",
    "side": "with a side below 1 pixel",
    "negative": "with an 'area' below 0",
    "vast": "with an 'area' above 1e10",
    "crowd": "crowds",
}


def _check_left(reporter: Reporter, in_train: bool, annotations: Annotations, left: Mask) -> None:
    boxes = annotations.boxes
    if left.any():
        gone = "training leaves out" if in_train else "an evaluation takes no notice of"
        before, after = annotations.per_class(), annotations.per_class(left)
        none = [name for name, count in after.items() if before[name] and not count]
        reporter.warning(none, f"classes of which {gone} every box")
        return
    if annotations.images.faults:
        return  # which are told: of the boxes in those images nothing is known
    told = "no box" if not boxes.faults else "no sound box"
    purpose = "learn from" if in_train else "measure, and mAP50 is not defined"
    of = f" is left of {len(boxes.ids)} ({_why(annotations, in_train)})" if len(boxes.ids) else ""
    error = f"{reporter.path}: {told}{of}: there is nothing to {purpose}"
    reporter.findings.errors.append(error)


def _why(annotations: Annotations, in_train: bool) -> str:
    """What became of the boxes of which none is left, with counts."""
    masks = left_out(annotations)
    if not in_train:
        area = annotations.boxes.area
        masks = {"unlisted": masks["unlisted"], "negative": area < 0, "vast": area > LARGEST}
    reasons = firsts({**masks, "crowd": annotations.boxes.crowd})
    counts = {_REASONS[reason]: int(mask.sum()) for reason, mask in reasons.items()}
    return ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
