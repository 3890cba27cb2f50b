"""Experiments that share a results folder: a run is of every experiment that asks for its id."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import make_record
from desk import Desk, make_desk

from benchmark.cli.sweep import run_sweep
from benchmark.comparison.find import compare
from benchmark.leaderboard.kept import read_leaderboard
from benchmark.leaderboard.outputs.notebook import results as frame_of
from benchmark.run.plan import Request

_LR = "optim_wrapper.optimizer.lr"


class Second(Desk):
    """The same folder, seen from another experiment file."""

    @property
    def experiment(self) -> Path:
        return self.folder / "second.yaml"

    def shown(self) -> dict[str, float | None]:
        board = read_leaderboard(self.results / "second.json")
        return {line.row: line.values["map50"] for line in board.rows}

    def sweep(self, *seeds: int, **overrides: object) -> bool:
        request = Request(
            self.experiment,
            self.results,
            data_root=self.data,
            seeds=seeds or None,
            overrides=overrides,
        )
        return run_sweep(request, None, "local", "off", set())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    made = make_desk(tmp_path_factory.mktemp("shared") / "project", synthetic_data)
    made.change(lambda content: content.update(seeds=[0, 1]))
    made.run_all(0.4)
    return made


def second_of(first: Desk, folder: Path, change: Callable[[dict[str, Any]], None]) -> Second:
    """A second experiment in a copy of the first one's folder, with its seed 0 alone."""
    made = Second(shutil.copytree(first.folder, folder / "project"), first.data)
    content = {**yaml.safe_load((made.folder / "tiny.yaml").read_text()), "name": "second"}
    content["seeds"] = [0]
    change(content)
    made.experiment.write_text(yaml.safe_dump(content, sort_keys=False))
    return made


@pytest.fixture
def second(first: Desk, tmp_path: Path) -> Second:
    return second_of(first, tmp_path, lambda content: content["rows"].pop())


def test_the_second_experiment_shows_the_runs_of_the_first(second: Second) -> None:
    assert second.sweep()
    assert second.shown() == {"plain": 0.4}
    status, output = second.report("--check")
    assert status == 0, output
    (second.results / "second.json").unlink()
    assert second.report("--check")[0] == 1
    assert second.report()[0] == 0
    assert second.shown() == {"plain": 0.4}
    assert read_leaderboard(second.results / "second.json").seeds == (0,)
    assert "plain" in (second.results / "second.html").read_text()
    assert (second.results / "second-intervals.png").exists()


def test_later_records_show(second: Second) -> None:
    second.report()
    (path,) = second.results.glob("runs/plain-s0-*/record.json")
    path.write_text(path.read_text().replace('"mAP50": 0.4', '"mAP50": 0.75'))
    assert second.report("--check")[0] == 1
    second.report()
    assert second.shown() == {"plain": 0.75}
    frame = frame_of(second.results)
    assert frame[frame.experiment == "second"].map50.tolist() == [0.75]


def test_rows_of_either_board_are_compared(second: Second) -> None:
    from evaluated import make_matches

    for number, path in enumerate(sorted(second.results.glob("runs/*-s0-*"))):
        make_matches(0.5, number).save(path / "matches.npz")
    second.report()
    Desk(second.folder, second.data).report()
    assert compare("plain", "plain", second.results, "second").gap == 0
    ours = read_leaderboard(second.results / "second.json").rows[0].runs
    theirs = read_leaderboard(second.results / "tiny.json").rows[0].runs
    assert ours[0] == theirs[0]


def test_a_seed_of_the_first_alone_is_shown_where_the_second_asked_for_it(second: Second) -> None:
    assert second.sweep(1)
    assert read_leaderboard(second.results / "second.json").seeds == (0, 1)
    status, output = second.report("--check")
    assert status == 0, output
    assert second.sweep()
    status, output = second.report("--check")
    assert status == 0, output


def test_what_the_second_does_not_ask_for_is_not_its_own(first: Desk, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rows"][0]["set"] = {_LR: 0.0123}

    made = second_of(first, tmp_path, change)
    status, output = made.report()
    assert status == 0, output
    assert made.shown() == {"plain": None, "momentum": 0.4}
    assert "stale" not in output  # another experiment's run of the row is no former run of it
    _, output = made.report("--check")
    assert "stale" not in output


def test_what_set_gave_in_one_and_the_row_in_the_other_is_one_run(
    first: Desk, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rows"] = [{**content["rows"][0], "set": {_LR: 0.0123}}]

    made = second_of(first, tmp_path, change)
    as_first = Desk(made.folder, made.data)
    _run_with(as_first, {_LR: 0.0123}, 0.6)
    made.report()
    assert made.shown() == {"plain": 0.6}
    # Nor does it matter that it is the same experiment, with the value written into the file since.
    as_first.change(lambda content: content["rows"][0].update(set={_LR: 0.0123}))
    for path in made.results.glob("runs/*"):
        spec = json.loads((path / "spec.json").read_text())
        if not spec["command_line"]:
            shutil.rmtree(path)
    status, output = as_first.report()
    assert status == 0, output
    board = read_leaderboard(made.results / "tiny.json")
    assert [line.values["map50"] for line in board.rows] == [0.6, None]


def test_a_renamed_experiment_keeps_its_runs(first: Desk, tmp_path: Path) -> None:
    made = second_of(first, tmp_path, lambda content: content.update(seeds=[0, 1]))
    assert made.sweep()
    assert made.shown() == {"plain": 0.4, "momentum": 0.4}
    status, output = made.report("--check")
    assert status == 0, output


def _run_with(desk: Desk, overrides: dict[str, object], map50: float) -> None:
    from benchmark.run.plan import make_plan
    from benchmark.run.prepare import prepare

    request = Request(desk.experiment, desk.results, data_root=desk.data, overrides=overrides)
    for run in make_plan(request).runs:
        prepare(run)
        run.folder.write_record(
            make_record(run.spec.row, run.spec.seed, map50, run_id=run.spec.run_id, profile="tiny")
        )
