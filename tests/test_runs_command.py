"""``detboard runs``: what a results folder holds; runs are ended, removed, and given to a row of another name."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from desk import Desk, make_desk
from disks import fill, small_disk
from typer.testing import CliRunner

from benchmark import locks
from benchmark.cli.app import app
from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.sweep import moving
from benchmark.sweep.holders import only_driver
from benchmark.tracking.runs import _subject

_LR = "optim_wrapper.optimizer.lr"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    return make_desk(tmp_path_factory.mktemp("runs") / "project", synthetic_data)


@pytest.fixture
def desk(made: Desk, tmp_path: Path) -> Desk:
    copy = Desk(shutil.copytree(made.folder, tmp_path / "project"), made.data)
    for path in copy.results.glob("runs/*/spec.json"):
        path.write_text(path.read_text().replace(str(made.folder), str(copy.folder)))
    return copy


def runs(desk: Desk, *arguments: str) -> str:
    return detboard(desk, "runs", *arguments)


def plan(desk: Desk) -> str:
    return detboard(desk, "plan", str(desk.experiment), "--data-root", str(desk.data))


def detboard(desk: Desk, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--results", str(desk.results)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_folder_that_cannot_be_looked_into_costs_its_size_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job at work removes its last checkpoint but one, say, or a folder is somebody else's."""
    before = runs(desk, "list").splitlines()
    removed, denied = sorted(path for path in desk.results.glob("runs/*") if path.is_dir())[:2]
    (removed / "checkpoints").mkdir(exist_ok=True)
    errors = {
        str(removed / "checkpoints"): FileNotFoundError(errno.ENOENT, "No such file or directory"),
        str(denied): PermissionError(errno.EACCES, "Permission denied"),
    }
    scandir = os.scandir

    def looked(folder: str | Path) -> Any:
        if error := errors.get(str(folder)):
            raise error
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", looked)
    after = runs(desk, "list").splitlines()
    warnings = [line for line in after if line.startswith("warning")]
    assert warnings == [f"warning: {denied}: its size is not known: Permission denied"]
    assert [line.split()[0] for line in after if line not in warnings] == [
        line.split()[0] for line in before
    ]


def test_runs_are_removed_on_a_full_disk(made: Desk, tmp_path: Path) -> None:
    with small_disk(tmp_path, "8m") as disk:
        desk = Desk(shutil.copytree(made.folder, disk / "project"), made.data)
        first = min(path.name for path in desk.results.glob("runs/*") if path.is_dir())
        fill(disk)
        assert f"removed {first}" in runs(desk, "rm", first)
        assert not (desk.results / "runs" / first).exists()


def refused(desk: Desk, *arguments: str) -> list[str]:
    before = sorted(desk.results.rglob("*"))
    with pytest.raises(UserError) as error:
        runs(desk, *arguments)
    after = [path for path in sorted(desk.results.rglob("*")) if ".driver.lock" not in path.name]
    assert after == [path for path in before if ".driver.lock" not in path.name]
    return error.value.problems


def planned(desk: Desk) -> list[Planned]:
    return list(make_plan(Request(desk.experiment, desk.results, data_root=desk.data)).runs)


def ids(desk: Desk) -> list[str]:
    return sorted(path.parent.name for path in desk.results.glob("runs/*/spec.json"))


def of(desk: Desk, row: str) -> RunFolder:
    (path,) = desk.results.glob(f"runs/{row}-s0-*")
    return RunFolder(path)


def rename(desk: Desk, row: str = "renamed") -> None:
    desk.change(lambda content: content["rows"][0].update(name=row))


def line_of(output: str, run_id: str) -> str:
    (line,) = (line for line in output.splitlines() if line.startswith(run_id))
    return line.rstrip()


def test_list_says_whose_each_run_is_and_which_is_of_no_row(desk: Desk) -> None:
    plain, momentum = (of(desk, row).path.name for row in ("plain", "momentum"))
    told = runs(desk, "list")
    assert "row plain of tiny, not looked at" in line_of(told, plain)
    told = runs(desk, "list", str(desk.experiment))
    assert line_of(told, plain).split()[1] == "complete"
    assert line_of(told, plain).endswith("row plain of tiny")
    rename(desk)
    desk.change(lambda content: content["rows"][1].update(set={_LR: 0.5}))
    told = runs(desk, "list", str(desk.experiment))
    assert line_of(told, plain).endswith("no row: plain of tiny is gone")
    assert line_of(told, momentum).endswith("no row: momentum of tiny has another config now")
    assert "2 runs" in told
    assert "2 of no row" in told


