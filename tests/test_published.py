"""Measured values beside published ones: only where both are of the same data and the same training."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import draws, make_record, write_draws
from command import here, variant
from desk import README, Desk

from benchmark.data.dataset import describe
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

pytestmark = pytest.mark.usefixtures("no_plots")

OTHER = {"train": "0" * 64, "val": "0" * 64}
Change = Callable[[dict[str, Any]], None]


def hashes(data: Path) -> dict[str, str]:
    return dict(zip(("train", "val"), describe(data).hashes, strict=True))


def board_of(folder: Path, data: Path, change: Change, **options: Any) -> Desk:
    """A desk on which every row is complete under the full profile, and the board is written."""
    made = desk_of(folder, data, change, **options)
    overrides = [f"--set={key}={value}" for key, value in (options.get("overrides") or {}).items()]
    status, output = made.report(*overrides)
    assert status == 0, output
    return made


def desk_of(folder: Path, data: Path, change: Change, **options: Any) -> Desk:
    """The same before the board is written."""
    made = Desk(folder, data)
    folder.mkdir()

    def full(content: dict[str, Any]) -> None:
        content["profile"] = "full"
        change(content)

    variant(folder, full)
    (folder / "README.md").write_text(README)
    plan = make_plan(replace(Request(made.experiment, made.results, data_root=data), **options))
    for run in plan.runs:
        prepare(run)
        record = make_record(
            run.spec.row, run.spec.seed, 0.4, run_id=run.spec.run_id, profile=run.spec.profile
        )
        run.folder.write_record(record)
        write_draws(made.results, record, draws(0.4, 0.05))
    return made


def stored(desk: Desk, board: str = "tiny") -> dict[str, Any]:
    return json.loads((desk.results / f"{board}.json").read_text())


def values(desk: Desk, row: str = "plain", board: str = "tiny") -> dict[str, Any]:
    return next(line["values"] for line in stored(desk, board)["rows"] if line["row"] == row)


def csv_line(desk: Desk) -> dict[str, str]:
    with (desk.results / "tiny.csv").open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file))


def of_root(data: Path) -> Change:
    return lambda content: content.update(dataset={"root": str(data)})


def of_hashes(found: dict[str, str]) -> Change:
    return lambda content: content.update(dataset={"sha256": found})


def test_data_that_the_experiment_does_not_name_is_held_against_nothing(
    tmp_path: Path, synthetic_data: Path
) -> None:
    desk = board_of(tmp_path / "desk", synthetic_data, lambda _: None)
    found = values(desk)
    assert (found["map50"], found["difference"], found["published_inside"]) == (0.4, None, None)
    caveat = stored(desk)["caveat"]
    assert stored(desk)["comparable"] is False
    assert caveat.startswith("not compared with the published values: ") and "sha256" in caveat
    assert csv_line(desk)["not_compared"] == caveat
    assert caveat in (desk.results / "tiny.md").read_text().replace("\\", "")
    assert f"**{caveat}**" in (desk.folder / "README.md").read_text().replace("\\", "")
    page = (desk.results / "tiny.html").read_text()
    assert 'class="caveat"' in page and "ot compared with the published values: the" in page


@pytest.mark.parametrize("kind", ["root", "hashes", "a copy elsewhere"])
def test_the_experiments_own_data_is_held_against_published_values(
    kind: str, tmp_path: Path, synthetic_data: Path
) -> None:
    """As the data set's place, or by its hashes, wherever it lies."""
    data = synthetic_data
    if kind == "a copy elsewhere":
        data = shutil.copytree(synthetic_data, tmp_path / "copy")
    change = of_hashes(hashes(data)) if kind == "hashes" else of_root(synthetic_data)
    desk = board_of(tmp_path / "desk", data, change)
    found = values(desk)
    assert found["difference"] == pytest.approx(0.4 - 0.5)
    assert found["published_inside"] == "no"
    assert (stored(desk)["comparable"], stored(desk)["caveat"]) == (True, "")
    assert "not_compared" not in csv_line(desk)


