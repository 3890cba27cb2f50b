"""What holds for every tracker, and how one of a user's own is added."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toy_tracker
from boards import make_board, make_record, make_row, result
from command import Bench, run, variant
from PIL import Image

from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking, load_experiment
from benchmark.leaderboard.track_leaderboard import track_leaderboard
from benchmark.run.record import State, Tracked
from benchmark.run.samples import Box, ImageSample
from benchmark.tracking import TRACKERS, tracker_class
from benchmark.tracking.base import Subject, Table, Tracker
from benchmark.tracking.guarded import Guarded

pytestmark = pytest.mark.usefixtures("clean_wandb", "toy")

TOY = Path(toy_tracker.__file__)
STEPS = {"iter": 4, "epoch": 1}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "toy", "toy_tracker:Toy")


def opened(name: str, folder: Path) -> Tracker:
    tracker = tracker_class(name).open(subject(folder), Tracking(name=name, mode="offline"))
    assert tracker is not None
    return tracker


def subject(folder: Path) -> Subject:
    tags = ("full", "long " * 20)
    return Subject("run", "a-s0-1", "a seed 0", "board", tags, {"lr": 0.1}, folder, ("Paper",))


def sample(folder: Path) -> ImageSample:
    Image.new("RGB", (8, 6)).save(folder / "a.png")
    box = Box("Paper", (1, 2, 3, 4))
    return ImageSample("a.png", folder / "a.png", [box], [Box("Paper", (1, 2, 3, 5), 0.5)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", [*TRACKERS, "toy"])
class TestEveryTracker:
    def test_takes_a_run(self, name: str, folder: Path, tmp_path: Path) -> None:
        tracker = opened(name, folder)
        tracker.log({"train/loss": 0.5}, STEPS)
        tracker.log({"val/mAP50": 0.25}, {"iter": 2})  # as after a resume
        tracker.images("val/images", [sample(tmp_path)], STEPS)
        tracker.finish({"state": "complete", "metrics": {"mAP50": 0.25}}, State.COMPLETE)
        assert list(folder.iterdir())

    def test_takes_tables_and_pictures(self, name: str, folder: Path, tmp_path: Path) -> None:
        table = Table(("row", "map50"), (False, True), [("a", None), ("b", 0.5)])
        tracker = opened(name, folder)
        tracker.log({"study/trials": table, "study/plot": sample(tmp_path).path}, {})
        tracker.finish({"best": None}, None)
        assert list(folder.iterdir())

    def test_goes_on_after_an_interruption(self, name: str, folder: Path) -> None:
        for _ in range(2):
            tracker = opened(name, folder)
            tracker.log({"train/loss": 0.5}, STEPS)
            tracker.abandon()
        last = opened(name, folder)
        last.finish({}, State.FAILED)

    def test_says_where_it_is(self, name: str, folder: Path) -> None:
        kind = tracker_class(name)
        assert kind.title and kind.reach()
        tracker = opened(name, folder)
        assert tracker.mode in ("online", "offline")
        assert tracker.url is None or tracker.mode == "online"
        assert not tracker.gone() and isinstance(tracker.rest(), str)
        tracker.abandon()

    def test_is_guarded(self, name: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        guarded = Guarded(subject(folder), Tracking(name=name, mode="offline"))
        guarded.do(lambda tracker: tracker.log({"train/loss": 0.5}, STEPS))
        assert (guarded.tracked.name, guarded.tracked.mode != "off") == (name, True)
        guarded.finish(lambda: {"params": 1}, State.PRUNED)
        assert capfd.readouterr().err == ""

    def test_switched_off_it_leaves_nothing(self, name: str, folder: Path) -> None:
        guarded = Guarded(subject(folder), Tracking(name=name, mode="off"))
        guarded.do(lambda _: pytest.fail("called"))
        assert guarded.tracked == Tracked(name, "off")
        guarded.finish(lambda: {})
        assert list(folder.iterdir()) == []

    def test_its_module_imports_nothing_heavy(self, name: str) -> None:
        # What it imports is in `modules`, which only a job that is tracked loads.
        script = (
            "import sys; from benchmark.tracking import TRACKERS, tracker_class\n"
            "TRACKERS['toy'] = 'toy_tracker:Toy'; before = set(sys.modules)\n"
            f"kind = tracker_class({name!r})\n"
            "print(sorted(set(kind.modules) & (set(sys.modules) - before)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=TOY.parent, capture_output=True, text=True
        )
        assert done.stdout.strip() == "[]", done.stderr


def experiment(folder: Path, name: str) -> Path:
    """One row, one epoch, tracked by a tracker of the test's own."""

    def change(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "set": {"train_cfg.max_epochs": 1}}]
        content["tracking"] = {"name": name, "images": 2}

    return variant(folder, change)


