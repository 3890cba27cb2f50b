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

    A box that is no hit is of one kind, the first that fits: ``Loc``, IoU 0.1 to 0.5 with an object
    of its class; ``Cls``, from 0.5 with one of another class; ``Dupe``, from 0.5 with one of its
    class that has a hit; ``Bkg``, up to 0.1 with every object; ``Both``, what is left. ``Loc`` and
    ``Cls`` are put right as hits, where their object has none; all others by leaving the box out.

    ``Miss`` is an object without a hit that neither ``Loc`` nor ``Cls`` would give one. Putting it
    right means to TIDE that it no longer counts, not that it is found (`MissedError.fix` and
    `fix_errors` of tidecv); so a class of which nothing was detected adds nothing to ``Miss``, and a
    model that detects nothing at all has 0 everywhere. The gains do not add up to 1 - mAP50.

    Returns:
        Fractions by the names in `KINDS`.

    Raises:
        ValueError: The annotations have none of the classes.
    """
    run = truth.matching(detections, image_ids, classes)
    gains = run.tide_errors(pos_thr=_FOREGROUND, bg_thr=_BACKGROUND)["delta_ap"]
    return {kind: float(gains[kind]) for kind in KINDS}
