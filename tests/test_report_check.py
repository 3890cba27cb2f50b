"""``detboard report`` and ``--check``, over run folders as jobs leave them."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import make_record
from desk import Desk, make_desk
from PIL import Image

from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.leaderboard import track_leaderboard
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.sweep.closing import close


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    """A desk with its report; tests work on a copy."""
    made = make_desk(tmp_path_factory.mktemp("desk") / "project", synthetic_data)
    status, output = made.report()
    assert status == 0, output
    return made


@pytest.fixture
def desk(reported: Desk, tmp_path: Path) -> Desk:
    return Desk(shutil.copytree(reported.folder, tmp_path / "project"), reported.data)


def test_everything_is_written_and_then_right(desk: Desk) -> None:
    names = {path.name for path in desk.results.glob("tiny*")}
    assert {"tiny.md", "tiny.csv", "tiny.json", "tiny.html", "tiny-intervals.svg"} <= names
    assert "| Rank | Model     |" in (desk.folder / "README.md").read_text()
    status, output = desk.report("--check")
    assert (status, "up to date" in output) == (0, True), output


@pytest.mark.parametrize("name", ["tiny.md", "tiny.csv", "tiny.json", "tiny.html", "../README.md"])
def test_a_number_that_was_edited_is_shown(desk: Desk, name: str) -> None:
    path = (desk.results / name).resolve()
    right = path.read_text(encoding="utf-8")
    digits = "0.4000" if "0.4000" in right else "0.4"
    path.write_text(right.replace(digits, "0.9999", 1), encoding="utf-8")
    status, output = desk.report("--check")
    assert status == 1
    removed = [line for line in output.splitlines() if line.startswith("-") and "0.9999" in line]
    assert removed and f"/{path.name}\n" in output[output.index("differs ") :]
    assert path.read_text(encoding="utf-8") != right
    assert desk.report()[0] == 0
    assert path.read_text(encoding="utf-8") == right


def test_a_plot_of_other_numbers_is_noticed(desk: Desk) -> None:
    plot = desk.results / "tiny-intervals.png"
    kept = plot.read_bytes()
    desk.change(lambda content: content["rows"].pop())
    desk.report()
    assert plot.read_bytes() != kept
    plot.write_bytes(kept)
    status, output = desk.report("--check")
    assert status == 1
    assert "tiny-intervals.png: shows other numbers than the records" in output
    plot.write_bytes(b"junk")
    assert "tiny-intervals.png: does not say which numbers it shows" in desk.report("--check")[1]
    plot.unlink()
    assert "tiny-intervals.png: is missing" in desk.report("--check")[1]


def changed_row(content: dict[str, Any]) -> None:
    content["rows"][0].setdefault("set", {})["optim_wrapper.optimizer.lr"] = 0.0123


@pytest.mark.slow
def test_a_run_of_another_config_is_stale_until_its_row_is_run_again(desk: Desk) -> None:
    (old,) = (path.name for path in desk.results.glob("runs/plain-s0-*"))
    desk.change(changed_row)
    status, output = desk.report("--check")
    assert status == 1
    assert f"stale: row plain, seed 0: runs/{old} was made with another config" in output
    desk.report()
    assert "waiting (stale)" in (desk.results / "tiny.md").read_text()
    assert desk.report("--check")[0] == 1
    desk.run_all()
    desk.report()
    status, output = desk.report("--check")
    assert status == 0, output


def test_a_row_that_lost_an_override_is_stale_too(desk: Desk) -> None:
    desk.change(changed_row)
    desk.run_all()
    desk.report()
    shutil.rmtree(next(desk.results.glob("runs/momentum-s0-*")))
    for path in desk.results.glob("runs/plain-s0-*"):
        if "0.0123" not in (path / "config.py").read_text():
            shutil.rmtree(path)
    desk.change(lambda content: content["rows"][0].pop("set"))
    status, output = desk.report("--check")
    assert status == 1
    assert "stale: row plain, seed 0" in output


@pytest.fixture
def clone(desk: Desk) -> Desk:
    """What version control keeps: everything but the run folders and the page."""
    shutil.rmtree(desk.results / "runs")
    (desk.results / "tiny.html").unlink()
    return desk


def test_a_fresh_clone_is_checked_against_the_json_file(clone: Desk) -> None:
    status, output = clone.report("--check")
    assert status == 0, output
    assert "the page and the plots need the run folders" in output
    readme = clone.folder / "README.md"
    readme.write_text(readme.read_text().replace("0.4000", "0.5000"))
    status, output = clone.report("--check")
    assert (status, "differs" in output) == (1, True)


def test_a_fresh_clone_sees_a_row_that_changed(clone: Desk) -> None:
    clone.change(changed_row)
    status, output = clone.report("--check")
    assert status == 1
    assert "stale: row plain, seed 0: plain-s0-tiny-" in output


def test_a_fresh_clone_sees_labels_and_rows_that_changed(clone: Desk) -> None:
    def change(content: dict[str, Any]) -> None:
        content["title"] = "Another"
        content["rows"][0]["labels"] = {"Model": "Mine"}
        content["rows"][0]["published"] = 0.25
        content["rows"][1]["name"] = "renamed"

    clone.change(change)
    status, output = clone.report("--check")
    assert status == 1
    assert "title: 'Another'" in output
    assert "row plain: Model is Mine" in output
    assert "row plain: Leaderboard mAP50 is 0.25" in output
    assert "row renamed: not in" in output
    assert "row momentum of" in output


@pytest.mark.parametrize(
    "options", [["--profile", "smoke"], ["--seeds", "7"], ["--set", "model.x=1"]]
)
def test_a_fresh_clone_s_numbers_are_not_lost_to_other_options(
    clone: Desk, options: list[str]
) -> None:
    kept = (clone.results / "tiny.json").read_text()
    with pytest.raises(UserError, match=rf"fits {options[0]} .*tiny\.json is of another setting"):
        clone.report(*options)
    assert (clone.results / "tiny.json").read_text() == kept


def test_options_that_name_what_is_kept_are_fine(clone: Desk) -> None:
    options = ["--profile", "tiny", "--seeds", "0", "--data-root", str(clone.data)]
    status, output = clone.report("--check", *options)
    assert status == 0, output


def test_folders_without_records_are_not_covered_up_by_the_file(desk: Desk) -> None:
    for path in desk.results.glob("runs/*/record.json"):
        path.unlink()
    status, output = desk.report("--check", "--data-root", str(desk.data))
    assert (status, "differs" in output) == (1, True)


def seeds_shown(desk: Desk) -> list[int]:
    return list(read_leaderboard(desk.results / "tiny.json").seeds)


@pytest.mark.parametrize("seeds", [(0,), (2, 0, 1), (1,)])
def test_a_sweep_writes_what_a_report_would(desk: Desk, seeds: tuple[int, ...]) -> None:
    """Whichever seeds it was asked for, in whatever order: every seed that was started is shown."""
    desk.change(lambda content: content.update(seeds=[2, 1]))
    desk.run_all()
    request = Request(desk.experiment, desk.results, data_root=desk.data, seeds=seeds)
    made = make_plan(request)
    close(made, made, request, Tracking(mode="off"), ran=True)
    assert seeds_shown(desk) == [0, 1, 2]
    status, output = desk.report("--check")
    assert status == 0, output


def test_what_is_edited_while_a_sweep_tracks_its_leaderboard_is_mended_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    table, made = desk.results / "tiny.md", make_plan(request)
    right = table.read_text()

    def edit(*_: object) -> None:
        table.write_text(right.replace("plain", "plane"))

    monkeypatch.setattr(track_leaderboard, "track_leaderboard", edit)
    close(made, made, request, Tracking(mode="off"), ran=True)
    assert table.read_text() != right
    close(made, made, request, Tracking(mode="off"), ran=False)
    assert table.read_text() == right


def test_a_seed_that_was_lost_everywhere_is_not_hidden(desk: Desk) -> None:
    desk.change(lambda content: content.update(seeds=[1]))
    desk.run_all()
    for path in desk.results.glob("runs/*-s1-*/record.json"):
        path.unlink()
    desk.report()
    assert seeds_shown(desk) == [0, 1]
    assert "1 of 2 seeds" in (desk.results / "tiny.md").read_text()


def test_a_trial_with_set_leaves_the_leaderboard_alone(desk: Desk) -> None:
    request = Request(
        desk.experiment,
        desk.results,
        data_root=desk.data,
        overrides={"optim_wrapper.optimizer.lr": 0.5},
    )
    made = make_plan(request)
    for run in made.runs:
        prepare(run)
        record = make_record(run.spec.row, 0, 0.9, run_id=run.spec.run_id, profile="tiny")
        run.folder.write_record(record)
    close(make_plan(request), make_plan(request), request, Tracking(mode="off"), ran=True)
    status, output = desk.report("--check")
    assert status == 0, output
    status, output = desk.report("--check", "--set", "optim_wrapper.optimizer.lr=0.5")
    assert (status, "differs" in output) == (1, True)
    # Nor is it a run of a row that was changed since.
    for path in desk.results.glob("runs/plain-s0-*"):
        if "lr=0.5" not in (path / "config.py").read_text():
            shutil.rmtree(path)
    desk.report()
    _, output = desk.report("--check")
    assert "stale" not in output


def damaged(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"kind": "val", "mAP50": NaN, "epoch": null}\n')


def odd_samples(folder: Path) -> None:
    (folder / "samples.json").write_text("[1, null]")


def odd_photograph(folder: Path) -> None:
    """EXIF data that Pillow cannot write again: an orientation, and a width in letters."""
    width = struct.pack("<HHI4s", 0x0100, 2, 4, b"abc\0")
    lying = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + width + lying + struct.pack("<I", 0)
    images = folder / "images"
    images.mkdir()
    Image.new("RGB", (40, 30)).save(images / "a.jpg", exif=exif)
    spec = json.loads((folder / "spec.json").read_text())
    spec["dataset"]["val"]["images"] = str(images)
    (folder / "spec.json").write_text(json.dumps(spec))
    sample = {"file": "a.jpg", "truth": [], "predictions": []}
    (folder / "samples.json").write_text(json.dumps([sample]))


@pytest.mark.parametrize("how", [damaged, odd_samples, odd_photograph])
def test_what_the_page_cannot_show_costs_the_page_at_most(
    desk: Desk, how: Callable[[Path], None]
) -> None:
    how(next(desk.results.glob("runs/plain-s0-*")))
    before = (desk.results / "tiny.md").read_text()
    (desk.results / "tiny.md").unlink()
    status, output = desk.report()
    assert status == 0, output
    assert (desk.results / "tiny.md").read_text() == before


def test_a_page_that_cannot_be_made_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_content: object) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr("benchmark.leaderboard.outputs.page.render.render", broken)
    (desk.results / "tiny.csv").unlink()
    status, output = desk.report()
    assert status == 1
    assert "tiny.html: cannot be made: RuntimeError: no ink" in output
    assert (desk.results / "tiny.csv").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "complete"}'])
def test_a_damaged_record_is_named_and_the_rest_is_shown(desk: Desk, content: str) -> None:
    (path,) = desk.results.glob("runs/plain-s0-*/record.json")
    path.write_text(content)
    foreign = desk.results / "runs" / "foreign"
    foreign.mkdir()
    (foreign / "spec.json").write_text("{}")
    status, output = desk.report()
    assert status == 0
    assert "record.json: damaged, or not of this program" in output
    assert "damaged" in (desk.results / "tiny.md").read_text()
    path.unlink()
    _, output = desk.report()
    assert "foreign/spec.json: damaged, or not of this program" in output
    assert "waiting" in (desk.results / "tiny.md").read_text()
