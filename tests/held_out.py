"""Data with a test split, made of data without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any


def with_test(source: Path, folder: Path, apart: bool = True) -> Path:
    """A copy of a data set with the last four of its validation images as ``held-out.json``: see `give_test`.

    With ``apart`` they are no validation images any more.
    """
    shutil.copytree(source, folder)
    val = json.loads((folder / "val.json").read_text())
    images = {"held-out.json": val["images"][-4:]}
    images |= {"val.json": val["images"][:-4]} if apart else {}
    for name, chosen in images.items():
        ids = {image["id"] for image in chosen}
        boxes = [box for box in val["annotations"] if box["image_id"] in ids]
        (folder / name).write_text(json.dumps({**val, "images": chosen, "annotations": boxes}))
    return folder


def give_test(data: Path, **changes: Any) -> None:
    """Makes the images that were set aside the test split."""
    held_out = json.loads((data / "held-out.json").read_text())
    (data / "test.json").write_text(json.dumps({**held_out, **changes}))
