"""Objects as each row's model sees them, beside its anchors: ``detboard data check EXPERIMENT``."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import TINY, here, variant
from numpy.typing import NDArray
from PIL import Image

from benchmark.config.anchors import REGRESS_RANGES, heads_of
from benchmark.config.input_size import InputSize, input_size

ZOO = Path(__file__).parent / "zoo" / "zoo.yaml"
SMALL, LARGE = 9, 24  # sides of the two classes' boxes, in images of 128 x 64 pixels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data", {"platelet": SMALL, "cell": LARGE})


def write(folder: Path, sides: Mapping[str, float], count: int = 3) -> Path:
    """Images of 128 x 64 pixels with a square box of each class; 'none' of a class without boxes has side 0."""
    (folder / "images").mkdir(parents=True)
    names = list(sides)
    categories = [{"id": key, "name": name} for key, name in enumerate(names, 1)]
    for split in ("train", "val"):
        images = [
            {"id": key, "file_name": f"{split}{key}.png", "width": 128, "height": 64}
            for key in range(1, count + 1)
        ]
        boxes = [
            {"image_id": image["id"], "category_id": key, "iscrowd": 0}
            | {"bbox": [40 * (key - 1), 4, sides[name], sides[name]], "area": sides[name] ** 2}
            for image in images
            for key, name in enumerate(names, 1)
            if sides[name]
        ]
        annotations = [box | {"id": number} for number, box in enumerate(boxes, 1)]
        whole = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(whole))
        for number, image in enumerate(images):
            shade = Image.new("RGB", (128, 64), (number, len(split), 0))
            shade.save(folder / "images" / str(image["file_name"]))
    return folder


def check(experiment: Path, data: Path, *more: str) -> tuple[int, str, str]:
    done = here(["data", "check", str(experiment), "--data-root", str(data), *more])
    return done.returncode, done.stdout, done.stderr


def row_of(name: str, output: str) -> list[str]:
    """The cells of a class in the last table that has it."""
    return [line.split() for line in output.splitlines() if line.split()[:1] == [name]][-1]


def with_rows(folder: Path, **sets: dict[str, Any]) -> Path:
    """The tiny experiment with a row for each ``set``."""
    parts = {"backbone": "tiny", "neck": "tiny", "head": "tiny", "schedule": "tiny"}

    def change(content: dict[str, Any]) -> None:
        content["rows"] = [{"name": n, "parts": parts, "set": keys} for n, keys in sets.items()]

    return variant(folder, change)


def test_sizes_are_those_at_the_rows_own_input(data: Path, tmp_path: Path) -> None:
    status, said, errors = check(TINY, data, "--results", str(tmp_path / "results"))
    assert status == 0, errors
    # tiny's images are fitted into 64 x 64: half of 128 x 64
    assert row_of("platelet", said) == ["platelet", "3", "4.5", "4.5", "4.5"]
    assert row_of("cell", said) == ["cell", "3", "12.0", "12.0", "12.0"]
    assert "64x64, ratio kept (test pipeline):" in said
    assert "rows plain, momentum: bbox_head (RetinaHead): anchors of 32 to 812.7 px" in said
    shown = said[said.index("Objects to learn") :]
    assert max(map(len, shown.splitlines())) <= 80


def test_a_class_that_is_smaller_than_half_of_the_smallest_anchor_is_told(
    data: Path, tmp_path: Path
) -> None:
    _, _, errors = check(TINY, data)
    (warning,) = [line for line in errors.splitlines() if "smallest anchor" in line]
    assert warning.startswith("warning: rows plain, momentum: half of the objects are smaller than")
    assert "of 'platelet' (median 4.5 px), 'cell' (median 12.0 px)" in warning
    assert "smallest anchor, 32 px, at an input of 64x64" in warning
    assert "model.bbox_head.anchor_generator: octave_base_scale: 4" in warning
    assert "a factor of 7.1 brings" in warning
    assert check(TINY, data, "--strict")[0] == 1


@pytest.mark.parametrize(("base", "told"), [(3.0, False), (3.1, True)])
def test_half_of_the_smallest_anchor_is_the_border(base: float, told: bool, tmp_path: Path) -> None:
    data = write(tmp_path / "data", {"cell": LARGE, "unused": 0})
    key = "model.bbox_head.anchor_generator.octave_base_scale"
    experiment = with_rows(tmp_path / "own", one={key: base})
    _, said, errors = check(experiment, data)
    assert ("smallest anchor" in errors) is told  # 12 px at the input; 8 px times 3 is 24
    assert row_of("unused", said) == ["unused", "0", "—", "—", "—"]
    assert "unused" not in [line for line in errors.splitlines() if "smallest anchor" in line]


def test_each_row_is_seen_at_its_own_input_and_with_its_own_anchors(
    data: Path, tmp_path: Path
) -> None:
    large = {
        f"{loader}_dataloader.dataset.pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations", "with_bbox": True},
            {"type": "Resize", "scale": [512, 256], "keep_ratio": True},
            {"type": "PackDetInputs"},
        ]
        for loader in ("train", "val", "test")
    }
    finer = {"model.bbox_head.anchor_generator.octave_base_scale": 1}
    experiment = with_rows(tmp_path / "own", usual={}, large=large, finer=finer)
    _, said, errors = check(experiment, data)
    assert "512x256, ratio kept (test pipeline):" in said
    assert "row large: bbox_head" in said and "row finer: bbox_head" in said
    assert row_of("platelet", said)[2:] == ["36.0"] * 3
    told = [line for line in errors.splitlines() if "smallest anchor" in line]
    assert ["row usual" in line for line in told] == [True], told


def test_a_row_without_validation_is_seen_as_it_would_be_with_it(
    data: Path, tmp_path: Path
) -> None:
    experiment = variant(tmp_path / "own", lambda content: content.update(train_on="all"))
    _, said, errors = check(experiment, data)
    assert "64x64, ratio kept (test pipeline):" in said, errors
    assert row_of("cell", said)[:3] == ["cell", "6", "12.0"]  # of train and val


def test_rows_of_given_boxes_have_no_input(data: Path, tmp_path: Path) -> None:
    rows = [{"name": "given", "predictions": "boxes.json"}]
    experiment = variant(tmp_path / "own", lambda content: content.update(rows=rows))
    (tmp_path / "own" / "boxes.json").write_text("[]")
    status, said, errors = check(experiment, data)
    assert status == 0, errors
    assert "No row is trained: there are no anchors" in said


def test_heads_without_anchors_say_so(data: Path) -> None:
    status, said, errors = check(ZOO, data, "--profile", "full")
    assert status == 0, errors
    flat = " ".join(said.split())
    assert "row anchor_free: bbox_head (FCOSHead): no anchors; regress ranges 0 to 64, 64" in flat
    assert "512 to any px from a point to an object's edges" in flat
    assert "row queries: bbox_head (DeformableDETRHead): no anchors" in flat
    assert "rows two_stage, cascade: rpn_head (RPNHead): anchors of 32 to 512 px" in flat
    assert "images as large as they are (test pipeline; in training up to 512 px" in flat


def test_a_row_that_cannot_be_composed_costs_that_row(data: Path, tmp_path: Path) -> None:
    experiment = with_rows(tmp_path / "own", good={}, bad={"model.nowhere.key": 1})
    status, said, errors = check(experiment, data)
    assert status == 2
    assert "row 'bad'" in errors
    assert "row good: bbox_head" in said


def test_options_of_experiments_are_refused_for_a_folder(data: Path) -> None:
    done = here(["data", "check", str(data), "--profile", "full"])
    assert done.returncode == 2
    assert "--profile: for an experiment file" in done.stderr


# The arithmetic is mmdet's


def registry(name: str) -> Any:
    """A registry of mmdet, filled."""
    import benchmark.ops

    benchmark.ops.install()
    from mmdet import registry
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    return getattr(registry, name)


def built(generator: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Sides of mmdet's own anchors, level by level."""
    made = registry("TASK_UTILS").build(generator)
    anchors = [level.double().numpy() for level in made.base_anchors]
    return [np.sqrt(np.prod(level[:, 2:] - level[:, :2], axis=1)) for level in anchors]


