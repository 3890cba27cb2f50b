"""Decoded images that are kept: the same pixels, whatever the file, the step and the pipeline; and what is not kept."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import Resize
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from PIL import Image
from stores import store_of

from benchmark.job.decoded import keys
from benchmark.job.decoded.arena import make_arena
from benchmark.job.decoded.store import Store
from benchmark.job.decoded.transforms import ask

PHOTOS = os.environ.get("DETBOARD_TEST_DATA")

pytestmark = pytest.mark.usefixtures("roomy_disk")


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that were written this moment are kept as well; and afterwards nothing is asked any more."""
    monkeypatch.setattr(keys, "_SETTLED_S", -1.0)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    yield
    cv2.setNumThreads(threads)
    ask(None)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were decoded."""
    sizes: list[int] = []
    decode = mmcv.imfrombytes

    def counting(content: bytes, *more: Any, **settings: Any) -> Any:
        sizes.append(len(content))
        return decode(content, *more, **settings)

    monkeypatch.setattr(mmcv, "imfrombytes", counting)
    return sizes


# ---- every kind of file


def _pixels(*shape: int, dtype: Any = np.uint8) -> Any:
    random = np.random.default_rng(0)
    return random.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def write_files(place: Path) -> list[Path]:
    """A file of each kind that people have."""
    rgb, grey = Image.fromarray(_pixels(37, 53, 3)), Image.fromarray(_pixels(37, 53))
    rgb.save(place / "plain.jpg", quality=90)
    rgb.save(place / "progressive.jpg", progressive=True)
    rgb.save(place / "turned.jpg", exif=_turned())
    grey.save(place / "grey.jpg")
    rgb.convert("CMYK").save(place / "cmyk.jpg")
    rgb.save(place / "plain.png")
    rgb.quantize(16).save(place / "palette.png")
    rgb.convert("RGBA").save(place / "alpha.png")
    grey.convert("LA").save(place / "grey_alpha.png")
    grey.convert("1").save(place / "one_bit.png")
    Image.fromarray(_pixels(37, 53, dtype=np.uint16)).save(place / "16_bit.png")
    rgb.save(place / "plain.bmp")
    rgb.save(place / "plain.webp", lossless=True)
    rgb.save(place / "plain.tif")
    content = (place / "plain.jpg").read_bytes()
    (place / "cut.jpg").write_bytes(content[: len(content) // 2])
    (place / "beginning.jpg").write_bytes(content[:20])
    (place / "empty.jpg").write_bytes(b"")
    (place / "text.jpg").write_text("no image")
    (place / "folder.jpg").mkdir()
    return [*sorted(place.iterdir()), place / "missing.jpg"]


STEPS: list[dict[str, Any]] = [
    {},
    {"to_float32": True},
    {"color_type": "grayscale"},
    {"color_type": "unchanged"},
    {"color_type": "color_ignore_orientation", "ignore_empty": True},
    {"color_type": "wrong"},
    {"imdecode_backend": "pillow"},
    {"imdecode_backend": "pillow", "color_type": "unchanged", "to_float32": True},
    {"imdecode_backend": "tifffile"},
    {"backend_args": {"backend": "local"}},
    {"backend_args": {"backend": "nowhere"}},
]


def outcome(step: Callable[[dict[str, Any]], Any], path: Path) -> tuple[Any, ...]:
    """All that a step makes of a file: every key and byte, or its error."""
    try:
        results = step({"img_path": str(path)})
    except Exception as error:
        return type(error), re.sub("0x[0-9a-f]+", "", str(error))
    if results is None:
        return (None,)
    image = results.pop("img")
    assert type(image) is np.ndarray and image.flags.writeable
    said = image.dtype.str, image.shape, image.tobytes(), repr(sorted(results.items()))
    image[...] = 7  # as transforms do that write in place: the next one is to get what was decoded
    return said


def both(load: dict[str, Any], resize: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return mmcv.transforms.Compose([LoadImageFromFile(**load), Resize(**resize)])


@pytest.mark.parametrize("load", STEPS, ids=str)
def test_what_is_loaded_is_the_same_for_every_kind_of_file(
    load: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    paths = write_files(tmp_path / "images")
    small, stretched = {"scale": (30, 20), "keep_ratio": True}, {"scale": (30, 20)}
    half: dict[str, Any] = {"scale_factor": 0.5, "interpolation": "nearest"}
    steps = [LoadImageFromFile(**load), *(both(load, one) for one in (small, stretched, half))]
    stock = [outcome(step, path) for step in steps for path in paths]
    for _ in range(2):
        ask(store)
        assert [outcome(step, path) for step in steps for path in paths] == stock
    ask(None)
    assert [outcome(step, path) for step in steps for path in paths] == stock


def test_no_image_is_decoded_twice(store: Store, decoded: list[int], tmp_path: Path) -> None:
    Image.fromarray(_pixels(37, 53, 3)).save(path := tmp_path / "a.png")
    step = both({}, {"scale": (30, 20), "keep_ratio": True})
    ask(store)
    for _ in range(3):
        step({"img_path": str(path)})
    assert decoded == [path.stat().st_size]
    # Other settings, and a step that may look at the whole image first, need it anew.
    both({}, {"scale": (31, 20), "keep_ratio": True})({"img_path": str(path)})
    both({"to_float32": True}, {"scale": (30, 20), "keep_ratio": True})({"img_path": str(path)})
    LoadImageFromFile()({"img_path": str(path)})
    assert len(decoded) == 4
    LoadImageFromFile(to_float32=True)({"img_path": str(path)})  # numbers of the same bytes
    assert len(decoded) == 4


def test_what_inherits_or_comes_between_is_left_alone(
    store: Store, decoded: list[int], tmp_path: Path
) -> None:
    class Own(LoadImageFromFile):  # type: ignore[misc]
        pass

    def dark(results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "img": results["img"] // 2}

    Image.fromarray(_pixels(37, 53, 3)).save(path := tmp_path / "a.png")
    ask(store)
    for _ in range(2):
        Own()({"img_path": str(path)})
    assert len(decoded) == 2
    resize = Resize(scale=(30, 20))
    pipeline = mmcv.transforms.Compose([LoadImageFromFile(), resize])
    pipeline({"img_path": str(path)})
    pipeline.transforms.insert(1, dark)  # as a hook may do
    found = [pipeline({"img_path": str(path)})["img"] for _ in range(2)]
    ask(None)
    assert np.array_equal(found[0], pipeline({"img_path": str(path)})["img"])
    assert np.array_equal(*found)


@pytest.mark.parametrize("same_time", [False, True])
def test_a_file_that_changes_is_loaded_anew(store: Store, tmp_path: Path, same_time: bool) -> None:
    path, step = tmp_path / "a.bmp", LoadImageFromFile()
    ask(store)
    seen = []
    for shade in (10, 200):  # of one size
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(path)
        if same_time:  # the time at which the file itself was changed tells
            os.utime(path, (1e9, 1e9))
        seen += [step({"img_path": str(path)})["img"][0, 0, 2] for _ in range(2)]
        time.sleep(0.02)  # the file system's clock ticks
    assert seen == [10, 10, 200, 200]


def test_a_file_that_has_just_changed_is_not_kept(
    store: Store, decoded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_SETTLED_S", 3600.0)
    Image.new("RGB", (8, 8)).save(path := tmp_path / "a.bmp")
    ask(store)
    for step in (LoadImageFromFile(), both({}, {"scale": (4, 4)})):
        for _ in range(2):
            step({"img_path": str(path)})
    assert len(decoded) == 4


def test_a_file_that_has_just_changed_is_not_kept_however_long_it_is_read(
    store: Store, decoded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more after it was read, within the tick of the file system's clock."""
    monkeypatch.setattr(keys, "_SETTLED_S", 2.0)
    Image.new("RGB", (8, 8)).save(path := tmp_path / "a.bmp")
    now = iter(time.time_ns() + seconds * 10**9 for seconds in (0, 3600, 3600, 3600))
    monkeypatch.setattr(keys, "time", SimpleNamespace(time_ns=lambda: next(now)))
    ask(store)
    for _ in range(3):
        LoadImageFromFile()({"img_path": str(path)})
    assert len(decoded) == 2


