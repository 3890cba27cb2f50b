from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import DATA, failed, make_board, make_record, make_row, on_disk, result
from PIL import Image

from benchmark.leaderboard.curves import curves
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page import gallery as gallery_module
from benchmark.leaderboard.outputs.page.axes import axes
from benchmark.leaderboard.outputs.page.configs import configs
from benchmark.leaderboard.outputs.page.gallery import gallery
from benchmark.leaderboard.outputs.page.payload import bars, payload
from benchmark.leaderboard.pareto import front, priced
from benchmark.leaderboard.values import told_reasons
from benchmark.run.folder import RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs


def folder_of(results: Path, record: RunRecord) -> RunFolder:
    on_disk(results, record)
    return RunFolder(results / "runs" / record.run_id)


def board_of(*records: RunRecord) -> Leaderboard:
    return make_board(*(result(make_row(record.row), record) for record in records))


# Curves


def val(iteration: int, map50: float | None, **more: Any) -> dict[str, Any]:
    return {"kind": "val", "iter": iteration, "epoch": iteration / 10, "mAP50": map50, **more}


def train(iteration: int, loss: float | None) -> dict[str, Any]:
    return {"kind": "train", "iter": iteration, "epoch": iteration / 10, "loss": loss, "lr": 0.1}


def write_journal(results: Path, record: RunRecord, *points: dict[str, Any] | str) -> None:
    lines = [point if isinstance(point, str) else json.dumps(point) for point in points]
    folder_of(results, record).metrics_file.write_text("\n".join(lines))


def test_a_curve_has_every_validation_and_the_losses(tmp_path: Path) -> None:
    record = make_record(seed=0)
    start = {"kind": "start", "iter": 0, "max_iters": 20}
    points = (start, train(5, 2.5), train(10, None), val(10, 1 / 3, mAP=0.1), val(20, None))
    write_journal(tmp_path, record, *points)
    assert curves(board_of(record), tmp_path) == (
        {
            record.run_id: {
                "row": "r50",
                "seed": 0,
                "val": {"epoch": [1.0, 2.0], "mAP50": [0.333333, None], "mAP": [0.1, None]},
                "train": {"epoch": [0.5, 1.0], "loss": [2.5, None]},
            }
        },
        0,
    )


def test_of_an_iteration_that_was_trained_twice_the_later_line_counts(tmp_path: Path) -> None:
    record = make_record()
    points = (train(1, 9.0), val(1, 0.9), train(2, 8.0), train(1, 1.0), val(1, 0.1), train(2, 2.0))
    write_journal(tmp_path, record, *points)
    [curve] = curves(board_of(record), tmp_path)[0].values()
    assert curve["train"]["loss"] == [1.0, 2.0]
    assert curve["val"]["mAP50"] == [0.1]


def test_a_long_training_is_thinned_and_its_validations_are_not(tmp_path: Path) -> None:
    record = make_record()
    steps = [train(i, float(i)) for i in range(1, 1001)]
    write_journal(tmp_path, record, *steps, *(val(i, i / 1000) for i in range(5, 1001, 5)))
    [curve] = curves(board_of(record), tmp_path)[0].values()
    losses = curve["train"]["loss"]
    assert (len(losses), losses[0], losses[-1]) == (100, 1.0, 1000.0)
    assert {round(after - before) for before, after in pairwise(losses)} == {10, 11}
    assert curve["val"]["mAP50"] == [i / 1000 for i in range(5, 1001, 5)]


def test_a_line_that_a_kill_has_cut_is_left_out(tmp_path: Path) -> None:
    record = failed("r50")
    write_journal(tmp_path, record, train(1, 2.0), '{"kind": "train", "iter": 2, "lo')
    [curve] = curves(board_of(record), tmp_path)[0].values()
    assert curve["train"]["loss"] == [2.0]
    assert curve["val"]["epoch"] == []


def test_runs_without_a_journal_or_a_folder_have_no_curve(tmp_path: Path) -> None:
    empty, gone = make_record("empty"), make_record("gone")
    write_journal(tmp_path, empty)
    rows = [result(make_row(r.row), r) for r in (empty, gone)]
    board = make_board(*rows, result(make_row("waiting"), State.WAITING))
    assert curves(board, tmp_path) == ({}, 0)


def test_beyond_the_limit_the_best_rows_are_shown(tmp_path: Path) -> None:
    rows = (failed("failed"), make_record("b", map50=0.2), make_record("a", map50=0.0))
    for record in rows:
        write_journal(tmp_path, record, val(1, 0.5))
    shown, left_out = curves(board_of(*rows), tmp_path, limit=2)
    assert [curve["row"] for curve in shown.values()] == ["b", "a"]
    assert left_out == 1


# Costs