GENERATORS: dict[str, dict[str, Any]] = {
    "octaves": {
        "type": "AnchorGenerator",
        "octave_base_scale": 4,
        "scales_per_octave": 3,
        "ratios": [0.5, 1.0, 2.0],
        "strides": [8, 16, 32, 64, 128],
    },
    "scales": {
        "type": "AnchorGenerator",
        "scales": [2, 8],
        "ratios": [1.0, 3.0],
        "strides": [4, 8],
    },
    "base sizes": {
        "type": "mmdet.AnchorGenerator",
        "scales": [1],
        "ratios": [1.0],
        "strides": [(8, 4), 16],
        "base_sizes": [9, 20],
    },
    "uneven strides": {
        "type": "AnchorGenerator",
        "scales": [1],
        "ratios": [1.0],
        "strides": [(8, 4), 16],
    },
    "yolo": {
        "type": "YOLOAnchorGenerator",
        "base_sizes": [[(116, 90), (156, 198)], [(30, 61), (62, 45)]],
        "strides": [32, 16],
    },
    "ssd": {
        "type": "SSDAnchorGenerator",
        "input_size": 300,
        "basesize_ratio_range": (0.15, 0.9),
        "strides": [8, 16, 32, 64, 100, 300],
        "ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    },
    "ssd of a mobile": {
        "type": "SSDAnchorGenerator",
        "strides": [16, 32],
        "ratios": [[2, 3], [2, 3]],
        "min_sizes": [48, 100],
        "max_sizes": [100, 150],
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_anchors_are_those_that_mmdet_makes(name: str) -> None:
    generator = GENERATORS[name]
    config = {"model": {"bbox_head": {"type": "RetinaHead", "anchor_generator": generator}}}
    (head,) = heads_of(config)
    assert head.anchors is not None
    theirs = built(dict(generator))
    assert len(theirs) == len(head.anchors.levels)
    for ours, sides in zip(head.anchors.levels, theirs, strict=True):
        assert min(ours) == pytest.approx(sides.min(), rel=1e-5)
        assert max(ours) == pytest.approx(sides.max(), rel=1e-5)
    assert head.anchors.smallest == pytest.approx(min(side.min() for side in theirs), rel=1e-5)


@pytest.mark.slow
def test_regress_ranges_are_those_of_the_installed_heads() -> None:
    models = registry("MODELS")
    for name, ranges in REGRESS_RANGES.items():
        made = [vars(kind)["__init__"] for kind in inspect.getmro(models.get(name))]
        defaults = [inspect.signature(one).parameters.get("regress_ranges") for one in made]
        first = next(found for found in defaults if found is not None)
        assert tuple(map(tuple, first.default)) == ranges, name


RESIZES: dict[str, list[dict[str, Any]]] = {
    "as it is": [{"type": "Pad", "size_divisor": 32}],
    "ratio kept": [{"type": "Resize", "scale": (100, 50), "keep_ratio": True}],
    "one number": [{"type": "Resize", "scale": 100, "keep_ratio": True}],
    "exact": [{"type": "Resize", "scale": (90, 70)}],
    "factor": [{"type": "Resize", "scale_factor": 0.5}],
    "two factors": [{"type": "Resize", "scale_factor": (0.5, 2.0)}],
    "fixed scale": [{"type": "FixScaleResize", "scale": (100, 50), "keep_ratio": True}],
    "fixed shape": [{"type": "FixShapeResize", "width": 100, "height": 30, "keep_ratio": True}],
    "fixed and bent": [{"type": "FixShapeResize", "width": 100, "height": 30}],
    "shortest edge": [{"type": "ResizeShortestEdge", "scale": 80, "max_size": 100}],
    "twice": [
        {"type": "Resize", "scale": (100, 50), "keep_ratio": True},
        {"type": "Resize", "scale": (300, 200)},
    ],
}


def sized(steps: list[dict[str, Any]], training: list[dict[str, Any]] | None = None) -> InputSize:
    def loader(pipeline: list[dict[str, Any]]) -> dict[str, Any]:
        return {"dataset": {"type": "CocoDataset", "pipeline": pipeline}}

    load, pack = {"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}
    config = {
        "model": {},
        "train_dataloader": loader([load, *(training or []), pack]),
        "val_dataloader": loader([load, *steps, pack]),
    }
    found = input_size(config)
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", RESIZES)
@pytest.mark.parametrize(("width", "height"), [(400, 200), (90, 300), (64, 64)])
def test_objects_grow_as_mmdet_resizes_them(name: str, width: int, height: int) -> None:
    transforms = registry("TRANSFORMS")
    from mmdet.structures.bbox import HorizontalBoxes

    results: Any = {
        "img": np.zeros((height, width, 3), np.uint8),
        "img_shape": (height, width),
        "gt_bboxes": HorizontalBoxes(np.array([[8, 8, 40, 40]], np.float32)),
    }
    for step in RESIZES[name]:
        results = transforms.build(dict(step)).transform(results)
    left, top, right, bottom = results["gt_bboxes"].tensor[0].tolist()
    across, down = sized(RESIZES[name]).factors(np.array([float(width)]), np.array([float(height)]))
    ours = 32 * math.sqrt(across[0] * down[0])
    # mmcv rounds an image's sides to whole pixels
    assert ours == pytest.approx(math.sqrt((right - left) * (bottom - top)), rel=0.05)


def test_a_resize_of_ones_own_leaves_the_largest_training_scale() -> None:
    training = [
        {"type": "RandomChoiceResize", "scales": [(100, 60), (200, 120)], "keep_ratio": True}
    ]
    found = sized([{"type": "MyResize", "length": 7}], training)
    assert str(found) == "200x200, ratio kept (largest training scale)"