@pytest.mark.parametrize(
    ("ages", "settled"),
    [
        ((3600, 3600), True),
        ((3600, 1), False),
        ((1, 3600), False),
        ((-1, 3600), False),
        ((-3600, 3), True),  # somebody has set a time that is to come
        ((-3600, 1), False),
        ((-3600, -3600), True),  # the file system's clock is ahead
    ],
)
def test_a_change_would_show_of_a_file_whose_times_are_not_close_to_now(
    ages: tuple[int, int], settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content's and its own, in seconds before now."""
    monkeypatch.undo()
    now = time.time_ns()
    monkeypatch.setattr(keys, "time", SimpleNamespace(time_ns=lambda: now))
    state = (1, 2, 3, *(now - age * 10**9 for age in ages))
    assert keys.Seen("/a.jpg", state).settled == settled


# ---- whole pipelines, as data loaders run them


def coco(data: Path, *steps: dict[str, Any]) -> dict[str, Any]:
    """A data set whose pipeline loads, goes through some steps, and packs."""
    load = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True}]
    pipeline = [*load, *steps, {"type": "PackDetInputs", "meta_keys": ()}]
    files = {
        "ann_file": "train.json",
        "data_prefix": {"img": "images"},
        "indices": 8,
        "serialize_data": False,
    }
    return {"type": "CocoDataset", "data_root": str(data), **files, "pipeline": pipeline}


