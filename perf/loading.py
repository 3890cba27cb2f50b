"""Images a second of a train pipeline, with decoded images kept (``cache:`` of an experiment) and without.

    python perf/loading.py
    python perf/loading.py --data DIR --scale 1333 800      (a folder with train.json and images/)
    python perf/loading.py --decoders

Photographs of 1000 to 4000 pixels go through what people have before a detector: load, resize, flip, pack. ``fixed``
resizes to one size, so that resized images are kept; ``random`` draws a size, so that what was decoded is. Nothing is
trained. Each setting is a process of its own with one thread, its processor time is counted, and they take turns.
With ``--decoders`` other decoders of JPEG are held against OpenCV's: speed, and whether the pixels are the same.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from evaluation import machine

from benchmark import ops
from benchmark.job.decoded.arena import make_arena
from benchmark.job.decoded.folder import Folder
from benchmark.job.decoded.store import Store
from benchmark.run.devices import memory_room

KINDS = ("off", "ram", "disk")
PIPELINES = ("fixed", "random")
LONGEST = (1000, 1600, 2400, 4000)
_SETTLED_S = 2.5  # what was written a moment ago is not kept


@dataclass(frozen=True)
class Speed:
    """Images a second of processor time.

    Attributes:
        first: Of the first epoch, in which images are kept.
        later: Of the epochs after it.
        kept_mib: What is kept of all images.
    """

    first: float
    later: float
    kept_mib: float


def photographs(folder: Path, count: int) -> Path:
    """JPEG files with the content of photographs, roughly: shapes at all scales, and noise of a sensor."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(count):
        width = LONGEST[number % len(LONGEST)]
        height = width * 3 // 4
        picture = np.zeros((height, width, 3), np.float32)
        for cells in (4, 16, 64, 256):
            grid = random.normal(0, 90 / cells**0.5, (cells * 3 // 4, cells, 3)).astype(np.float32)
            picture += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        picture += random.normal(128, 4, picture.shape).astype(np.float32)
        name = f"{number}.jpg"
        pixels = picture.clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        box = [width // 4, height // 4, width // 3, height // 3]
        boxes.append({"id": number + 1, "image_id": number, "category_id": 1, "bbox": box})
        boxes[-1] |= {"area": box[2] * box[3], "iscrowd": 0}
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def data_set(data: Path, pipeline: str, scale: tuple[int, int], most: int) -> Any:
    """The images and their pipeline, as mmdet's own configs have them."""
    resize: dict[str, Any] = {"type": "Resize", "scale": scale, "keep_ratio": True}
    if pipeline == "random":
        smaller = tuple(side * 4 // 5 for side in scale)
        resize |= {"type": "RandomResize", "scale": [smaller, scale]}
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        resize,
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackDetInputs"},
    ]
    from mmengine.registry import DATASETS, init_default_scope

    names = [kind["name"] for kind in json.loads((data / "train.json").read_bytes())["categories"]]
    with redirect_stdout(io.StringIO()):
        init_default_scope("mmdet")
        return DATASETS.build(
            {
                "type": "CocoDataset",
                "data_root": str(data),
                "ann_file": "train.json",
                "data_prefix": {"img": "images"},
                "metainfo": {"classes": tuple(names)},
                "indices": most,
                "pipeline": steps,
            }
        )


def epoch(images: Any) -> float:
    """Images a second of processor time over all images."""
    began = time.process_time()
    for index in range(len(images)):
        images[index]
    return len(images) / (time.process_time() - began)


def store_of(kind: str, folder: Path) -> tuple[Store | None, Callable[[], int]]:
    """A store, and what tells how many bytes it holds."""
    if kind == "ram":
        arena = make_arena(memory_room().free_mib * 2**20 // 2)
        return arena, lambda: arena.holds[1]
    if kind == "disk":
        kept = Folder(folder, None, time.time())
        return kept, lambda: kept.holds
    return None, lambda: 0


def measure(images: Any, kind: str, epochs: int) -> Speed:
    """The speed of one setting, in this process."""
    from benchmark.job.decoded.transforms import ask

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        store, holds = store_of(kind, Path(name))
        ask(store)
        first, *later = [epoch(images) for _ in range(epochs)]
        speed = Speed(first, statistics.median(later), holds() / 2**20)
        if store is not None:
            store.close()
    return speed


def apart(work: Callable[[], Any]) -> Any:
    """What work gives in a process that is forked for it."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sending.send(work()))
    process.start()
    sending.close()
    found = receiving.recv()
    process.join()
    return found


def lines(options: argparse.Namespace, data: Path) -> Iterator[str]:
    for pipeline in PIPELINES:
        images = data_set(data, pipeline, tuple(options.scale), options.images)
        speeds: dict[str, list[Speed]] = {kind: [] for kind in KINDS}
        for _ in range(options.repeat):
            for kind in KINDS:
                speeds[kind].append(apart(lambda: measure(images, kind, options.epochs)))  # noqa: B023
        stock = speeds["off"]
        for kind in KINDS:
            yield row(pipeline, kind, speeds[kind], stock)


def row(pipeline: str, kind: str, speeds: list[Speed], stock: list[Speed]) -> str:
    """A line of the table: medians, and the ratios of the turns with their range."""
    parts = []
    for when in ("first", "later"):
        ratios = [
            getattr(one, when) / getattr(base, when)
            for one, base in zip(speeds, stock, strict=True)
        ]
        value = statistics.median(getattr(one, when) for one in speeds)
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        parts.append(f"{value:9.1f} {statistics.median(ratios):6.2f} ({spread})")
    return f"{pipeline:8} {kind:5} {'  '.join(parts)} {speeds[-1].kept_mib:9.1f}"


# ---- decoders


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """Ways to decode a JPEG into BGR, by name; OpenCV's first."""
    import mmcv
    from torchvision.io import ImageReadMode, decode_jpeg

    def by_torchvision(content: bytes) -> Any:
        raw = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        image = decode_jpeg(raw, mode=ImageReadMode.RGB).permute(1, 2, 0).flip(-1)
        return image.contiguous().numpy()

    found: dict[str, Callable[[bytes], Any]] = {
        "OpenCV": mmcv.imfrombytes,
        "Pillow": lambda content: np.ascontiguousarray(mmcv.imfrombytes(content, backend="pillow")),
        "torchvision": by_torchvision,
    }
    try:
        import simplejpeg  # type: ignore[import-not-found]

        found["simplejpeg"] = lambda content: simplejpeg.decode_jpeg(content, "BGR")
    except ImportError:
        print("simplejpeg is not installed: left out")
    return found


def decoder_lines(data: Path, most: int, repeat: int) -> Iterator[str]:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    files = [path.read_bytes() for path in sorted((data / "images").glob("*.jpg"))[:most]]
    ways = decoders()
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, decode in ways.items():
            began = time.process_time()
            for content in files:
                decode(content)
            speeds[name].append(len(files) / (time.process_time() - began))
    stock = speeds["OpenCV"]
    for name, decode in ways.items():
        same = sum(np.array_equal(decode(one), ways["OpenCV"](one)) for one in files)
        ratios = [mine / theirs for mine, theirs in zip(speeds[name], stock, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        value, ratio = statistics.median(speeds[name]), statistics.median(ratios)
        yield f"{name:14} {value:9.1f} {ratio:6.2f} ({spread})  same pixels in {same} of {len(files)}"


def main() -> None:
    parser = argparse.ArgumentParser(description="images a second of a train pipeline")
    parser.add_argument("--data", type=Path, help="a folder with train.json and images/")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--scale", type=int, nargs=2, default=(640, 640), metavar=("W", "H"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3, help="turns of each setting")
    parser.add_argument("--decoders", action="store_true", help="decoders of JPEG instead")
    options = parser.parse_args()
    if min(options.images, options.epochs - 1, options.repeat, *options.scale) < 1:
        parser.error("--images, --repeat and --scale: from 1; --epochs: from 2")
    print(f"{options.images} images, {options.epochs} epochs, {options.repeat} turns; {machine()}")
    ops.install()
    with redirect_stdout(io.StringIO()):  # what mmdet says of its optional parts
        import_module("benchmark.job.decoded.transforms")
    with tempfile.TemporaryDirectory() as name:
        data = options.data or photographs(Path(name) / "data", options.images)
        if options.data is None:
            time.sleep(_SETTLED_S)
        if options.decoders:
            print(f"{'decoder':14} {'images/s':>9} of OpenCV's")
            found = decoder_lines(data, options.images, options.repeat)
        else:
            print(
                f"{'pipeline':8} {'cache':5} {'first epoch, images/s':>30} {'later':>30} {'MiB':>9}"
            )
            found = lines(options, data)
        for line in found:
            print(line, flush=True)


if __name__ == "__main__":
    main()