def costly(name: str, map50: float, seconds: float, **more: Any) -> RunRecord:
    return make_record(name, map50=map50, train_seconds=seconds, **more)


def test_rows_of_a_cost_are_cheapest_first_and_of_equal_ones_the_best() -> None:
    rows = (costly("b", 0.2, 9.0), costly("dear", 0.3, 10.0), costly("a", 0.4, 9.0), failed("f"))
    found = priced(board_of(*rows).ranked, "train_seconds")
    assert [row.line.row for row in found] == ["a", "b", "dear"]
    assert [row.line.row for row in front(found)] == ["a"]


def test_the_front_is_what_nothing_beats_and_of_equal_rows_all() -> None:
    rows = (
        *(costly("a", 0.2, 1.0), costly("twin", 0.2, 1.0), costly("worse", 0.1, 2.0)),
        *(costly("b", 0.3, 3.0), costly("as_good", 0.3, 4.0)),
    )
    found = priced(board_of(*rows).ranked, "train_seconds")
    assert [row.line.row for row in front(found)] == ["a", "twin", "b"]


def test_a_difference_beyond_the_sixth_digit_is_no_difference() -> None:
    rows = (costly("a", 0.2, 1.0), costly("twin", 0.2 + 1e-9, 1.0 + 1e-9))
    found = priced(board_of(*rows).ranked, "train_seconds")
    assert {row.line.row for row in front(found)} == {"a", "twin"}


def test_an_axis_comes_with_its_units_formats_and_rows() -> None:
    board = board_of(costly("a", 0.4, 9000.0), failed("f"), costly("b", 0.2, 8.0, params=None))
    found = {axis["key"]: axis for axis in axes(board)}
    assert list(found) == ["params", "flops", "latency_ms", "peak_memory_gib", "train_seconds"]
    assert found["params"] == {
        "key": "params",
        "title": "Parameters",
        "of_device": False,
        "up_to": "",
        "units": [{"name": "million", "divide": 1e6, "least": 0}],
        "tick": ",~f",
        "value": ".4~r",
        "rows": [[0, 36_350_000, 0.4]],
    }
    assert found["flops"]["rows"] == []
    assert found["train_seconds"]["rows"] == [[2, 8.0, 0.2], [0, 9000.0, 0.4]]
    assert [unit["name"] for unit in found["train_seconds"]["units"]] == ["s", "minutes", "hours"]
    assert found["train_seconds"]["of_device"] is True


def test_the_bars_scale_holds_what_is_drawn_and_no_more() -> None:
    board = board_of(make_record(map50=0.314), failed("f"))
    assert bars(board) == {"low": 0.31, "top": 0.46, "text": "0.31 to 0.46"}  # published: 0.4527
    smoke = make_board(result(make_row(), make_record(map50=0.3, profile="smoke")), profile="smoke")
    assert bars(smoke) == {"low": 0.3, "top": 0.31, "text": "0.30 to 0.31"}
    waiting = make_board(result(make_row(published=None), State.WAITING))
    assert bars(waiting)["text"] == "0.00 to 1.00"


# Dashes


def test_every_dash_that_needs_a_reason_has_one() -> None:
    why = {"latency_ms": "no clock"}
    rows = (result(make_row("r50"), make_record(missing=why)), result(make_row("f"), failed("f")))
    done, broken = (told_reasons(make_board(*rows), line) for line in make_board(*rows).rows)
    assert (done["latency_ms"], done["latency_p95_ms"]) == ("no clock", "no clock")
    assert done["flops"] == "not measured when the run was made"
    assert "map50" not in done and "published_inside" not in done
    assert broken["map50"] == broken["latency_ms"] == "No complete run yet (failed)."
    unpublished = make_board(result(make_row("f", published=None), failed("f")))
    assert "leaderboard_map50" not in told_reasons(unpublished, unpublished.rows[0])
    assert "device" not in broken and "rank" not in broken  # no numbers


def test_values_that_compare_with_published_ones_are_dashes_under_another_profile() -> None:
    smoke = make_board(result(make_row(), make_record(profile="smoke")), profile="smoke")
    told = told_reasons(smoke, smoke.rows[0])
    why = "Not compared with published values under the smoke profile."
    assert told["difference"] == told["published_inside"] == why


# Configs


def config(depth: int = 50, **more: Any) -> dict[str, Any]:
    backbone = {"type": "ResNet", "depth": depth, "norm_cfg": {}, "out_indices": (0, 1)}
    return {
        "model": {"backbone": backbone, "name": ""},
        "param_scheduler": [{"type": "LinearLR"}, {"type": "MultiStepLR", "milestones": [8, 11]}],
        "train_dataloader": {
            "num_workers": 2,
            "dataset": {"data_root": "/home/me", "ann_file": None, "ann": None},
        },
        "work_dir": "/home/me/runs",
        "randomness": {"seed": 1},
        **more,
    }


