"""A checkpoint that anything goes wrong with is passed over in words, and the one before is taken."""

from __future__ import annotations

import io
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.job.best import lost_best
from benchmark.job.resuming import newest_own
from benchmark.run import checkpoints

IDS = ("ours",)
WEIGHTS = {"a": torch.arange(100.0), "b": torch.ones(3, 2)}


def content(epoch: int, **changes: Any) -> dict[str, Any]:
    meta = {"run_id": "ours", "epoch": epoch, "iter": 6 * epoch}
    return {"meta": meta, "state_dict": WEIGHTS, "optimizer": {}, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for epoch in (1, 2):
        torch.save(content(epoch), tmp_path / f"epoch_{epoch}.pth")
    return tmp_path


def headers(whole: bytes) -> list[int]:
    """The places of the bytes of a zip file that are none of its members' contents."""
    inside: set[int] = set()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for member in archive.infolist():
            start = member.header_offset
            names = int.from_bytes(whole[start + 26 : start + 28], "little")
            extra = int.from_bytes(whole[start + 28 : start + 30], "little")
            start += 30 + names + extra
            inside.update(range(start, start + member.file_size))
    return [place for place in range(len(whole)) if place not in inside]


def taken(folder: Path) -> Path | None:
    """The checkpoint that is gone on from; its weights are the run's."""
    found = newest_own(folder, IDS, WEIGHTS)
    if found is not None:
        loaded = torch.load(found, weights_only=True)["state_dict"]
        assert all(torch.equal(loaded[name], value) for name, value in WEIGHTS.items())
    return found


def test_flipped_bits_in_headers_and_contents(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, before = folder / "epoch_2.pth", folder / "epoch_1.pth"
    whole, seeded = newest.read_bytes(), random.Random(3)
    places = seeded.choices(headers(whole), k=250) + seeded.choices(range(len(whole)), k=50)
    passed_over = 0
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << seeded.randrange(8)
        newest.write_bytes(damaged)
        passed_over += taken(folder) == before
    assert passed_over > 100
    assert capsys.readouterr().out.count("epoch_2.pth is not taken: it is ") == passed_over


def of_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not torch's")


def cut(path: Path) -> None:
    torch.save(content(2), path)
    os.truncate(path, 700)


def saved(**changes: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(content(2, **changes), path)


def meta(**changes: Any) -> Callable[[Path], None]:
    return saved(meta={**content(2)["meta"], **changes})


@pytest.mark.parametrize(
    "write",
    [
        of_zip,
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save(3, path),
        lambda path: path.write_bytes(bytes(3000)),
        cut,
        saved(meta=None),
        saved(state_dict=7),
        saved(state_dict={"a": 1, "b": "x"}),
        meta(epoch="3"),
        meta(iter=-1),
        meta(iter=2.5),
        meta(finished="no"),
        meta(best="high"),
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to(path.name),
    ],
)
def test_whatever_is_in_its_place_the_one_before_is_taken(
    folder: Path, write: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    newest = folder / "epoch_2.pth"
    newest.unlink()
    write(newest)
    odd = checkpoints.clear_places(folder)
    assert taken(folder) == folder / "epoch_1.pth"
    assert odd or "epoch_2.pth is not taken: it is " in capsys.readouterr().out
    torch.save(content(2), newest)  # nothing stands in its place any more
    assert taken(folder) == newest


def test_without_any_that_loads_it_begins_anew(folder: Path) -> None:
    for path in folder.glob("*.pth"):
        of_zip(path)
    assert taken(folder) is None


def test_a_run_of_its_best_goes_on_from_where_its_weights_are_known(folder: Path) -> None:
    """Were it to go on behind the best validation, its record would name weights that are gone."""
    points = [
        {"kind": "val", "iter": 6, "epoch": 1.0, "mAP50": 0.3},
        {"kind": "val", "iter": 12, "epoch": 2.0, "mAP50": 0.5},
    ]

    def objection(path: Path) -> str | None:
        return lost_best(folder, IDS, WEIGHTS, points, path)

    for epoch in (1, 2):
        best = content(epoch)
        torch.save(
            {**best, "meta": {**best["meta"], "best": 0.3}}, folder / f"selected_epoch_{epoch}.pth"
        )
    found = [newest_own(folder, IDS, WEIGHTS, objection)]
    of_zip(folder / "selected_epoch_2.pth")
    found += [newest_own(folder, IDS, WEIGHTS, objection)]
    of_zip(folder / "selected_epoch_1.pth")
    found += [newest_own(folder, IDS, WEIGHTS, objection)]
    assert found == [folder / "epoch_2.pth", folder / "epoch_1.pth", None]
