"""A damaged file of a run costs that run: it is named with its field, and the rest goes on."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import make_record
from damage import DEEP, WRONG, paths, with_value, without
from desk import Desk, make_desk
from evaluated import make_matches, write_board, write_run
from typer.testing import CliRunner

import benchmark.cli.all  # noqa: F401 - the commands
from benchmark import results as results_frame
from benchmark.cli.app import app
from benchmark.comparison.find import compare
from benchmark.errors import UserError
from benchmark.files import parse_json
from benchmark.launchers.living import living_job
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare, set_aside
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned, look_again
from benchmark.statistics.draws import read_draws
from benchmark.statistics.matches import Matches
from benchmark.tuning.study_run import _folder_id

MORE = {
    "best": {"mAP50": 0.4},
    "latency_ms": {"median": 70.0, "p95": 90.5, "images": 20, "device": "CPU"},
    "flops": {"value": 5609280, "input": [3, 64, 64]},
    "tide": {"Cls": 0.25, "Miss": 0.0},
    "measured": {"weight": {"kg": 2.5}},
    "missing": {"samples": "ValueError: none"},
    "tracking": {"name": "wandb", "mode": "offline", "url": None},
    "metrics": {"mAP50": 0.4, "mAP": 0.2, "per_class": {"Paper": {"mAP50": 0.1, "mAP": 0.1}}},
    "validations": {
        "select": "last",
        "count": 2,
        "iter": 12,
        "epoch": 2.0,
        "best_iter": 12,
        "best_epoch": 2.0,
        "best_mAP50": 0.4,
    },
    "provenance": {
        "git": {"commit": "c0ffee", "dirty": True, "changed": ["a.py"], "others": {"/a": "beef"}},
        "versions": {"python": "3.11"},
        "device": "CPU",
        "host": "laptop",
        "threads": 2,
        "hashes": {"train": "a1", "val": "b2", "config": "c3", "files": {"w.pth": "d4"}},
        "seed": 0,
    },
}


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path) -> Desk:
    return make_desk(tmp_path / "project", synthetic_data)


def run_command(*arguments: object) -> tuple[int, str]:
    """A command in this process; an exception that a user would see as a traceback is raised."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def options(desk: Desk, seeds: int, rows: bool = True) -> list[str]:
    where = ["--results", str(desk.results), "--data-root", str(desk.data)]
    named = ["--rows", "plain"] if rows else []
    return [str(desk.experiment), *where, *named, "--seeds", ",".join(map(str, range(seeds)))]


def planned(desk: Desk, seeds: int) -> list[Planned]:
    wanted = Request(
        desk.experiment,
        desk.results,
        data_root=desk.data,
        rows=("plain",),
        seeds=tuple(range(seeds)),
    )
    return list(make_plan(wanted).runs)


def written(run: Planned) -> dict[str, dict[str, Any]]:
    """What the JSON files of a complete run hold."""
    record = make_record(run.spec.row, run.spec.seed, 0.4, run_id=run.spec.run_id, profile="tiny")
    spec = {**run.spec.to_json(), "labels": {"Model": "M"}, "files": {"w.pth": "d4" * 32}}
    return {"record": {**record.to_json(), **MORE}, "spec": spec}


@dataclass(frozen=True)
class Damage:
    """One wrong value in one of the files, or a field that is gone."""

    file: str
    path: tuple[str | int, ...]
    value: str | None

    def of(self, content: dict[str, Any]) -> str:
        """The damaged text of what the file holds."""
        whole = self.value is not None
        return (
            with_value(content, self.path, self.value or "")
            if whole
            else without(content, self.path)
        )


def every_damage(files: dict[str, dict[str, Any]]) -> list[Damage]:
    return [
        Damage(name, path, value)
        for name, content in files.items()
        for path in paths(content)
        for value in (*WRONG.values(), None)
    ]


def why_not(damage: Damage, files: dict[str, dict[str, Any]]) -> str | None:
    """Why a damaged file is none of a run, None if it still is one."""
    kinds = {"spec": RunSpec.from_json, "record": RunRecord.from_json}
    try:
        kinds[damage.file](parse_json(damage.of(files[damage.file]).encode()))
    except ValueError as error:
        return str(error)
    return None


