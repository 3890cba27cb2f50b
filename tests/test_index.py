"""What is remembered of a results folder: whatever is done to the folder, it shows as if nothing were remembered."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from boards import draws
from desk import Desk, make_desk

from benchmark.data.synthesize import synthesize
from benchmark.errors import UserError
from benchmark.leaderboard.select import reports_on_disk
from benchmark.run import folder as run_folder
from benchmark.run import index, kept_file
from benchmark.run.plan import Request, make_plan
from benchmark.run.runs import Runs
from benchmark.statistics.draws import write_draws


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("swept")
    data = synthesize(folder / "data", train=4, val=4, size=64)
    return make_desk(folder / "project", data)


@pytest.fixture
def desk(swept: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose runs are remembered, however few and however new they are."""
    monkeypatch.setattr(index, "_WORTH", 1)
    monkeypatch.setattr(kept_file, "TICK_NS", -(10**18))
    made = Desk(shutil.copytree(swept.folder, tmp_path / "project"), swept.data)
    shown(made)
    assert (made.results / "runs" / index.NAME).is_file()
    return made


def shown(desk: Desk) -> object:
    """All that a report and a plan show of a results folder."""
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    on_disk = Runs(desk.results)
    try:
        made = reports_on_disk(request)
        plan = make_plan(request, on_disk)
    except UserError as error:
        return error.problems
    found = [(r.leaderboard.text(), r.stale, r.skipped) for r in made.reports]
    states = [(run.spec.run_id, run.state, run.problem, run.record) for run in plan.runs]
    tested = [on_disk.tested(run_id) for run_id in on_disk.ids()]
    return found, made.problems, states, tested


def runs_of(desk: Desk) -> list[Path]:
    return sorted(path.parent for path in desk.results.glob("runs/*/record.json"))