COMMON = {
    "model.backbone.depth": "50",
    "model.backbone.norm_cfg": "{}",
    "model.backbone.out_indices": "[0, 1]",
    "model.backbone.type": "ResNet",
    "model.name": "''",
    "param_scheduler.0.type": "LinearLR",
    "param_scheduler.1.milestones": "[8, 11]",
    "param_scheduler.1.type": "MultiStepLR",
    "train_dataloader.dataset.ann": "None",
}


def test_what_most_rows_have_is_common_and_the_rest_is_a_rows_own() -> None:
    one_step = {"param_scheduler": [{"type": "MultiStepLR", "milestones": [8, 11]}]}
    rows = {"a": config(), "b": config(101, extra=True), "c": config(**one_step)}
    assert configs(rows) == {
        "common": COMMON,
        "rows": {
            "a": {},
            "b": {"extra": "True", "model.backbone.depth": "101"},
            "c": {
                "param_scheduler.0.milestones": "[8, 11]",
                "param_scheduler.0.type": "MultiStepLR",
                "param_scheduler.1.milestones": None,
                "param_scheduler.1.type": None,
            },
        },
    }


def test_what_a_row_lacks_altogether_is_none() -> None:
    rows = {"a": config(), "b": config(), "c": {"model": {}}}
    own = configs(rows)["rows"]["c"]
    assert own == {"model": "{}", **dict.fromkeys(COMMON)}


def test_of_values_that_are_equally_frequent_the_first_rows_is_common() -> None:
    found = configs({"b": config(101), "a": config(50)})
    assert found["common"]["model.backbone.depth"] == "101"
    assert found["rows"] == {"b": {}, "a": {"model.backbone.depth": "50"}}
    assert configs({}) == {"common": {}, "rows": {}}


# Gallery

TRUTH = [{"label": "Paper", "xyxy": [1.0, 2.0, 30.0, 40.04]}]
FOUND = [{"label": "Metal", "xyxy": [1.26, 2.0, 30.0, 40.0], "score": 0.123456}]


def sample(file: str, predictions: list[dict[str, Any]] = FOUND) -> dict[str, Any]:
    return {"file": file, "truth": TRUTH, "predictions": predictions}


def sampled(results: Path, name: str, seed: int = 0, *samples: dict[str, Any]) -> RunRecord:
    """A complete run whose validation images lie in ``<results>/images``."""
    record = make_record(name, seed)
    folder = folder_of(results, record)
    val = replace(DATA.val, images=results / "images")
    folder.write_spec(replace(folder.read_spec(), dataset=replace(DATA, val=val)))
    if samples:
        folder.samples_file.write_text(json.dumps(samples))
    return record


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def decoded(source: str) -> Image.Image:
    kind, data = source.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_gallery_has_small_pictures_and_every_rows_boxes(tmp_path: Path, images: Path) -> None:
    Image.new("RGB", (1000, 600), "red").save(images / "a.jpg")
    Image.new("L", (50, 60)).save(images / "b.png")
    first = sampled(tmp_path, "r50", 0, sample("a.jpg"), sample("b.png", []))
    other = sampled(tmp_path, "x101", 0, sample("b.png"))
    found = gallery(board_of(first, other), Runs(tmp_path))
    truth = [{"label": "Paper", "xyxy": [1.0, 2.0, 30.0, 40.0]}]
    about = [(i["file"], i["width"], i["height"], i["truth"]) for i in found["images"]]
    assert about == [("a.jpg", 1000, 600, truth), ("b.png", 50, 60, truth)]
    assert [decoded(image["src"]).size for image in found["images"]] == [(480, 288), (50, 60)]
    red, green, blue = np.asarray(decoded(found["images"][0]["src"]))[100, 200]
    assert (red > 240, green < 15, blue < 15) == (True, True, True)
    box = {"label": "Metal", "xyxy": [1.3, 2.0, 30.0, 40.0], "score": 0.1235}
    assert found["predictions"] == {"r50": [[box], []], "x101": [[], [box]]}
    assert found["seed"] == {"r50": 0, "x101": 0}
    assert found["missing"] is None