def leave(run: Planned, damage: Damage) -> str | None:
    """Writes a run folder with a damage; returns why its file cannot be read, None if it can."""
    run.folder.path.mkdir(parents=True, exist_ok=True)
    for file, content in written(run).items():
        text = damage.of(content) if damage.file == file else json.dumps(content)
        (run.folder.path / f"{file}.json").write_text(text)
    try:
        run.folder.read_spec()
        run.folder.check_fits(run.folder.read_record(), run.spec)
    except Damaged as error:
        return str(error)
    return None


def folder_in_place(path: Path) -> None:
    path.mkdir()


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("gone.json")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nulls(path: Path) -> None:
    path.write_bytes(bytes(100))


def nothing_in_it(path: Path) -> None:
    path.write_text("")


IN_PLACE = (folder_in_place, link_to_itself, link_to_nothing, pipe, nulls, nothing_in_it)


def test_every_field_of_spec_and_record_with_every_wrong_type(desk: Desk) -> None:
    whole = written(planned(desk, 1)[0])
    every = every_damage(whole)
    told = [(damage, why) for damage in every if (why := why_not(damage, whole)) is not None]
    assert len(told) > 0.8 * len(every)
    for damage, why in told:
        assert str(damage.path[0]) in why or (damage.value == DEEP and "nested too deeply" in why)


def replace_records(runs: list[Planned]) -> None:
    """Puts something else in the place of the record of each."""
    for run, how in zip(runs, IN_PLACE, strict=True):
        run.folder.path.mkdir(exist_ok=True)
        run.folder.write_spec(run.spec)
        run.folder.record_file.unlink(missing_ok=True)
        how(run.folder.record_file)


@pytest.mark.slow
def test_each_damage_costs_its_run_and_no_other(desk: Desk) -> None:
    every = every_damage(written(planned(desk, 1)[0]))
    some = random.Random(11).sample(every, 120)
    runs = planned(desk, 1 + len(IN_PLACE) + len(some))
    replaced = runs[1 : 1 + len(IN_PLACE)]
    replace_records(replaced)
    pairs = zip(runs[1 + len(IN_PLACE) :], some, strict=True)
    expected = {why for run, damage in pairs if (why := leave(run, damage))}
    records = {why for why in expected if "record.json: " in why}
    assert len(records) > 50
    records |= {look_again(run).problem for run in replaced}
    expected |= records

    status, output = run_command("plan", *options(desk, len(runs)))
    assert status == 0
    assert records <= {line.removeprefix("warning: ") for line in output.splitlines()}
    status, output = run_command("sweep", *options(desk, len(runs)), "--wandb", "off")
    assert (status, "nothing to do" in output) == (1, True), output
    assert records <= {line.partition(": ")[2] for line in output.splitlines()}
    status, output = run_command("report", *options(desk, len(runs), rows=False))
    assert status == 0
    assert expected <= {line.removeprefix("warning: skipped ") for line in output.splitlines()}
    assert "| complete (" in (desk.results / "tiny.md").read_text()

    for run in replaced:
        set_aside(look_again(run))
        assert os.path.lexists(run.folder.path / "record-1.json")
        assert look_again(run).state is State.WAITING


def test_a_run_without_its_spec_is_named(desk: Desk) -> None:
    run = planned(desk, 1)[0]
    run.folder.spec_file.unlink()
    status, output = run_command("runs", "list", "--results", desk.results)
    assert (status, f"{run.folder.spec_file}: is missing" in output) == (0, True), output


def test_a_field_of_another_run_is_named(desk: Desk) -> None:
    run = planned(desk, 1)[0]
    content = json.loads(run.folder.record_file.read_text())
    run.folder.record_file.write_text(json.dumps({**content, "profile": "full"}))
    status, output = run_command("plan", *options(desk, 1))
    assert (status, "damaged" in output) == (0, True)
    assert "(profile: is 'full', of the run 'tiny')" in output


def test_what_lies_in_the_place_of_a_job_s_files_is_named(desk: Desk) -> None:
    one = planned(desk, 1)[0]
    for file in (one.folder.record_file, one.folder.spec_file):
        file.unlink()
    for path in (one.folder.spec_file, one.folder.metrics_file):
        path.mkdir()
    one.folder.checkpoints.write_text("")
    status, output = run_command("sweep", *options(desk, 1), "--wandb", "off")
    assert status == 1
    assert "something else lies in the place of checkpoints, metrics.jsonl, spec.json" in output
    set_aside(look_again(one))
    assert look_again(one).state is State.WAITING
    prepare(look_again(one))