FIXED = {"type": "Resize", "scale": (80, 60), "keep_ratio": True}
FLIP = {"type": "RandomFlip", "prob": 0.5}
RANDOM = {"type": "RandomResize", "scale": [(80, 60), (120, 90)], "keep_ratio": True}
COLOURS = {"type": "PhotoMetricDistortion"}
ERASED = {"type": "RandomErasing", "n_patches": (1, 3), "ratio": (0.1, 0.3)}  # writes in place


def mixed(data: Path) -> dict[str, Any]:
    inner = coco(data)
    inner["pipeline"].pop()
    mosaic = [{"type": "Mosaic", "img_scale": (64, 64)}, {"type": "MixUp", "img_scale": (64, 64)}]
    pipeline = [*mosaic, FLIP, {"type": "PackDetInputs", "meta_keys": ()}]
    return {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": pipeline}


DATA_SETS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "fixed": lambda data: coco(data, FIXED, FLIP, ERASED),
    "random": lambda data: coco(data, RANDOM, FLIP, COLOURS),
    "in place": lambda data: coco(data, ERASED, FIXED),
    "mosaic": mixed,
    "cached mosaic": lambda data: coco(data, {"type": "CachedMosaic", "img_scale": (64, 64)}),
    "repeated": lambda data: {"type": "RepeatDataset", "times": 2, "dataset": coco(data, FIXED)},
    "joined": lambda data: {"type": "ConcatDataset", "datasets": [coco(data, FIXED)] * 2},
    "balanced": lambda data: {
        "type": "ClassBalancedDataset",
        "oversample_thr": 0.5,
        "dataset": coco(data, FIXED),
    },
}


def batches(data_set: dict[str, Any], workers: int, epochs: int = 2) -> list[list[torch.Tensor]]:
    """The images, then the boxes, of the batches of some epochs of a data loader."""
    init_default_scope("mmdet")
    loader = Runner.build_dataloader(
        {
            "batch_size": 4,
            "num_workers": workers,
            "dataset": data_set,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
        },
        seed=0,
    )
    found = []
    np.random.seed(0)
    torch.manual_seed(0)
    import random

    random.seed(0)
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            boxes = [sample.gt_instances.bboxes.tensor for sample in batch["data_samples"]]
            found.append([image.clone() for image in (*batch["inputs"], *boxes)])
    return found


def alike(one: list[list[torch.Tensor]], other: list[list[torch.Tensor]]) -> bool:
    return len(one) == len(other) and all(
        len(a) == len(b) and all(map(torch.equal, a, b)) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", DATA_SETS)
def test_batches_are_the_same(name: str, decoded: list[int], synthetic_data: Path) -> None:
    data_set = DATA_SETS[name](synthetic_data)
    stock = batches(data_set, 0)
    often = len(decoded)
    ask(make_arena(64 << 20))
    assert alike(batches(data_set, 0), stock)
    images = len(DATASETS.build(coco(synthetic_data)))
    assert len(decoded) == often + images < 2 * often


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_loader_workers_share_what_is_kept(
    kind: str, synthetic_data: Path, tmp_path: Path, decoded: list[int]
) -> None:
    data_set = DATA_SETS["fixed"](synthetic_data)
    stock = batches(data_set, 2)
    kept = store_of(kind, tmp_path / "kept")
    ask(kept)
    assert alike(batches(data_set, 2), stock)
    assert not decoded  # but in the workers
    batches(data_set, 0)
    assert not decoded  # what they have kept is there
    kept.close()


@pytest.mark.skipif(PHOTOS is None, reason="DETBOARD_TEST_DATA names no folder with photographs")
def test_batches_of_photographs_are_the_same(store: Store, decoded: list[int]) -> None:
    data_set = coco(Path(PHOTOS or ""), FIXED, FLIP)
    stock = batches(data_set, 0)
    ask(store)
    assert alike(batches(data_set, 0), stock)
    assert len(decoded) == 16 + 8