def test_a_run_with_set_is_of_its_row(desk: Desk) -> None:
    request = Request(desk.experiment, desk.results, data_root=desk.data, overrides={_LR: 0.5})
    run = make_plan(request).runs[0]
    prepare(run)
    told = line_of(runs(desk, "list", str(desk.experiment)), run.spec.run_id)
    assert told.split()[1] == "waiting"
    assert told.endswith("row plain of tiny, with --set")


def test_a_row_that_cannot_be_composed_now_gives_nothing_up(desk: Desk) -> None:
    desk.change(lambda content: content["rows"][0]["parts"].update(head="gone"))
    told = runs(desk, "list", str(desk.experiment))
    assert "row plain of tiny cannot be composed: " in line_of(told, of(desk, "plain").path.name)
    assert "no run is of no row" in runs(desk, "rm", "--orphans", str(desk.experiment))
    assert len(ids(desk)) == 2


def _second(desk: Desk, name: str) -> Path:
    """Another experiment over the same rows."""
    path = desk.experiment.with_name("second.yaml")
    path.write_text(desk.experiment.read_text().replace("name: tiny\n", f"name: {name}\n", 1))
    return path


def test_a_run_of_an_experiment_that_was_not_named_is_no_orphan(desk: Desk) -> None:
    second = _second(desk, "second")
    of(desk, "plain").note_asker("second")
    rename(desk)
    told = runs(desk, "list", str(desk.experiment))
    assert "row plain of second, not looked at" in line_of(told, of(desk, "plain").path.name)
    told = runs(desk, "list", str(desk.experiment), str(second))
    assert line_of(told, of(desk, "plain").path.name).endswith("row plain of second")
    # Of two experiments with one name, it is the file that tells which one is meant.
    namesake = _second(desk, "tiny")
    assert not json.loads(of(desk, "momentum").spec_file.read_text())["sources"][0].endswith(
        "second.yaml"
    )
    namesake.write_text(namesake.read_text().replace("name: momentum", "name: other"))
    told = runs(desk, "list", str(namesake))
    assert "row momentum of tiny (" in line_of(told, of(desk, "momentum").path.name)


def test_orphans_are_removed_and_nothing_else(desk: Desk) -> None:
    trial = _trial(desk)
    gone = of(desk, "plain").path.name
    rename(desk)
    told = runs(desk, "rm", "--orphans", str(desk.experiment))
    assert told.splitlines()[0].startswith(f"removed {gone} (complete, ")
    assert ids(desk) == sorted([of(desk, "momentum").path.name, trial])
    assert not list(desk.results.glob("runs/.leaving*"))


def _trial(desk: Desk) -> str:
    """A run of a study's trial."""
    folder = of(desk, "plain")
    spec = replace(folder.read_spec(), run_id="mine-s0-tiny-0a1b2c3d", experiment="mine")
    own = RunFolder(folder.path.with_name(spec.run_id))
    own.path.mkdir()
    own.write_spec(replace(spec, study="a1", trial=3))
    return spec.run_id


def test_a_trial_is_of_its_study_and_removed_by_its_id_alone(desk: Desk) -> None:
    trial = _trial(desk)
    told = line_of(runs(desk, "list"), trial)
    assert told.endswith("trial 3 of study mine, which studies.db does not have")
    storage = f"sqlite:///{desk.results / 'studies.db'}"
    made = optuna.create_study(study_name="mine", storage=storage)
    made.set_user_attr("study_id", "a1")
    made.set_user_attr("detboard", {"row": "plain"})
    told = runs(desk, "list", str(desk.experiment))
    assert line_of(told, trial).endswith("trial 3 of study mine")
    assert line_of(told, "study mine").endswith("over row plain: 0 trials, 1 of the runs")
    rename(desk)
    told = runs(desk, "list", str(desk.experiment))
    assert line_of(told, "study mine").endswith("; no row plain in what was named")
    assert "trial 3 of study mine" in runs(desk, "rm", trial)
    assert trial not in ids(desk)
    (desk.results / "studies.db").write_text("damaged")
    again = _trial(desk)
    told = runs(desk, "list")
    assert "warning: " in told
    assert line_of(told, of(desk, "plain").path.name)
    assert line_of(told, again).endswith("trial 3 of study mine")  # what it has, nobody knows


