"""What a detector's errors cost it, by kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.statistics.evaluation import Detections, GroundTruth

# Bolya et al. 2020, TIDE: A General Toolbox for Identifying Object Detection Errors.
KINDS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
_FOREGROUND, _BACKGROUND = 0.5, 0.1


def error_shares(
    truth: GroundTruth, detections: Detections, image_ids: Iterable[int], classes: Sequence[str]
) -> dict[str, float]:
    """By how much mAP50 would rise if one kind of error were put right, all others kept (TIDE).

    ``Cls`` wrong class, ``Loc`` box too far off (IoU 0.1 to 0.5), ``Both`` of these, ``Dupe`` an
    object found twice, ``Bkg`` nothing there, ``Miss`` an object that nothing came near. Putting
    a miss right means to TIDE that the object no longer counts; so a class of which nothing was
    detected adds nothing to ``Miss``, and a model that detects nothing at all has 0 everywhere.
    The gains do not add up to 1 - mAP50.

    Returns:
        Fractions by the names in `KINDS`.

    Raises:
        ValueError: The annotations have none of the classes.
    """
    run = truth.matching(detections, image_ids, classes)
    gains = run.tide_errors(pos_thr=_FOREGROUND, bg_thr=_BACKGROUND)["delta_ap"]
    return {kind: float(gains[kind]) for kind in KINDS}
