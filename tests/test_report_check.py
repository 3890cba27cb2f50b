"""``detboard report`` and ``--check``, over run folders as jobs leave them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import draws, make_record, write_draws
from command import variant
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.plan import Request, make_plan, prepare

README = "# Mine\n\n<!-- detboard:tiny:begin -->\n<!-- detboard:tiny:end -->\n"


@dataclass
class Desk:
    """An experiment, its results, and a README beside them."""

    folder: Path
    data: Path

    @property
    def experiment(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def run_all(self, map50: float = 0.4) -> None:
        """Leaves a complete run for every row and seed that has none, as a sweep would."""
        request = Request(self.experiment, self.results, data_root=self.data)
        for run in make_plan(request).runs:
            if run.record is not None:
                continue
            prepare(run)
            record = make_record(
                run.spec.row, run.spec.seed, map50, run_id=run.spec.run_id, profile=run.spec.profile
            )
            run.folder.write_record(record)
            write_draws(self.results, record, draws(map50, 0.05))

    def change(self, how: Callable[[dict[str, Any]], None]) -> None:
        content = yaml.safe_load(self.experiment.read_text())
        how(content)
        self.experiment.write_text(yaml.safe_dump(content))

    def report(self, *options: str) -> tuple[int, str]:
        arguments = ["report", str(self.experiment), "--results", str(self.results), *options]
        done = CliRunner().invoke(app, arguments)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path) -> Desk:
    made = Desk(tmp_path / "project", synthetic_data)
    made.folder.mkdir()
    variant(made.folder, lambda _: None)
    (made.folder / "README.md").write_text(README)
    made.run_all()
    status, output = made.report()
    assert status == 0, output
    return made


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
    assert "tiny-intervals.png" in output


def changed_row(content: dict[str, Any]) -> None:
    content["rows"][0].setdefault("set", {})["optim_wrapper.optimizer.lr"] = 0.0123


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


def test_other_options_than_the_file_s_need_runs(clone: Desk) -> None:
    with pytest.raises(Exception, match="no finished run of experiment 'tiny' fits"):
        clone.report("--profile", "smoke")