def test_wrong_ids_are_told_at_once_and_nothing_is_removed(desk: Desk) -> None:
    plain = of(desk, "plain").path.name
    outside = desk.folder / "outside"
    outside.mkdir()
    problems = refused(desk, "rm", plain, plain[:-1], "../../outside", ".driver.lock", "")
    assert len(problems) == 4
    assert f"did you mean '{plain}'?" in problems[0]
    assert outside.exists()


def test_a_damaged_run_is_removed_by_its_id(desk: Desk) -> None:
    folder = of(desk, "plain")
    folder.spec_file.write_text("{")
    assert "removed" in runs(desk, "rm", folder.path.name)
    assert not folder.path.exists()


def test_a_run_whose_job_is_being_started_is_said_to_be(desk: Desk) -> None:
    """torch is loaded for seconds before the first job of a sweep has its folder."""
    plain = of(desk, "plain")
    (problem,) = refused(desk, "stop", plain.path.name)
    assert problem.endswith("is not running, it has ended")
    plain.record_file.unlink()
    with only_driver(plain.path.parents[1]):
        (problem,) = refused(desk, "stop", plain.path.name)
        assert "no job works on it yet: a sweep or study has the results folder" in problem
    (problem,) = refused(desk, "stop", plain.path.name)
    assert problem.endswith("is not running, no job works on it")


def test_a_run_that_runs_is_ended_not_removed_or_moved(desk: Desk) -> None:
    plain = of(desk, "plain")
    plain.record_file.unlink()
    (problem,) = refused(desk, "stop", plain.path.name)
    assert "is not running" in problem
    rename(desk)
    lock = locks.acquire(plain.lock_file)
    try:
        name = plain.path.name
        for arguments in (("rm", name), ("mv", str(desk.experiment), "plain", "renamed")):
            (problem,) = refused(desk, *arguments)
            assert f"end it first: detboard runs stop {name}" in problem
        assert "asked to end" in runs(desk, "stop", name)
    finally:
        lock.release()
    assert json.loads(plain.stop_file.read_text()) == {"state": "interrupted"}


def test_nothing_is_changed_beside_a_sweep(desk: Desk) -> None:
    lock = locks.acquire(desk.results / "runs" / ".driver.lock")
    try:
        for arguments in (
            ("rm", of(desk, "plain").path.name),
            ("mv", str(desk.experiment), "former", "plain"),
        ):
            assert "another sweep or study" in refused(desk, *arguments)[0]
    finally:
        lock.release()


def test_a_folder_without_runs_is_refused_and_not_made(desk: Desk) -> None:
    for verb in ("list", "stop", "rm"):
        done = CliRunner().invoke(app, ["runs", verb, "x", "--results", "nowhere"])
        assert "there are no runs" in str(done.exception)
    assert not Path("nowhere").exists()


def test_a_renamed_row_keeps_its_runs(desk: Desk) -> None:
    former = of(desk, "plain")
    name, finished = former.path.name, former.read_record().finished_at
    bad = desk.results / "runs" / "bad" / "spec.json"
    write_json(bad, [])
    rename(desk, "renamed-row")  # a name that cannot stand in an id as it is
    hint = f"mv {desk.experiment} plain renamed-row --results {desk.results}"
    assert (
        f"row 'renamed-row' is row 'plain' under another name: to keep its runs, detboard runs {hint}"
        in plan(desk)
    )
    told = runs(desk, "mv", str(desk.experiment), "plain", "renamed-row")
    assert f"'detboard report {desk.experiment}'" in told
    assert f"stays: {bad}" in told
    shutil.rmtree(bad.parent)
    assert "under another name" not in plan(desk)
    (run, _) = planned(desk)
    assert f"{name} is {run.spec.run_id}" in told
    assert run.record is not None
    assert (run.record.row, run.record.finished_at) == ("renamed-row", finished)
    assert ids(desk) == sorted([run.spec.run_id, of(desk, "momentum").path.name])
    assert not list(desk.results.glob("runs/.*ing"))
    assert desk.report()[0] == 0
    board = read_leaderboard(desk.results / "tiny.json")
    assert [line.values["map50"] for line in board.rows] == [0.4, 0.4]
    assert desk.report("--check")[0] == 0


