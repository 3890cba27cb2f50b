"""Rows of which the run ids are known: the plan is the same as if each were composed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from desk import Desk, make_desk

from benchmark.config.shipped import SHIPPED
from benchmark.data.synthesize import synthesize
from benchmark.errors import UserError
from benchmark.experiment.experiment import Row
from benchmark.run import kept_file, known_rows, plan, row_runs
from benchmark.run.known_runs import Later
from benchmark.run.plan import Request, make_plan
from benchmark.run.runs import Runs

PARTS = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "mstrain_3x"}


def whole(content: dict[str, object]) -> None:
    """Rows of shipped parts and of parts of one's own, at full size."""
    rates = {"set": {"optim_wrapper.optimizer.lr": 0.005}}
    content["profile"] = "full"
    content["rows"] = [
        {"name": "plain", "parts": PARTS},
        {"name": "slow", "parts": PARTS, **rates},
        {"name": "own", "parts": {**PARTS, "neck": "mine"}},
    ]


def give_parts(folder: Path) -> None:
    shipped = SHIPPED / "necks" / "fpn.py"
    (folder / "configs" / "necks").mkdir(parents=True, exist_ok=True)
    shutil.copy(shipped, folder / "configs" / "necks" / "mine.py")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("swept")
    data = synthesize(folder / "data", train=4, val=4, size=64)
    made = make_desk(folder / "project", data, run=False)
    made.change(whole)
    give_parts(made.folder)
    made.run_all()
    return made


@pytest.fixture
def desk(swept: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk of which the rows are known, however few and however new they are."""
    monkeypatch.setattr(known_rows, "_WORTH", 1)
    monkeypatch.setattr(kept_file, "TICK_NS", -(10**18))
    made = Desk(shutil.copytree(swept.folder, tmp_path / "project"), swept.data)
    planned(made)
    assert len(planned(made)) == 3
    return made


def planned(desk: Desk) -> object:
    on_disk = Runs(desk.results)
    try:
        made = make_plan(Request(desk.experiment, desk.results, data_root=desk.data), on_disk)
    except UserError as error:
        return error.problems
    on_disk.remember()
    return [(run.spec, run.state, run.record, dict(run.config)) for run in made.runs]


def later(desk: Desk) -> list[str]:
    """The rows that are known."""
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    runs = make_plan(request, Runs(desk.results)).runs
    return [run.spec.row for run in runs if isinstance(run.config, Later)]


def rewrite(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def set_rate(content: dict[str, list[dict[str, object]]]) -> None:
    content["rows"][1]["set"] = {"optim_wrapper.optimizer.lr": 0.004}


def select_best(content: dict[str, object]) -> None:
    content["select"] = "best"


DONE: dict[str, Callable[[Desk], object]] = {
    "nothing": lambda desk: None,
    "a row set otherwise": lambda desk: desk.change(set_rate),
    "the experiment otherwise": lambda desk: desk.change(select_best),
    "a part edited": lambda desk: rewrite(
        desk.folder / "configs/necks/mine.py", "out_channels=256", "out_channels=128"
    ),
    "a part that comes before a shipped one": lambda desk: shutil.copy(
        desk.folder / "configs/necks/mine.py", desk.folder / "configs/necks/fpn.py"
    ),
    "a part gone": lambda desk: (desk.folder / "configs/necks/mine.py").unlink(),
    "a part with a module": lambda desk: rewrite(
        desk.folder / "configs/necks/mine.py", "model = ", "import os\nmodel = "
    ),
    "a run damaged": lambda desk: next(desk.results.glob("runs/slow*/record.json")).write_text("{"),
    "a run gone": lambda desk: shutil.rmtree(next(desk.results.glob("runs/slow*"))),
    "others": lambda desk: (desk.results / "runs" / known_rows.NAME).write_text("junk"),
}


@pytest.mark.parametrize("what", DONE)
def test_the_plan_is_that_of_rows_that_are_composed(desk: Desk, what: str) -> None:
    DONE[what](desk)
    found = planned(desk)
    (desk.results / "runs" / known_rows.NAME).unlink()
    assert found == planned(desk)


def test_known_rows_are_not_composed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert later(desk) == ["plain", "slow", "own"]
    asked: list[str] = []
    real = row_runs.runs_of

    def noted(setting: row_runs.Setting, row: Row) -> object:
        asked.append(row.name)
        return real(setting, row)

    monkeypatch.setattr(plan, "runs_of", noted)
    assert later(desk) == ["plain", "slow", "own"] and not asked
    desk.change(set_rate)
    assert later(desk) == ["plain", "own"] and asked == ["slow"]


def test_a_part_that_asks_the_machine_is_composed_each_time(desk: Desk) -> None:
    rewrite(desk.folder / "configs/necks/mine.py", "model = ", "import os\nmodel = ")
    planned(desk)
    assert later(desk) == ["plain", "slow"]


def test_what_changed_a_moment_ago_is_composed_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(known_rows, "_WORTH", 1)
    (desk.results / "runs" / known_rows.NAME).unlink()
    planned(desk)
    assert later(desk) == []


def test_what_had_just_changed_when_it_was_read_is_composed_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more within the tick; what is known is written when that is long ago."""
    monkeypatch.undo()
    monkeypatch.setattr(known_rows, "_WORTH", 1)
    now = time.time_ns()
    part = desk.folder / "configs/necks/mine.py"

    def stamp(path: Path) -> tuple[int, ...]:
        """The one of a file system without ctime, on which all but the part is old."""
        found = real(path)
        changed = now - (60 if path == part else 3600) * 10**9
        return (found[0], changed, changed, found[-1]) if len(found) > 1 else found

    real = known_rows.stamp
    monkeypatch.setattr(known_rows, "stamp", stamp)
    composed = SimpleNamespace(time_ns=lambda: now - 60 * 10**9 + 10**8)
    for at, known in ((composed, []), (time, ["plain", "slow", "own"])):
        (desk.results / "runs" / known_rows.NAME).unlink(missing_ok=True)
        monkeypatch.setattr(known_rows, "time", at)
        planned(desk)
        assert later(desk) == known


def test_a_config_is_settled_before_jobs_start(desk: Desk) -> None:
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    config = make_plan(request, Runs(desk.results)).runs[2].config
    assert isinstance(config, Later)
    config.settle()
    right = json.dumps(dict(config))
    (desk.folder / "configs/necks/mine.py").unlink()
    assert json.dumps(dict(config)) == right
