"""Values published on the test split: held against what was measured on that very split, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import draws
from command import here
from desk import Desk
from test_published import board_of, desk_of, hashes, of_hashes, of_root, stored, values

from benchmark.files import sha256_file
from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.document import Leaderboard
from benchmark.leaderboard.outputs.page.payload import bars
from benchmark.run.record import Metrics, ValImages
from benchmark.run.runs import Runs
from benchmark.run.tested import Tested
from benchmark.statistics.draws import write_draws

pytestmark = pytest.mark.usefixtures("no_plots")

MEASURED = {
    "plain": 0.52,
    "momentum": 0.61,
}  # on the test split; 0.4 on val. Rows r0, r1, ... rise from 0.5


@pytest.fixture
def data(tmp_path: Path, synthetic_data: Path) -> Path:
    """A data set whose test split is its validation split in another form."""
    folder = shutil.copytree(synthetic_data, tmp_path / "data")
    content = json.loads((folder / "val.json").read_text())
    (folder / "test.json").write_text(json.dumps({**content, "info": {"version": "test"}}))
    return folder


def on_test(content: dict[str, Any]) -> None:
    """The first row is published on test, the second on val."""
    content["rows"][0]["published"] = {"value": 0.5, "split": "test"}
    content["rows"][1]["published"] = 0.9


def evaluated(
    folder: Path, data: Path, change: Callable[[dict[str, Any]], None], sha256: str = ""
) -> Desk:
    """A board of rows that are complete, and evaluated on the test split of their data."""

    def changed(content: dict[str, Any]) -> None:
        on_test(content)
        change(content)

    desk = desk_of(folder, data, changed)
    runs = Runs(desk.results)
    for path in desk.results.glob("runs/*/record.json"):
        run = runs.folder(path.parent.name)
        row = path.parent.name.partition("-")[0]
        value = MEASURED[row] if row in MEASURED else 0.5 + 0.05 * int(row[-1])
        run.write_tested(
            Tested(
                run_id=path.parent.name,
                sha256=sha256 or sha256_file(data / "test.json"),
                labelled=True,
                metrics=Metrics(scores={"mAP50": value, "mAP": value / 2}),
                no_predictions=False,
                images=ValImages(count=12, sha256="e5" * 32),
                finished_at="2026-01-31T12:00:00+00:00",
            )
        )
        write_draws(run.test_bootstrap_file, draws(value, 0.05))
    status, output = desk.report()
    assert status == 0, output
    return desk


def missing(desk: Desk, row: str = "plain", board: str = "tiny") -> dict[str, str]:
    return next(line for line in stored(desk, board)["rows"] if line["row"] == row)["missing"]


def test_each_value_is_held_against_the_split_that_it_is_of(tmp_path: Path, data: Path) -> None:
    """Plots and the page's bars show it where they show that split, the one that judges."""
    desk = evaluated(tmp_path / "desk", data, of_root(data))
    plain, momentum = values(desk), values(desk, "momentum")
    assert plain["difference"] == pytest.approx(0.52 - 0.5) and plain["published_inside"] == "yes"
    assert momentum["difference"] == pytest.approx(0.4 - 0.9)
    assert momentum["published_inside"] == "no"
    assert [values(desk, row)["published_split"] for row in MEASURED] == ["test", "val"]
    assert shown(desk) == ([None, 0.9], 0.9)
    desk.change(lambda content: content.update(judge="test"))
    assert desk.report()[0] == 0
    assert shown(desk)[0] == [0.5, None] and shown(desk)[1] < 0.8
    assert values(desk)["difference"] == plain["difference"]
    assert values(desk, "momentum")["difference"] == momentum["difference"]


def shown(desk: Desk) -> tuple[list[float | None], float]:
    """Of each row the published value beside its bar, and where the bars' scale ends."""
    board = Leaderboard.model_validate(stored(desk))
    return [board.held_against(line) for line in board.rows], bars(board)["top"]


OTHER = "published on the test split, of other annotations than these"


def test_another_test_split_is_not_the_published_one(tmp_path: Path, data: Path) -> None:
    """Runs were evaluated on what does not lie there now; training and validation data are the same."""
    desk = evaluated(tmp_path / "desk", data, of_root(data), sha256="f6" * 32)
    assert values(desk)["test_map50"] == 0.52 and values(desk)["difference"] is None
    assert missing(desk)["difference"] == missing(desk)["published_inside"] == OTHER
    assert values(desk, "momentum")["difference"] is not None


def test_recorded_hashes_say_which_test_split_it_is(tmp_path: Path, data: Path) -> None:
    """As ``data check`` prints them; without that of test nobody knows, and with another it is another."""
    told = here(["data", "check", str(data)]).stdout
    block = yaml.safe_load("\n".join(told[told.index("dataset:") :].splitlines()[:2]))
    known = block["dataset"]["sha256"]
    assert known == {**hashes(data), "test": sha256_file(data / "test.json")}
    desk = evaluated(tmp_path / "desk", data, of_hashes(known))
    assert values(desk)["published_inside"] == "yes"
    desk.change(of_hashes(hashes(data)))
    assert desk.report()[0] == 0
    assert "record its 'test' there" in missing(desk)["difference"]
    desk.change(of_hashes(known))
    assert desk.report()[0] == 0
    desk.change(of_hashes({**known, "test": "0" * 64}))
    shutil.copytree(desk.results, tmp_path / "clone", ignore=shutil.ignore_patterns("runs"))
    clone = ["report", str(desk.experiment), "--results", str(tmp_path / "clone"), "--check"]
    assert "row plain: held against a value of another test split" in here(clone).stdout
    assert desk.report()[0] == 0
    assert missing(desk)["difference"] == OTHER


def test_without_a_test_split_plan_says_that_nothing_will_be_compared(
    tmp_path: Path, data: Path
) -> None:
    (data / "test.json").unlink()

    def change(content: dict[str, Any]) -> None:
        of_root(data)(content)
        on_test(content)

    desk = board_of(tmp_path / "desk", data, change)
    why = "published on the test split, and nothing was measured on one with annotations"
    assert missing(desk)["difference"] == why
    told = here(["plan", str(desk.experiment), "--results", str(tmp_path)]).stderr
    assert "plain: published on the test split, and the data has none with annotations" in told


def test_ranks_by_test_are_compared_with_what_others_said_elsewhere(
    tmp_path: Path, data: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        of_root(data)(content)
        content["judge"] = "test"
        first = content["rows"][0]
        for at in range(5):
            rate = {"optim_wrapper.optimizer.lr": 0.01 * (at + 1)}
            more = {"name": f"r{at}", "set": rate, "published": 0.3 + 0.1 * at}
            content["rows"].append({**first, **more, "leaderboard": {"private": 0.9 - 0.1 * at}})

    board = Leaderboard.model_validate(stored(evaluated(tmp_path / "desk", data, change)))
    told = agreement_text(board)
    assert told.startswith("How well mAP50 on test ranks the rows as others did")
    assert "private leaderboard, 5 rows: Spearman -1.00" in told
    assert "values published on val, 6 rows: Spearman 0." in told