@pytest.mark.parametrize("change", [of_hashes(OTHER), of_root(Path("/nowhere"))])
def test_other_data_is_held_against_nothing(
    change: Change, tmp_path: Path, synthetic_data: Path
) -> None:
    desk = board_of(tmp_path / "desk", synthetic_data, change)
    board = "tiny.synthetic"
    assert values(desk, board=board)["difference"] is None
    caveat = stored(desk, board)["caveat"]
    assert "published" in caveat and "sha256" in caveat


def test_annotations_that_were_replaced_where_they_lie_are_other_data(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """Runs on those that lay there before say nothing of the published values; gone, the place alone tells."""
    data = shutil.copytree(synthetic_data, tmp_path / "copy")
    desk = board_of(tmp_path / "desk", data, of_root(data))
    assert values(desk)["published_inside"] == "no"
    annotations = data / "val.json"
    annotations.write_text(annotations.read_text() + "\n")
    assert desk.report()[0] == 0
    assert {*differences(desk)} == {None}
    annotations.unlink()
    assert desk.report()[0] == 0
    assert {*differences(desk)} != {None}
    shutil.rmtree(desk.results / "runs")  # a clone whose data is another by now
    shutil.copy(data / "train.json", annotations)
    status, output = desk.report("--check")
    assert status == 1 and "shows differences to published values, and is now not" in output, output


def differences(desk: Desk) -> list[float | None]:
    boards = map(json.loads, (path.read_text() for path in desk.results.glob("tiny*.json")))
    return [line["values"]["difference"] for board in boards for line in board["rows"]]


def test_a_row_that_saw_other_images_or_has_no_score_is_held_against_nothing(
    tmp_path: Path, synthetic_data: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        of_root(synthetic_data)(content)
        for name, rate in (("third", 0.1), ("fourth", 0.2)):
            lr = {"optim_wrapper.optimizer.lr": rate}
            content["rows"].append(
                {**content["rows"][1], "name": name, "set": lr, "published": 0.4}
            )

    desk = board_of(tmp_path / "desk", synthetic_data, change)
    changed(desk, "plain", val_images={"count": 7, "sha256": "e5" * 32})
    changed(desk, "third", metrics={"per_class": {}})
    assert desk.report()[0] == 0
    assert values(desk)["difference"] is None and values(desk, "third")["difference"] is None
    why = {line["row"]: line["missing"].get("difference") for line in stored(desk)["rows"]}
    assert why["plain"] == "not evaluated on the images of the other rows"
    assert why["third"] == "no mAP50: the record holds no validation"


def changed(desk: Desk, row: str, **fields: Any) -> None:
    """Changes what a record says."""
    path = next(desk.results.glob(f"runs/{row}-*/record.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_the_check_prints_the_hashes_as_an_experiment_takes_them(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """The one thing that a user does to see differences on data that lies anywhere."""
    told = here(["data", "check", str(synthetic_data)]).stdout
    lines = told[told.index("dataset:") :].splitlines()[:2]
    block = yaml.safe_load("\n".join(lines))
    assert block == {"dataset": {"sha256": hashes(synthetic_data)}}
    desk = board_of(tmp_path / "desk", synthetic_data, lambda content: content.update(block))
    assert values(desk)["published_inside"] == "no"


def test_a_hash_that_is_none_is_refused(tmp_path: Path, synthetic_data: Path) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    path = variant(folder, of_hashes({"train": "abc", "val": "0" * 64}))
    done = here(["plan", str(path), "--data-root", str(synthetic_data)])
    assert done.returncode == 2
    assert "dataset.sha256.train" in done.stderr and "dataset.sha256.val" not in done.stderr


def test_the_plan_says_before_any_training_what_will_not_be_compared(
    tmp_path: Path, synthetic_data: Path
) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    path = variant(folder, of_hashes(OTHER))
    common = ("plan", str(path), "--data-root", str(synthetic_data), "--results", str(tmp_path))
    assert "not compared with the published values" in here([*common, "--profile=full"]).stderr
    assert "not compared" not in here([*common]).stderr  # the profile says it


def test_values_over_folds_are_held_against_nothing(tmp_path: Path, synthetic_data: Path) -> None:
    """Though the folds divide the very data that the values are of."""
    folder = tmp_path / "desk"
    folder.mkdir()

    def change(content: dict[str, Any]) -> None:
        of_root(synthetic_data)(content)
        content["folds"] = 2

    path = variant(folder, change)
    told = here(["plan", str(path), "--profile=full", "--results", str(tmp_path)]).stderr
    assert "not compared with the published values: measured on folds" in told


@pytest.mark.parametrize(
    ("key", "compared"), [("train_cfg.max_epochs", False), ("train_dataloader.num_workers", True)]
)
def test_another_training_by_set_is_held_against_nothing(
    key: str, compared: bool, tmp_path: Path, synthetic_data: Path
) -> None:
    """Unless the key does not change what is measured."""
    options = {"overrides": {key: 1}}
    desk = board_of(tmp_path / "desk", synthetic_data, of_root(synthetic_data), **options)
    assert (values(desk)["difference"] is not None) == compared
    assert ("--set" in stored(desk)["caveat"]) != compared


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"study": "tuned_here"}, "tuned_here"),
        ({"set": {"+val_dataloader.dataset.indices": 6}}, "6"),
    ],
)
def test_a_row_that_is_not_as_published_has_its_reason(
    more: dict[str, Any], word: str, tmp_path: Path, synthetic_data: Path
) -> None:
    """A tuned row, and one that is evaluated on a part of the images, beside one that is compared."""

    def change(content: dict[str, Any]) -> None:
        of_root(synthetic_data)(content)
        content["rows"][1].update(published=0.5, **more)

    desk = board_of(tmp_path / "desk", synthetic_data, change)
    assert values(desk)["difference"] is not None
    other = values(desk, "momentum")
    assert (other["difference"], other["published_inside"]) == (None, None)
    reasons = next(line["missing"] for line in stored(desk)["rows"] if line["row"] == "momentum")
    assert word in reasons["difference"] and reasons["published_inside"] == reasons["difference"]
    assert stored(desk)["comparable"] is True
    assert reasons["difference"] in (desk.results / "tiny.md").read_text().replace("\\", "")


@pytest.mark.parametrize("profile", ["tiny", "full"])
def test_rows_of_a_table_that_compares_nothing_have_no_reason_of_their_own(
    profile: str, tmp_path: Path, synthetic_data: Path
) -> None:
    """Its caveat says why; a profile that shortens evaluates every row on a part of the images."""

    def change(content: dict[str, Any]) -> None:
        content["profile"] = profile
        content["rows"][0]["set"] = {"+val_dataloader.dataset.indices": 6}

    desk = board_of(tmp_path / "desk", synthetic_data, change, profile=profile)
    assert "compar" in stored(desk)["caveat"]
    assert "difference" not in stored(desk)["rows"][0]["missing"]
    assert "part of the validation images" not in (desk.results / "tiny.md").read_text()


def test_a_clone_without_data_is_checked_by_the_recorded_hashes(
    tmp_path: Path, synthetic_data: Path
) -> None:
    desk = board_of(tmp_path / "desk", synthetic_data, of_hashes(hashes(synthetic_data)))
    shutil.rmtree(desk.results / "runs")
    (desk.results / "datasets.json").unlink(missing_ok=True)
    status, output = desk.report("--check")
    assert status == 0, output
    desk.change(of_hashes(OTHER))
    status, output = desk.report("--check")
    assert status == 1 and "stale: " in output and "published values" in output, output


def test_a_clone_s_board_from_before_the_hashes_were_recorded_is_stale(
    tmp_path: Path, synthetic_data: Path
) -> None:
    desk = board_of(tmp_path / "desk", synthetic_data, lambda _: None)
    shutil.rmtree(desk.results / "runs")
    assert desk.report("--check")[0] == 0
    desk.change(of_hashes(hashes(synthetic_data)))
    status, output = desk.report("--check")
    assert status == 1 and "it shows no difference" in output, output


def test_without_published_values_there_is_nothing_to_say(
    tmp_path: Path, synthetic_data: Path
) -> None:
    desk = board_of(
        tmp_path / "desk", synthetic_data, lambda content: content["rows"][0].pop("published")
    )
    assert (stored(desk)["comparable"], stored(desk)["caveat"]) == (True, "")