def edit(file: Path) -> None:
    """Changes a digit, and puts the times back."""
    before = file.stat()
    text = file.read_text()
    assert "0.4" in text
    file.write_text(text.replace("0.4", "0.3"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(file: Path) -> None:
    """Puts another file in its place, of the same size and time."""
    before = file.stat()
    other = file.with_name("other")
    other.write_text(file.read_text().replace("0.4", "0.2"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


def link(file: Path, target: Path) -> None:
    file.unlink()
    file.symlink_to(target)


def folder_for(file: Path) -> None:
    file.unlink()
    file.mkdir()


def move(runs: Path) -> None:
    """There and back, by copies."""
    copy = shutil.copytree(runs, runs.with_name("copy"))
    shutil.rmtree(runs)
    copy.rename(runs)


def swap(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def evaluate(run: Path) -> None:
    """It was evaluated on a test split."""
    record = json.loads((run / "record.json").read_text())
    kept = {key: record[key] for key in ("run_id", "metrics", "no_predictions", "finished_at")}
    more = {"sha256": "e" * 64, "labelled": True, "images": {"count": 4, "sha256": "e" * 64}}
    (run / "test.json").write_text(json.dumps({**kept, **more}))


def newly_asked(run: Path) -> None:
    spec = run / "spec.json"
    content = json.loads(spec.read_text())
    spec.write_text(json.dumps({**content, "experiment": "other"}))


DONE: dict[str, Callable[[Path, Path], object]] = {
    "nothing": lambda run, other: None,
    "record edited": lambda run, other: edit(run / "record.json"),
    "record replaced": lambda run, other: replace(run / "record.json"),
    "record removed": lambda run, other: (run / "record.json").unlink(),
    "record cut": lambda run, other: os.truncate(run / "record.json", 100),
    "record of another": lambda run, other: shutil.copy(other / "record.json", run),
    "records swapped": lambda run, other: swap(run / "record.json", other / "record.json"),
    "link to another": lambda run, other: link(run / "record.json", other / "record.json"),
    "link to nothing": lambda run, other: link(run / "record.json", Path("nowhere")),
    "a folder": lambda run, other: folder_for(run / "record.json"),
    "spec edited": lambda run, other: newly_asked(run),
    "spec removed": lambda run, other: (run / "spec.json").unlink(),
    "run removed": lambda run, other: shutil.rmtree(run),
    "run renamed": lambda run, other: run.rename(run.with_name("r-s0-tiny-12345678")),
    "runs swapped": lambda run, other: swap(run, other),
    "run copied": lambda run, other: shutil.copytree(run, run.with_name("r-s0-tiny-12345678")),
    "tested": lambda run, other: evaluate(run),
    "draws changed": lambda run, other: write_draws(run / "bootstrap.npy", draws(0.4, 0.01)),
    "draws removed": lambda run, other: (run / "bootstrap.npy").unlink(),
    "moved": lambda run, other: move(run.parent),
}


@pytest.mark.parametrize("what", DONE)
def test_what_is_done_to_a_folder_shows(desk: Desk, what: str) -> None:
    run, other = runs_of(desk)[:2]
    DONE[what](run, other)
    remembering = shown(desk)
    (desk.results / "runs" / index.NAME).unlink()
    assert remembering == shown(desk)


def test_what_is_remembered_is_not_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = run_folder.read_json

    def noted(path: Path) -> object:
        found = real(path)
        read.append(path)
        return found

    monkeypatch.setattr(run_folder, "read_json", noted)
    shown(desk)
    assert not read
    changed = runs_of(desk)[0] / "record.json"
    edit(changed)
    shown(desk)
    assert set(read) == {changed}


def test_what_changed_a_moment_ago_is_read_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a tick of the clock a file may be written twice, and look the same."""
    monkeypatch.undo()
    monkeypatch.setattr(index, "_WORTH", 1)
    (desk.results / "runs" / index.NAME).unlink()
    shown(desk)
    assert kept_file.read_kept(desk.results / "runs" / index.NAME) == {}


def test_what_changes_between_reading_and_writing_is_read_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changed within the tick in which it was read; the index is written, twice, when that is long ago."""
    monkeypatch.undo()
    monkeypatch.setattr(index, "_WORTH", 1)
    monkeypatch.setattr(index, "stamp_of", without_ctime)
    now = time.time_ns()
    for file in desk.results.rglob("*.json"):
        os.utime(file, ns=(now, now - 3600 * 10**9))
    file = desk.results / "runs" / index.NAME
    file.unlink()
    run, other = runs_of(desk)[:2]
    os.utime(run / "record.json", ns=(now, now - 60 * 10**9))
    on_disk = Runs(desk.results)
    monkeypatch.setattr(index, "time", SimpleNamespace(time_ns=lambda: now - 60 * 10**9 + 10**8))
    before = on_disk.record(run.name)
    on_disk.record(other.name)
    edit(run / "record.json")
    on_disk.remember()
    on_disk.spec(run.name)
    on_disk.remember()
    kept = kept_file.read_kept(file)
    names = ((other.name, "record.json"), (run.name, "spec.json"))
    assert set(kept) == set(names)
    assert Runs(desk.results).record(run.name) != before


def without_ctime(file: str) -> kept_file.Stamp:
    """As a file system says it that knows one time of change, which a test can set."""
    found = Path(file).stat()
    return found.st_size, found.st_mtime_ns, found.st_mtime_ns, found.st_ino


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("touched"),)


def signed(content: bytes) -> bytes:
    """As this version writes it."""
    digest = hashlib.sha256(content).hexdigest()
    return f"detboard {kept_file.code_stamp()} {digest}\n".encode() + content


@pytest.mark.parametrize(
    "content",
    [b"junk", signed(b"junk"), signed(pickle.dumps(Evil())), signed(pickle.dumps([1]))],
)
def test_any_other_file_in_its_place_is_passed_over(
    desk: Desk, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    file = desk.results / "runs" / index.NAME
    right, kept = shown(desk), file.read_bytes()
    file.write_bytes(content)
    assert shown(desk) == right
    assert not Path("touched").exists()
    file.write_bytes(kept[:-20] + b"\0" + kept[-19:])  # a byte of it is another
    assert shown(desk) == right
    monkeypatch.setattr(kept_file, "code_stamp", lambda: "another version")
    assert kept_file.read_kept(file) == {} and shown(desk) == right


def test_a_folder_that_takes_no_files_is_read_each_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = desk.results / "runs" / index.NAME
    right = shown(desk)
    file.unlink()
    file.mkdir()  # nothing can take its place
    assert shown(desk) == right and file.is_dir()