def test_a_picture_is_turned_as_its_exif_data_says(tmp_path: Path, images: Path) -> None:
    lying = Image.new("RGB", (2000, 1000), "blue")
    lying.paste("red", (0, 0, 1000, 1000))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right: the left half becomes the upper one
    lying.save(images / "a.jpg", exif=exif)
    [image] = gallery(board_of(sampled(tmp_path, "r50", 0, sample("a.jpg"))), Runs(tmp_path))[
        "images"
    ]
    assert (image["width"], image["height"]) == (1000, 2000)
    upright = decoded(image["src"])
    assert upright.size == (240, 480)
    pixels = np.asarray(upright)
    above, below = pixels[60, 120], pixels[420, 120]
    assert (above[0] > 200, below[2] > 200) == (True, True)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_a_scan_is_no_decompression_bomb(
    tmp_path: Path, images: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (3000, 1500), "white").convert(mode).save(images / "scan.tif")
    record = sampled(tmp_path, "r50", 0, sample("scan.tif"))
    with monkeypatch.context() as limited:
        limited.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        limited.setattr(gallery_module, "_LARGE_PIXELS", 1000)
        [image] = gallery(board_of(record), Runs(tmp_path))["images"]
        assert Image.MAX_IMAGE_PIXELS == 1000
    assert (image["width"], image["height"]) == (3000, 1500)
    shown = decoded(image["src"])
    assert shown.size == (480, 240)
    assert np.asarray(shown).min() > 240


def test_pictures_that_cannot_be_read_are_left_out(tmp_path: Path, images: Path) -> None:
    Image.new("RGB", (10, 10)).save(images / "good.png")
    (images / "broken.png").write_bytes((images / "good.png").read_bytes()[:40])
    (images / "text.png").write_text("no picture")
    names = ("gone.png", "broken.png", "text.png", "good.png")
    record = sampled(tmp_path, "r50", 0, *(sample(name) for name in names))
    found = gallery(board_of(record), Runs(tmp_path))
    assert [image["file"] for image in found["images"]] == ["good.png"]
    assert len(found["predictions"]["r50"]) == 1


def test_the_first_complete_run_that_has_samples_is_shown(tmp_path: Path, images: Path) -> None:
    Image.new("RGB", (10, 10)).save(images / "a.png")
    older, newer = sampled(tmp_path, "r50", 0), sampled(tmp_path, "r50", 1, sample("a.png"))
    found = gallery(make_board(result(make_row(), older, newer)), Runs(tmp_path))
    assert found["seed"] == {"r50": 1}


def test_a_gallery_that_is_missing_says_why(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"images": [], "predictions": {}, "seed": {}}
    lost = make_board(result(make_row(), failed("r50")))
    assert gallery(lost, Runs(tmp_path)) == {**nothing, "missing": "No row is complete."}
    older = board_of(sampled(tmp_path, "old"))
    why = "The complete runs have no samples.json."
    assert gallery(older, Runs(tmp_path)) == {**nothing, "missing": why}
    moved = board_of(sampled(tmp_path, "r50", 0, sample("a.png")))
    why = "The validation images are not where the runs found them, in their folder of images."
    assert gallery(moved, Runs(tmp_path)) == {**nothing, "missing": why}


def test_at_most_a_hundred_rows_and_eight_pictures_are_in_it(tmp_path: Path, images: Path) -> None:
    names = [f"{i}.png" for i in range(9)]
    for name in names:
        Image.new("RGB", (10, 10)).save(images / name)
    records = [sampled(tmp_path, f"row{i}", 0, *map(sample, names)) for i in range(101)]
    found = gallery(board_of(*records), Runs(tmp_path))
    assert [image["file"] for image in found["images"]] == names[:8]
    assert list(found["predictions"]) == [f"row{i}" for i in range(100)]
    assert {len(boxes) for boxes in found["predictions"].values()} == {8}


# All of it


def test_the_payload_is_plain_json_without_this_machines_paths(
    tmp_path: Path, images: Path
) -> None:
    Image.new("RGB", (10, 10)).save(images / "a.png")
    record = sampled(tmp_path, "r50", 0, sample("a.png"))
    write = RunFolder(tmp_path / "runs" / record.run_id).metrics_file.write_text
    write(json.dumps(val(1, 0.5)))
    board = board_of(record, failed("x101"))
    rows = {"r50": config(data_root=str(tmp_path)), "x101": config(work_dir=str(tmp_path))}
    found = payload(Material(board, Runs(tmp_path), rows))
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert str(tmp_path) not in text
    assert "/home/me" not in text
    assert found["leaderboard"] == json.loads(board.text())
    assert [row["map50"] for row in found["texts"]] == ["0.5000", "—"]
    assert all(set(row) == {c.key for c in board.columns} for row in found["texts"])
    assert found["curves"][record.run_id]["val"]["mAP50"] == [0.5]
    assert found["curves_left_out"] == 0
    assert found["reasons"][0]["flops"] == "not measured when the run was made"
    assert found["reasons"][1]["map50"] == "No complete run yet (failed)."
    assert found["run_texts"] == {record.run_id: "0.5000"}
    assert found["configs"]["common"] == COMMON
    assert len(found["gallery"]["images"]) == 1
