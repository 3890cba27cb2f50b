"""The leaderboard's files after a kill: the next sweep, and a report, find out which are old, and mend them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from command import run
from desk import Desk, make_desk

from benchmark.cli.sweep import run_sweep
from benchmark.leaderboard.write import Written
from benchmark.run.plan import Request

FILES = 4 + 1 + 4  # Markdown, CSV, JSON, README; the page; two plots, each twice


class Killed(BaseException):
    """No error, which a writer might bear: the end."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    """A desk whose board shows 0.4, and whose records have come to 0.6 since."""
    made = make_desk(tmp_path_factory.mktemp("swept") / "project", synthetic_data)
    assert sweep(made)
    shutil.rmtree(made.results / "runs")
    made.run_all(0.6)
    return made


@pytest.fixture
def desk(swept: Desk, tmp_path: Path) -> Desk:
    return Desk(shutil.copytree(swept.folder, tmp_path / "project"), swept.data)


@pytest.fixture(scope="module")
def right(swept: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that an uninterrupted sweep writes."""
    folder = tmp_path_factory.mktemp("right") / "project"
    made = Desk(shutil.copytree(swept.folder, folder), swept.data)
    assert sweep(made)
    return files_of(made)


def sweep(desk: Desk) -> bool:
    request = Request(desk.experiment, desk.results, data_root=desk.data)
    return run_sweep(request, None, "local", "off", set())


def files_of(desk: Desk) -> dict[str, bytes]:
    paths = [*desk.results.iterdir(), desk.folder / "README.md"]
    return {p.name: p.read_bytes() for p in paths if p.is_file() and p.name != "datasets.json"}


def kill_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Ends the program once so many files are written."""
    put = Written.put

    def put_or_die(self: Written, *arguments: object, **options: object) -> None:
        if len(self.changed) == count:
            raise Killed
        put(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Written, "put", put_or_die)


@pytest.mark.parametrize("count", range(FILES))
def test_a_kill_between_two_files_is_mended(
    desk: Desk, right: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    with monkeypatch.context() as patch:
        kill_after(patch, count)
        with pytest.raises(Killed):
            sweep(desk)
    (desk.results / ".tiny.md.k1ll3d.tmp").write_text("half")
    assert files_of(desk) != right
    if count % 5 == 0:
        assert desk.report("--check")[0] == 1
    assert sweep(desk)
    assert files_of(desk) == right


def test_a_report_mends_too(
    desk: Desk, right: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(Killed):
            desk.report()
    assert desk.report()[0] == 0
    assert files_of(desk) == right


@pytest.mark.parametrize("name", ["tiny.csv", "tiny.html", "tiny-intervals.svg", "README.md"])
def test_one_old_file_among_current_ones_is_mended(
    desk: Desk, right: dict[str, bytes], name: str
) -> None:
    before = files_of(desk)[name]
    assert sweep(desk)
    folder = desk.folder if name == "README.md" else desk.results
    (folder / name).write_bytes(before)
    os.utime(folder / name)  # newer than everything else: dates say nothing
    assert sweep(desk)
    assert files_of(desk) == right


def test_a_current_board_is_left_alone_and_costs_no_look_at_it(
    desk: Desk, right: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(desk)
    capsys.readouterr()
    script = (
        "import sys; from benchmark.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'matplotlib', 'torch', 'benchmark.leaderboard.write'} & {*sys.modules}))"
    )
    options = ["--data-root", str(desk.data), "--results", str(desk.results), "--wandb", "off"]
    done = run([sys.executable, "-c", script, "sweep", str(desk.experiment), *options])
    assert done.stdout == "nothing to do: 2 complete\n[]\n", done.stdout + done.stderr
    assert files_of(desk) == right


def test_a_changed_record_label_or_title_is_noticed(desk: Desk) -> None:
    sweep(desk)
    (record,) = desk.results.glob("runs/plain-s0-*/record.json")
    old = record.stat()
    record.write_text(record.read_text().replace('"mAP50": 0.6', '"mAP50": 0.7'))
    os.utime(record, ns=(old.st_atime_ns, old.st_mtime_ns))
    sweep(desk)
    assert "0.7000" in (desk.results / "tiny.md").read_text()
    desk.change(lambda content: content.update(title="Another title"))
    sweep(desk)
    assert "Another title" in (desk.results / "tiny.html").read_text()


def test_a_file_that_cannot_be_written_is_tried_again(desk: Desk, right: dict[str, bytes]) -> None:
    path = desk.results / "tiny.csv"
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    assert not sweep(desk)
    assert not sweep(desk)
    shutil.rmtree(path)
    assert sweep(desk)
    assert files_of(desk) == right
