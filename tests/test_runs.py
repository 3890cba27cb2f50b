"""Which runs a results folder holds: each file of a run is read once a command."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import make_record, on_disk
from desk import Desk, make_desk

import benchmark.run.folder
from benchmark.cli.sweep import run_sweep
from benchmark.comparison.find import compare
from benchmark.errors import UserError
from benchmark.run.plan import Request
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec
from benchmark.run.state import look


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path) -> Desk:
    return make_desk(tmp_path / "project", synthetic_data)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file of a run folder was read, by ``<run id>/<file>``."""
    counts: Counter[str] = Counter()
    read: Callable[[Path], Any] = benchmark.run.folder.read_json

    def counting(path: Path) -> Any:
        content = read(path)
        counts[f"{path.parent.name}/{path.name}"] += 1
        return content

    monkeypatch.setattr("benchmark.run.folder.read_json", counting)
    return counts


def files_of(desk: Desk) -> dict[str, int]:
    """Every spec and record, to be read once."""
    paths = (p for name in ("spec", "record") for p in desk.results.glob(f"runs/*/{name}.json"))
    return {f"{path.parent.name}/{path.name}": 1 for path in paths}


def test_a_report_reads_each_file_once(desk: Desk, reads: Counter[str]) -> None:
    assert desk.report()[0] == 0
    assert len(reads) == 4
    assert reads == files_of(desk)


def test_a_check_reads_each_file_once(desk: Desk, reads: Counter[str]) -> None:
    desk.report()
    reads.clear()
    assert desk.report("--check")[0] == 0
    assert reads == files_of(desk)


@pytest.mark.parametrize("rows", [None, ("plain",)])
def test_a_sweep_with_nothing_to_do_reads_each_file_once_to_write_the_table(
    desk: Desk, reads: Counter[str], rows: tuple[str, ...] | None
) -> None:
    request = Request(desk.experiment, desk.results, data_root=desk.data, rows=rows)
    assert run_sweep(request, None, "local", "off", set())
    assert reads == files_of(desk)
    reads.clear()
    assert run_sweep(request, None, "local", "off", set())
    assert reads == {name: 1 for name in files_of(desk) if name.endswith("record.json")}


@pytest.mark.trains
def test_a_sweep_reads_the_record_of_a_run_that_it_ran_once(
    desk: Desk, reads: Counter[str]
) -> None:
    (path,) = desk.results.glob("runs/plain-s0-*/record.json")
    path.unlink()
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    assert run_sweep(request, 1, "local", "off", set())
    assert path.exists()
    # A spec as well where its run begins and ends: it says whether the run has had another id.
    (trained,) = (name for name in reads if name == f"{path.parent.name}/spec.json")
    assert reads.pop(trained) <= 3
    assert reads == {name: 1 for name in files_of(desk) if name != trained}


def test_a_comparison_reads_each_file_once(tmp_path: Path, reads: Counter[str]) -> None:
    from evaluated import make_matches, write_board, write_run

    rows = {row: [write_run(tmp_path, row, make_matches(0.5, 1))] for row in ("a", "b")}
    write_board(tmp_path, rows)
    reads.clear()
    compare("a", "b", tmp_path)
    assert len(reads) == 4
    assert set(reads.values()) == {1}


def of_board(spec: RunSpec) -> bool:
    return spec.experiment == "board"


def test_the_runs_of_an_experiment_and_their_ids(tmp_path: Path) -> None:
    other, mine = (on_disk(tmp_path, make_record(name)) for name in ("b", "a"))
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / ".driver.lock").write_text("")
    runs = Runs(tmp_path)
    assert runs.ids() == [mine.run_id, other.run_id]
    problems: list[str] = []
    assert [run.record for run in runs.started(of_board, problems)] == [mine, other]
    assert (runs.started(lambda spec: not of_board(spec), problems), problems) == ([], [])
    assert runs.record("gone") is None
    with pytest.raises(FileNotFoundError):
        runs.spec("gone")
    assert Runs(tmp_path / "no such folder").ids() == []


def test_a_damaged_file_is_a_problem_of_its_run(tmp_path: Path) -> None:
    whole, broken = (on_disk(tmp_path, make_record(name)) for name in ("whole", "broken"))
    (tmp_path / "runs" / broken.run_id / "record.json").write_text("{")
    problems: list[str] = []
    runs = Runs(tmp_path)
    assert [run.record for run in runs.started(of_board, problems)] == [whole]
    assert len(problems) == 1 and "record.json: damaged" in problems[0]
    with pytest.raises(UserError, match=r"record\.json: damaged"):
        runs.record(broken.run_id)


def test_the_record_of_another_run_is_no_record_of_a_run(tmp_path: Path) -> None:
    ours, theirs = (on_disk(tmp_path, make_record(name)) for name in ("ours", "theirs"))
    folder = tmp_path / "runs"
    shutil.copy(folder / theirs.run_id / "record.json", folder / ours.run_id / "record.json")
    with pytest.raises(UserError, match=f"is the record of another run, {theirs.run_id}"):
        Runs(tmp_path).record(ours.run_id)


def test_a_run_that_was_tried_again_has_its_new_record(tmp_path: Path) -> None:
    old = on_disk(tmp_path, make_record(map50=0.1))
    runs = Runs(tmp_path)
    assert runs.record(old.run_id) == old
    new = on_disk(tmp_path, make_record(map50=0.2))
    spec, folder = runs.spec(old.run_id), runs.folder(old.run_id)
    runs.keep([look(spec, {}, folder)])
    assert runs.record(old.run_id) == new
    folder.record_file.unlink()
    runs.keep([look(spec, {}, folder)])
    assert runs.record(old.run_id) is None