def test_trackers_know_a_renamed_run_by_its_first_id_whoever_goes_on_with_it(desk: Desk) -> None:
    former = of(desk, "plain")
    name = former.path.name
    former.record_file.unlink()
    former.lock_file.touch()
    former.stop_file.write_text('{"state": "interrupted"}')
    former.metrics_file.write_text(
        '{"kind": "start", "iter": 0, "max_iters": 9, "time": "2026-01-01T00:00:00+00:00"}\n'
        '{"kind": "train", "iter": 4}\n'
    )
    told = line_of(runs(desk, "list"), name)
    assert "interrupted, iteration 4 of 9" in told
    rename(desk)
    runs(desk, "mv", str(desk.experiment), "plain", "renamed")
    (run, _) = planned(desk)
    assert run.record is None
    prepare(run)
    assert _subject(run.folder.read_spec(), {}, run.folder.path).id == name
    rename(desk, "again")
    runs(desk, "mv", str(desk.experiment), "renamed", "again")
    assert of(desk, "again").read_spec().ids == (name, run.spec.run_id, of(desk, "again").path.name)


def test_a_run_of_another_config_stays_with_its_name(desk: Desk) -> None:
    desk.change(lambda content: content.update(seeds=[0, 1]))
    desk.run_all()
    stale = of(desk, "plain")
    write_json(stale.path / "spec.json", {**json.loads(stale.spec_file.read_text()), "run_id": "x"})
    moved = stale.path.rename(stale.path.with_name("plain-s0-tiny-00000000"))
    record = json.loads((moved / "record.json").read_text())
    write_json(moved / "record.json", {**record, "run_id": moved.name})
    spec = json.loads((moved / "spec.json").read_text())
    write_json(moved / "spec.json", {**spec, "run_id": moved.name})
    rename(desk)
    told = runs(desk, "mv", str(desk.experiment), "plain", "renamed")
    assert f"stays: {moved.name} was made with another config than row renamed has now" in told
    assert [name for name in ids(desk) if name.startswith("plain")] == [moved.name]
    (problem,) = refused(desk, "mv", str(desk.experiment), "plain", "renamed")
    assert "another config" in problem


def test_names_of_rows_are_checked(desk: Desk) -> None:
    problems = refused(desk, "mv", str(desk.experiment), "plain", "momentun")
    assert "did you mean 'momentum'?" in problems[0]
    assert "still has this row" in problems[1]
    (problem,) = refused(desk, "mv", str(desk.experiment), "nobody", "plain")
    assert "tiny has no run of a row of this name" in problem


def test_another_experiments_run_is_not_taken_from_it(desk: Desk) -> None:
    of(desk, "plain").note_asker("second")
    rename(desk)
    (problem,) = refused(desk, "mv", str(desk.experiment), "plain", "renamed")
    assert "is also of second" in problem


@pytest.mark.parametrize("at", ["_rewrite", "discard"])
def test_a_move_that_is_killed_loses_nothing_and_is_finished_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    rename(desk)
    arguments = ("mv", str(desk.experiment), "plain", "renamed")
    with monkeypatch.context() as patched:
        patched.setattr(moving, at, killed)
        CliRunner().invoke(app, ["runs", *arguments, "--results", str(desk.results)])
    assert any(folder.read_record().row in ("plain", "renamed") for folder in _folders(desk))
    assert set(ids(desk)) >= {of(desk, "momentum").path.name}
    runs(desk, *arguments)
    assert [folder.read_record().row for folder in _folders(desk)] == ["momentum", "renamed"]
    assert planned(desk)[0].record is not None


def _folders(desk: Desk) -> list[RunFolder]:
    return [RunFolder(desk.results / "runs" / name) for name in ids(desk)]