def reshaped(stored: dict[str, Any]) -> dict[str, Any]:
    return {**stored, "score": stored["score"][:-1]}


MISFITS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "label: no class": lambda s: {**s, "label": s["label"] + np.int16(100)},
    "image: no image": lambda s: {**s, "image": -1 - s["image"]},
    "score: not one a label": reshaped,
    "score: not finite": lambda s: {**s, "score": s["score"] * np.inf},
    "hit: holds 1 axes of int64": lambda s: {**s, "hit": s["hit"].astype(np.int64)},
    "objects: holds 1 axes of int32": lambda s: {**s, "objects": s["objects"][0]},
    "objects: below 0": lambda s: {**s, "objects": -s["objects"]},
    "objects: not of the images": lambda s: {**s, "objects": s["objects"][:-1]},
    "image_ids: not sorted": lambda s: {**s, "image_ids": s["image_ids"][::-1]},
    "files: not one an image": lambda s: {**s, "files": s["files"][:-1]},
    "allow_pickle": lambda s: {**s, "files": s["files"].astype(object)},
    "KeyError": lambda s: {k: v for k, v in s.items() if k != "hit"},
}


@pytest.mark.parametrize("expected", MISFITS)
def test_matches_that_do_not_fit_cost_their_run(tmp_path: Path, expected: str) -> None:
    rows = {
        row: [write_run(tmp_path, row, make_matches(0.5, seed), seed) for seed in seeds]
        for row, seeds in (("a", (1, 2)), ("b", (1,)))
    }
    write_board(tmp_path, rows)
    path = RunFolder(tmp_path / "runs" / rows["a"][0].run_id).matches_file
    with np.load(path) as stored:
        np.savez_compressed(path, **MISFITS[expected](dict(stored)))
    done = compare("a", "b", tmp_path)
    assert done.a.seeds == (2,)
    (note,) = done.a.notes
    assert str(path) in note and expected in note
    with pytest.raises(UserError, match=re.escape(expected)):
        compare(rows["a"][0].run_id, "b", tmp_path)


def test_flipped_bits_of_matches_and_draws_are_read_or_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / write_run(tmp_path, "a", make_matches(0.5, 1)).run_id)
    random_ = random.Random(5)
    told = 0
    for path, read in ((run.matches_file, Matches.load), (run.bootstrap_file, read_draws)):
        whole = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(random_.choice((1, 1, 30))):
                damaged[random_.randrange(len(damaged))] ^= 1 << random_.randrange(8)
            path.write_bytes(damaged[: random_.choice((len(damaged), len(damaged) // 2))])
            try:
                told += read(path) is None
            except ValueError as error:
                told += str(error).startswith("damaged (")
    assert told > 150


CACHES = ("job.json", "job.lock.holder", "job.lock.held", "samples.json", "stop")


@pytest.mark.parametrize(
    "content",
    ["[]", "null", "3", DEEP, '{"pid": 1e999, "host": 3}', '{"launcher": "local", "job": "x:5"}'],
    ids=["list", "null", "number", "deep", "holder", "address"],
)
def test_what_only_helps_is_taken_for_nothing_where_it_is_damaged(desk: Desk, content: str) -> None:
    one = planned(desk, 1)[0]
    for name in CACHES:
        (one.folder.path / name).write_text(content)
    for name in (".contents.json", ".tiny.board.json", ".folder-id", "../datasets.json"):
        (desk.results / "runs" / name).write_text(content)
    one.folder.record_file.unlink()
    assert run_command("plan", *options(desk, 1))[0] == 0
    assert look_again(one).state in (State.LOST, State.INTERRUPTED)
    assert living_job(one.folder) is None
    assert len(_folder_id(desk.results)) == 32


def test_every_value_of_a_board_with_every_wrong_type(desk: Desk) -> None:
    desk.report()
    (path,) = (p for p in desk.results.glob("tiny*.json"))
    whole = json.loads(path.read_text())
    every = [Damage(path.stem, where, value) for where in paths(whole) for value in WRONG.values()]
    refused = 0
    for damage in random.Random(2).sample(every, 60):
        path.write_text(damage.of(whole))
        try:
            results_frame(desk.results)
        except (UserError, FileNotFoundError):
            refused += 1
    assert refused > 30
