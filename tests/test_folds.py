"""Experiments whose training split is divided into folds."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import make_record
from command import Bench, here, kill_group, study, variant, wait_until

from benchmark.config.sources import Names, RefusedError
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.tuning.study import read_study

FOLDS = 3


@pytest.fixture
def bench(tmp_path: Path, synthetic_data: Path) -> Bench:
    experiment = variant(tmp_path, lambda content: content.update(folds=FOLDS))
    return Bench(synthetic_data, tmp_path / "results", experiment)


def test_a_plan_has_a_run_for_each_row_seed_and_fold(bench: Bench) -> None:
    done = bench.here("plan", "--seeds", "0,1")
    assert done.returncode == 0, done.stderr
    assert f"{2 * 2 * FOLDS} of {2 * 2 * FOLDS} runs are missing" in done.stdout
    for seed in (0, 1):
        for fold in range(FOLDS):
            assert f"plain-s{seed}-f{fold}-tiny-" in done.stdout


def test_the_folds_divide_the_training_images(bench: Bench) -> None:
    plan = make_plan(Request(bench.experiment, bench.results, data_root=bench.data))
    whole = json.loads((bench.data / "train.json").read_text())
    every = {image["id"] for image in whole["images"]}
    held: list[int] = []
    for dataset in plan.dataset.folds:
        train, val = (json.loads(s.annotations.read_text()) for s in (dataset.train, dataset.val))
        ids = [{image["id"] for image in split["images"]} for split in (train, val)]
        assert ids[0] | ids[1] == every and not ids[0] & ids[1]
        assert {a["image_id"] for a in val["annotations"]} <= ids[1]
        assert len(train["annotations"]) + len(val["annotations"]) == len(whole["annotations"])
        assert train["categories"] == val["categories"] == whole["categories"]
        held += ids[1]
    assert sorted(held) == sorted(every)


def test_annotations_of_a_fold_that_were_changed_are_made_again(bench: Bench) -> None:
    request = Request(bench.experiment, bench.results, data_root=bench.data)
    before = make_plan(request)
    changed = before.runs[1].spec.dataset.val.annotations
    content = changed.read_bytes()
    changed.write_bytes(content[:-9])
    assert [run.spec.run_id for run in make_plan(request).runs] == [
        run.spec.run_id for run in before.runs
    ]
    assert changed.read_bytes() == content


def told(bench: Bench, *options: str) -> str:
    done = bench.here("plan", *options)
    assert done.returncode == 2, done.stdout
    return done.stderr


def with_folds(bench: Bench, folds: object) -> None:
    content = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump({**content, "folds": folds}))


@pytest.fixture
def divided(bench: Bench) -> Path:
    """Fold files of the data beside the experiment, which names them."""
    out = bench.experiment.parent / "parts"
    file = str(bench.data / "train.json")
    done = here(["data", "split", file, "--folds", "3", "--seed", "7", "--out", str(out)])
    assert done.returncode == 0, done.stderr
    with_folds(bench, "parts")
    return out


def test_fold_files_divide_as_they_say(bench: Bench, divided: Path) -> None:
    request = Request(bench.experiment, bench.results, data_root=bench.data)
    data = make_plan(request).dataset
    for number, dataset in enumerate(data.folds):
        said = json.loads((divided / f"fold-{number}.json").read_text())
        for name, split in (("train", dataset.train), ("val", dataset.val)):
            images = json.loads(split.annotations.read_text())["images"]
            assert sorted(image["id"] for image in images) == said[name]
    # A division of another seed is another data set, and a number of folds draws seed 0.
    with_folds(bench, 3)
    assert make_plan(request).dataset.hashes[1] != data.hashes[1]
    with_folds(bench, "parts/fold-1.json")
    assert make_plan(request).dataset.hashes == data.hashes


def test_folds_of_other_data_are_refused(bench: Bench, divided: Path) -> None:
    bench.data = Path(shutil.copytree(bench.data, bench.results.parent / "other"))
    content = json.loads((bench.data / "train.json").read_text())
    content["annotations"].pop()
    (bench.data / "train.json").write_text(json.dumps(content))
    assert "folds: parts: folds of other data: they divide a train.json with SHA-256" in told(bench)
    in_place_of_data = here(["data", "check", str(divided)]).stderr
    assert (
        f"these are fold files, which an experiment takes with 'folds: {divided}'"
        in in_place_of_data
    )


def _swap(fold: dict[str, Any]) -> None:
    fold["val"][0], fold["train"][0] = fold["train"][0], fold["val"][0]


def test_fold_files_divide_all_images_of_the_data_and_a_number_never_takes_them(
    bench: Bench, divided: Path
) -> None:
    files = [divided / f"fold-{number}.json" for number in range(3)]
    folds = [json.loads(file.read_text()) for file in files]

    def write(**changes: int) -> None:
        for file, fold in zip(files, folds, strict=True):
            file.write_text(json.dumps({**fold, **changes}))

    moved = folds[0]["val"].pop()  # by hand, to another part
    folds[0]["train"].append(moved)
    folds[1]["train"].remove(moved)
    folds[1]["val"].append(moved)
    for fold in folds:
        fold["seed"] = 0  # as a number of folds has
    write()
    request = Request(bench.experiment, bench.results, data_root=bench.data)
    by_hand = make_plan(request).dataset
    with_folds(bench, 3)
    assert make_plan(request).dataset.hashes[1] != by_hand.hashes[1]
    with_folds(bench, "parts")
    assert make_plan(request).dataset.hashes == by_hand.hashes
    for fold in folds:
        fold["val" if moved in fold["val"] else "train"].remove(moved)
    write()
    assert f"ids of one of both alone are {moved};" in told(bench)
    (divided / "fold-7.json").write_text(files[1].read_text())
    assert "not called by their number: fold-1.json" in told(bench)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_swap, "not every image is in 'val' of one fold, and of one only"),
        (lambda fold: fold["train"].append(fold["val"][0]), "train and val are not all images"),
        (lambda fold: fold.update(seed=8), "its files are of several divisions"),
        (lambda fold: fold.update(fold=2), "not called by their number: fold-1.json"),
        (lambda fold: fold.pop("data"), "fold-1.json: data: is missing"),
        (lambda fold: fold.update(schema_version=2), "schema_version: allowed: 1 (got 2)"),
    ],
)
def test_fold_files_that_divide_nothing_are_refused(
    bench: Bench, divided: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    fold = json.loads((divided / "fold-1.json").read_text())
    change(fold)
    (divided / "fold-1.json").write_text(json.dumps(fold))
    assert words in told(bench)


@pytest.mark.parametrize("folds", [1, 0, -3, 101, 2.5, True, [1, 2], "", "nowhere"])
def test_what_are_no_folds_is_refused(bench: Bench, folds: object) -> None:
    with_folds(bench, folds)
    words = "no fold-0.json" if folds == "nowhere" else "must be a number of folds from 2 to 100"
    message = told(bench)
    assert words in message and message.count("error") == 1, message


def test_folds_need_no_val(bench: Bench) -> None:
    """What is wrong with train is told once, and a val.json that is there is left aside, which is said."""
    done = bench.here("plan")
    assert "val.json is left aside: the folds divide the training split" in done.stderr
    copy = Path(shutil.copytree(bench.data, bench.results.parent / "copy"))
    (copy / "val.json").unlink()
    bench.data = copy
    done = bench.here("plan")
    assert done.returncode == 0 and "left aside" not in done.stderr
    (copy / "train.json").unlink()
    assert told(bench).count("no such annotation file") == 1
    content = yaml.safe_load(bench.experiment.read_text())
    content["dataset"] = {"train": {"annotations": "a.json", "images": "."}}
    bench.experiment.write_text(yaml.safe_dump(content))
    assert "a.json: no such annotation file" in here(["plan", str(bench.experiment)]).stderr
    bench.experiment.write_text(yaml.safe_dump({**content, "folds": None}))
    assert "'val' is missing" in here(["plan", str(bench.experiment)]).stderr


def test_what_is_wrong_with_the_data_is_told_of_the_file_that_was_divided(bench: Bench) -> None:
    """As of training and of evaluation, and not of each fold."""
    bench.data = Path(shutil.copytree(bench.data, bench.results.parent / "odd"))
    file = bench.data / "train.json"
    content = json.loads(file.read_text())
    content["annotations"][0].update(bbox=[-50, 5, 30, 40], area=1200)
    file.write_text(json.dumps(content))
    done = bench.here("plan")
    assert done.returncode == 0
    assert done.stderr.count(f"{file}: boxes wholly outside their image") == 2, done.stderr
    assert done.stderr.count(f"{file}: mmdet's filters leave") == 1 and "fold-" not in done.stderr
    checked = here(["data", "check", str(bench.experiment), "--data-root", str(bench.data)])
    assert "are divided into 3 folds" in checked.stdout and "sha256" not in checked.stdout


def test_a_fold_without_an_object_is_told_before_any_training(bench: Bench) -> None:
    bench.data = Path(shutil.copytree(bench.data, bench.results.parent / "few"))
    file = bench.data / "train.json"
    content = json.loads(file.read_text())
    boxed = content["annotations"][0]["image_id"]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] == boxed]
    file.write_text(json.dumps(content))
    message = told(bench)
    assert message.count("no object to find") == 2 and message.count("no object to learn from") == 1
    assert "its objects are in 1 of 24 images" in message


def test_a_config_that_names_the_divided_file_trains_on_the_fold(bench: Bench) -> None:
    """The whole file holds what the fold is validated on."""
    request = Request(bench.experiment, bench.results, data_root=bench.data)
    dataset = make_plan(request).dataset.with_fold(1)
    names = Names(dataset, bench.data, "train")
    assert names.file("train.json", str(bench.data)) == dataset.train.annotations
    with pytest.raises(RefusedError, match="what the runs are validated on"):
        names.file(str(dataset.val.annotations))


def test_a_folder_that_cannot_hold_the_folds_is_said(bench: Bench) -> None:
    bench.results.mkdir()
    (bench.results / "folds").write_text("a file")
    done = bench.here("plan")
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    assert f"{bench.results / 'folds'}" in done.stderr, done.stderr


def test_a_config_is_shown_of_the_first_fold(bench: Bench) -> None:
    done = bench.here("config", "--rows", "plain")
    assert done.returncode == 0 and "note: the config of fold 0 of 3" in done.stderr
    assert "fold-0-train.json" in done.stdout and "fold-1" not in done.stdout


def test_a_renamed_row_keeps_its_folds(bench: Bench) -> None:
    request = Request(bench.experiment, bench.results, data_root=bench.data)
    for run in make_plan(request).runs:
        prepare(run)
        record = make_record(run.spec.row, run_id=run.spec.run_id, profile=run.spec.profile)
        run.folder.write_record(record)
    content = yaml.safe_load(bench.experiment.read_text())
    content["rows"][0]["name"] = "flat"
    bench.experiment.write_text(yaml.safe_dump(content))
    moved = ["runs", "mv", str(bench.experiment), "plain", "flat", "--results", str(bench.results)]
    assert here(moved).returncode == 0
    assert {run.state for run in make_plan(request).runs} == {State.COMPLETE}


def test_a_study_is_tuned_on_the_first_fold_and_says_so(bench: Bench) -> None:
    file = study(bench.experiment.parent)
    made = read_study(Request(file, bench.results, data_root=bench.data))
    trial = made.plan_trial("an id", 0, {"lr": 0.01})
    assert trial.spec.run_id.startswith("tune-s1-f0-tiny-") and trial.spec.fold == 0
    prepare(trial)
    assert trial.folder.read_spec() == replace(
        trial.spec, config_sha256=trial.folder.read_spec().config_sha256
    )
    assert "synthetic, fold 0 of 3 alone: no trial is judged on another" in made.data


def _of_row(results: Path) -> dict[str, Any]:
    records = map(json.loads, (path.read_text() for path in results.glob("runs/*/record.json")))
    return {record["run_id"]: record for record in records}


PLAIN = ("--rows", "plain", "--wandb", "off")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Bench:
    """A row that was trained on two folds; tests must not change it."""
    folder = tmp_path_factory.mktemp("swept")
    experiment = variant(folder, lambda content: content.update(folds=2))
    bench = Bench(synthetic_data, folder / "results", experiment)
    done = bench.here("sweep", *PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    return bench


@pytest.mark.trains
def test_every_image_is_found_on_by_the_run_that_did_not_train_on_it(swept: Bench) -> None:
    runs = _of_row(swept.results)
    assert sorted(name.split("-tiny")[0] for name in runs) == ["plain-s0-f0", "plain-s0-f1"]
    assert all(record["state"] == "complete" for record in runs.values())
    whole = json.loads((swept.data / "train.json").read_text())["images"]
    assert sum(record["val_images"]["count"] for record in runs.values()) == len(whole)
    boxes = json.loads((swept.results / "tiny.oof" / "plain-s0.json").read_text())
    assert {box["image_id"] for box in boxes} <= {image["id"] for image in whole}
    board = json.loads((swept.results / "tiny.json").read_text())
    assert board["title"] == "Tiny leaderboard, 2 folds"
    plain, momentum = board["rows"]
    of_folds = [record["metrics"]["mAP50"] for record in runs.values()]
    assert plain["values"]["map50"] == pytest.approx(sum(of_folds) / 2, abs=1e-15)
    assert momentum["values"]["map50"] is None
    assert "nothing to do: 2 complete" in swept.here("sweep", *PLAIN).stdout


@pytest.mark.trains
def test_a_sweep_killed_at_random_ends_with_the_same_records(swept: Bench, tmp_path: Path) -> None:
    killed = Bench(swept.data, tmp_path / "results", swept.experiment)
    driver = killed.start("sweep", *PLAIN)
    wait_until(lambda: any(killed.results.glob("runs/*/metrics.jsonl")), "the first run")
    time.sleep(random.uniform(0, 3))
    kill_group(driver)
    done = killed.here("sweep", *PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    again, runs = _of_row(killed.results), _of_row(swept.results)
    assert {name: record["metrics"] for name, record in again.items()} == {
        name: record["metrics"] for name, record in runs.items()
    }