def sweep(data: Path, folder: Path, name: str) -> tuple[Bench, str]:
    bench = Bench(data, folder / "results", experiment(folder, name))
    interpreter, _, _, *arguments = bench.arguments("sweep")
    done = run([interpreter, str(TOY), *arguments])
    assert done.returncode == 0, done.stdout + done.stderr
    return bench, done.stderr


def calls(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / "toy.jsonl").read_text().splitlines()
    return [call for line in lines if (call := json.loads(line))["call"] == name]


@pytest.fixture(scope="module")
def swept(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return sweep(synthetic_data, tmp_path_factory.mktemp("toy"), "toy")[0]


@pytest.mark.trains
@pytest.mark.trains
def test_a_tracker_of_ones_own_sees_a_run(swept: Bench) -> None:
    bench, folder, record = swept, swept.folder("plain"), swept.record("plain")
    address = f"https://toy.example/{folder.name}"
    assert record["tracking"] == {"name": "toy", "mode": "online", "url": address}
    [open_call] = calls(folder, "open")
    assert (open_call["kind"], open_call["id"]) == ("run", folder.name)
    assert (open_call["group"], open_call["mode"]) == ("tiny", "auto")
    logged = calls(folder, "log")
    train, val = (bench.points("plain", kind) for kind in ("train", "val"))
    losses = [call["values"]["train/loss"] for call in logged if "train/loss" in call["values"]]
    assert losses == [point["loss"] for point in train] and losses
    assert logged[-1]["values"]["val/mAP50"] == val[-1]["mAP50"]
    assert logged[-1]["steps"] == {"iter": val[-1]["iter"], "epoch": val[-1]["epoch"]}
    [images] = calls(folder, "images")
    assert (images["name"], len(images["boxes"])) == ("val/images", 2)
    [finish] = calls(folder, "finish")
    assert finish["state"] == finish["summary"]["state"] == "complete"
    assert finish["summary"]["metrics"] == record["metrics"]
    assert not (folder / "wandb").exists()


@pytest.mark.trains
@pytest.mark.trains
def test_a_tracker_of_ones_own_sees_the_leaderboard(swept: Bench) -> None:
    bench, record = swept, swept.record("plain")
    [board] = calls(bench.results, "open")
    assert (board["kind"], board["id"]) == ("leaderboard", "leaderboard-tiny-tiny")
    [shown] = calls(bench.results, "log")
    [row] = shown["values"]["leaderboard/table"]
    assert (row["row"], row["map50"]) == ("plain", record["metrics"]["mAP50"])
    assert shown["values"]["leaderboard/tiny-pareto"] == "tiny-pareto.png"
    [end] = calls(bench.results, "finish")
    assert (end["summary"]["rows_complete"], end["state"]) == (1, None)
    assert f"[run]({record['tracking']['url']})" in (bench.results / "tiny.md").read_text()


@pytest.mark.trains
@pytest.mark.trains
def test_a_tracker_that_always_fails_costs_a_line(synthetic_data: Path, tmp_path: Path) -> None:
    bench, errors = sweep(synthetic_data, tmp_path, "broken")
    record = bench.record("plain")
    assert record["state"] == "complete" and record["tracking"]["name"] == "broken"
    log = (bench.folder("plain") / "log.txt").read_text()
    assert [line for line in log.splitlines() if "broken" in line.lower()] == [
        "Broken: OSError: log is broken (the run goes on; further failures are silent)"
    ]
    assert errors.count("further failures are silent") == 1  # of the leaderboard
    assert "| plain |" in (bench.results / "tiny.md").read_text()


def test_a_tracker_that_does_not_open_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TRACKERS, "shut", "toy_tracker:Shut")
    board = make_board(result(make_row(), make_record()))
    track_leaderboard(board, tmp_path, Tracking(name="shut"))
    line = "Shut: SystemExit: it is shut (the run goes on; further failures are silent)\n"
    assert capfd.readouterr().err == line


def test_the_file_names_the_tracker(tmp_path: Path, synthetic_data: Path) -> None:
    assert load_experiment(experiment(tmp_path, "toy")).tracking == Tracking(name="toy", images=2)
    with pytest.raises(UserError, match=r"no tracker is called 'toi'; allowed: .*toy"):
        tracker_class("toi")
    planned = Bench(synthetic_data, tmp_path / "results", tmp_path / "tiny.yaml").run("plan")
    assert planned.returncode == 2
    assert "error: tracking: no tracker is called 'toy'; allowed: wandb" in planned.stderr
