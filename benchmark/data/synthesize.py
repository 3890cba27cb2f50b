"""Draws a small detection dataset of ten kinds of waste, in COCO format."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from PIL import Image

from benchmark.data.scene import CLASSES, draw_floor, draw_object
from benchmark.errors import UserError, not_written
from benchmark.files import read_json, sha256_file, write_json

VERSION = 1  # of what is drawn: counts up with every change that a picture or a box shows
_MARK = "synthetic.json"  # written into the folder: what it was drawn from
_SMALLEST_PX, _LARGEST_PX = 64, 2048
_OBJECT_COUNTS = (1, 2, 2, 3, 3, 4)
_SHAPES = ((4, 4), (4, 3), (3, 4), (4, 4))  # quarters of the size: width, height
_SHORTEST, _LONGEST = 28, 55  # an object's longer side, in hundredths of the image's shorter
_HIDDEN = 0.35  # how much of an object others may cover
_SHADOW = (20, 20, 20)
_TRIES = 20  # places tried for an object before it is left out

_Entry = dict[str, object]  # of a COCO file


@dataclass(frozen=True)
class _Plan:
    """What the data depends on, and nothing else."""

    train: int
    val: int
    size: int
    seed: int
    version: int = VERSION


def synthesize(
    folder: Path, *, train: int = 200, val: int = 60, size: int = 160, seed: int = 0
) -> Path:
    """Draws the data, or leaves it as it is where the folder already holds the same.

    The folder gets ``train.json``, ``val.json`` and ``images/*.png``. Boxes are ``xywh`` in whole
    pixels and tight around what is visible of an object, ``area`` is its number of visible pixels.
    One seed gives the same annotation bytes and the same pixels on every machine and Python with
    the same Pillow; the bytes of the PNG files depend on the zlib that compresses them, too.

    Args:
        folder: Where to; made complete beside it and renamed, so that it is whole or absent.
        train: Number of training images.
        val: Number of validation images.
        size: Longer side of an image in pixels; the shorter is as long, or three quarters of it.
        seed: Another seed draws other images.

    Returns:
        The folder.

    Raises:
        UserError: The folder holds something else, or an argument is out of range.
        MachineError: The disk is full, or fails.
    """
    plan = _Plan(train=train, val=val, size=size, seed=seed)
    _validate(plan)
    folder = folder.resolve()
    if _is_drawn(folder, plan):
        return folder
    unfinished = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        _draw_all(unfinished, plan)
        _move(unfinished, folder, plan)
    except OSError as error:
        raise not_written(folder, error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _validate(plan: _Plan) -> None:
    problems = [
        f"{name}: at least 1 image is needed (got {value})"
        for name, value in (("train", plan.train), ("val", plan.val))
        if value < 1
    ]
    if not _SMALLEST_PX <= plan.size <= _LARGEST_PX:
        allowed = f"{_SMALLEST_PX} to {_LARGEST_PX} pixels are possible"
        problems.append(f"size: {allowed} (got {plan.size})")
    if problems:
        raise UserError(problems)


def _is_drawn(folder: Path, plan: _Plan) -> bool:
    """Whether the folder holds the data of this plan; an empty or missing one holds nothing."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        mark = read_json(folder / _MARK)
        has, hashes = dict(mark["plan"]), dict(mark["sha256"])
        kept = {name: sha256_file(folder / name) for name in hashes}
        images = sum(1 for _ in (folder / "images").glob("*.png"))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder}: is there and is no whole synthetic data set; nothing was overwritten: name "
            "a folder that does not exist, or remove this one"
        ) from None
    if has == asdict(plan) and kept == hashes and images == plan.train + plan.val:
        return True
    was = "its files were changed" if has == asdict(plan) else f"it was drawn with {_said(has)}"
    raise UserError(
        f"{folder}: is not the synthetic data of {_said(asdict(plan))}: {was}; nothing was "
        "overwritten: name another folder, or remove this one"
    )


def _said(plan: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in plan.items())


def _move(unfinished: Path, folder: Path, plan: _Plan) -> None:
    try:
        unfinished.replace(folder)
    except OSError:
        # Another process may have drawn it in the meantime; then that one is as good as this.
        if not _is_drawn(folder, plan):
            raise


def _draw_all(folder: Path, plan: _Plan) -> None:
    (folder / "images").mkdir(parents=True)
    for split, count in (("train", plan.train), ("val", plan.val)):
        write_json(folder / f"{split}.json", _draw_split(folder, plan, split, count), indent=None)
    hashes = {name: sha256_file(folder / name) for name in ("train.json", "val.json")}
    write_json(folder / _MARK, {"plan": asdict(plan), "sha256": hashes})


def _draw_split(folder: Path, plan: _Plan, split: str, count: int) -> dict[str, list[_Entry]]:
    images: list[_Entry] = []
    annotations: list[_Entry] = []
    for index in range(count):
        # A seed of its own, so that an image is the same however many are drawn before it. Strings
        # are seeded through SHA-512, not through the hash that differs from process to process.
        random = Random(f"{plan.seed}/{split}/{index}")
        scene = _draw_scene(plan.size, index, random)
        name = f"{split}_{index:05d}.png"
        scene.picture.save(folder / "images" / name, compress_level=1)
        width, height = scene.picture.size
        images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
        for box in scene.annotations():
            annotations.append({"id": len(annotations) + 1, "image_id": index + 1, **box})
    categories: list[_Entry] = [
        {"id": key, "name": name} for key, name in enumerate(CLASSES, start=1)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


class _Scene:
    """An image in the making.

    Attributes:
        picture: RGB.
        owner: Which object each pixel shows, counted from 1; 0 for the floor.
        labels: The class of each object, an index into `CLASSES`.
        areas: How many pixels each object was drawn with, before others hid some.
    """

    def __init__(self, size: tuple[int, int], random: Random) -> None:
        self.picture = draw_floor(size, random)
        self.owner = Image.new("L", size)
        self.labels: list[int] = []
        self.areas: list[int] = []

    def put(self, label: int, thing: Image.Image, at: tuple[int, int]) -> bool:
        """Lays an object down, unless it would hide too much of one that is there."""
        mask = _mask(thing)
        owner = self.owner.copy()
        owner.paste(len(self.labels) + 1, at, mask)
        seen = owner.histogram()
        if any(seen[n] < (1 - _HIDDEN) * area for n, area in enumerate(self.areas, start=1)):
            return False
        shadow = mask.point(lambda value: value * 2 // 5)
        self.picture.paste(_SHADOW, (at[0] + 1, at[1] + 2), shadow)
        self.picture.paste(thing.convert("RGB"), at, mask)
        self.owner = owner
        self.labels.append(label)
        self.areas.append(seen[len(self.labels)])
        return True

    def annotations(self) -> list[_Entry]:
        """What COCO says of each object, but for its id and its image."""
        return [self._annotation(number, label) for number, label in enumerate(self.labels, 1)]

    def _annotation(self, number: int, label: int) -> _Entry:
        mask = self.owner.point([255 if value == number else 0 for value in range(256)])
        left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)  # `put` keeps every object seen
        return {
            "category_id": label + 1,
            "bbox": [left, top, right - left, bottom - top],
            "area": mask.histogram()[255],
            "iscrowd": 0,
        }


def _draw_scene(size: int, index: int, random: Random) -> _Scene:
    """An image with one to four objects on a floor."""
    across, down = random.choice(_SHAPES)
    scene = _Scene((size * across // 4, size * down // 4), random)
    # Taking turns at being first shows every class even in a small set.
    labels = [index % len(CLASSES)]
    labels += random.choices(range(len(CLASSES)), k=random.choice(_OBJECT_COUNTS) - 1)
    for label in labels:
        thing = _turned(draw_object(CLASSES[label], random), min(scene.picture.size), random)
        for _ in range(_TRIES):
            x = random.randint(0, scene.picture.width - thing.width)
            y = random.randint(0, scene.picture.height - thing.height)
            if scene.put(label, thing, (x, y)):
                break
    return scene


def _turned(thing: Image.Image, side: int, random: Random) -> Image.Image:
    """The object at a random size and angle, cut to what is drawn of it."""
    longest = random.randint(side * _SHORTEST // 100, side * _LONGEST // 100)
    thing = thing.rotate(random.randint(0, 359), Image.Resampling.BILINEAR, expand=True)
    thing = thing.crop(_mask(thing).getbbox())
    width, height = (max(1, length * longest // max(thing.size)) for length in thing.size)
    thing = thing.resize((width, height), Image.Resampling.BILINEAR)
    return thing.crop(_mask(thing).getbbox())


def _mask(thing: Image.Image) -> Image.Image:
    """255 where the object hides what is behind it, else 0."""
    return thing.getchannel("A").point([255 if alpha >= 128 else 0 for alpha in range(256)])
