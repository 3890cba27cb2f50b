"""Rows that learn boxes of another row, too: ``pseudo: {from: ROW, score: 0.4, images: PATH}``."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import make_record
from command import Bench, variant

from benchmark.data.annotations import read_annotations
from benchmark.data.synthesize import synthesize
from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking, load_experiment
from benchmark.files import sha256_file
from benchmark.job.evaluating import Pictured
from benchmark.job.inputs import NotAsAsked
from benchmark.job.job import _Training, run_job
from benchmark.job.pseudo import Learnt, with_pseudo
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.run.tested import Tested
from benchmark.statistics.evaluation import Detections, write_predictions
from benchmark.tuning.promote import promote
from benchmark.tuning.study import read_study

PARTS = {"backbone": "tiny", "neck": "tiny", "head": "tiny", "schedule": "tiny"}
QUICK = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1))
LEARNS: dict[str, Any] = {"from": "teacher", "score": 0.002, "images": "more"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set, and unlabelled images of another in ``more``."""
    folder = tmp_path_factory.mktemp("pseudo")
    synthesize(folder / "data", train=6, val=4, size=96)
    synthesize(folder / "other", train=3, val=1, size=96, seed=5)
    shutil.copytree(folder / "other" / "images", folder / "more")
    return folder


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn / "data", tmp_path / "data"))


@pytest.fixture
def make(drawn: Path, data: Path, tmp_path: Path) -> Callable[..., Bench]:
    """An experiment of a teacher and a pupil, which learns what is asked."""

    def made(learns: object = LEARNS, **pupil: Any) -> Bench:
        short = {"train_cfg.max_epochs": 1}
        rows = [
            {"name": "pupil", "parts": PARTS, "set": short, "pseudo": learns, **pupil},
            {"name": "teacher", "parts": PARTS, "set": short},
        ]
        path = variant(tmp_path / "own", lambda content: content.update(rows=rows))
        shutil.copytree(drawn / "more", path.parent / "more")
        return Bench(data, tmp_path / "results", path)

    return made


def planned(bench: Bench, row: str = "pupil", **more: Any) -> Planned:
    request = Request(bench.experiment, bench.results, data_root=bench.data, **more)
    (run,) = (run for run in make_plan(request).runs if run.spec.row == row)
    return run


def finish(run: Planned, time: str = "2026-01-01T00:00:08+00:00") -> None:
    """A complete run, as its job leaves it, without any weights."""
    prepare(run)
    spec = run.spec
    about = {"run_id": spec.run_id, "profile": spec.profile, "finished_at": time}
    run.folder.write_record(make_record(spec.row, spec.seed, 0.4, **about))


@pytest.fixture
def swept(make: Callable[..., Bench], mmdet_on_one_thread: None) -> Bench:
    bench = make()
    for row in ("teacher", "pupil"):
        run = planned(bench, row)
        prepare(run)
        run_job(run.folder.path, QUICK)
    assert bench.here("report").returncode == 0
    return bench


@pytest.mark.slow
@pytest.mark.trains
def test_a_row_learns_what_another_predicts(swept: Bench) -> None:
    teacher, pupil, folder = swept.record("teacher"), swept.record("pupil"), swept.folder("pupil")
    assert pupil["made_from"] == {teacher["run_id"]: teacher["finished_at"]}
    pseudo = json.loads((folder / "pseudo.json").read_text())
    boxes, images = pseudo["annotations"], pseudo["images"]
    assert boxes and min(box["score"] for box in boxes) >= 0.002
    there = {path.name for path in (swept.experiment.parent / "more").iterdir()}
    assert {image["file_name"] for image in images} <= there
    _check_note(pupil, teacher["run_id"], pseudo)
    sha256 = sha256_file(folder / "pseudo.json")
    assert pupil["provenance"]["hashes"]["files"]["pseudo.json"] == sha256
    # 6 labelled images and those with boxes, in batches of 4
    steps = {row: swept.points(row, "start")[0]["max_iters"] for row in ("teacher", "pupil")}
    assert steps == {"teacher": 2, "pupil": -(-(6 + len(images)) // 4)}
    assert not list(folder.glob("pseudo-train-*"))
    _check_shown(swept, pupil["notes"][0])


def _check_note(record: dict[str, Any], teacher: str, pseudo: dict[str, Any]) -> None:
    """The record counts the boxes, those of each class too."""
    names = {category["id"]: category["name"] for category in pseudo["categories"]}
    counts = Counter(names[box["category_id"]] for box in pseudo["annotations"])
    (note,) = record["notes"]
    assert f"learnt {counts.total()} boxes that run {teacher} predicts" in note
    assert f"in {len(pseudo['images'])} of 4 images: " in note
    assert all(f"{name} {count}" in note for name, count in counts.items())


def _check_shown(bench: Bench, note: str) -> None:
    """Plan and board say what was learnt; a teacher that is made again makes its pupil outdated."""
    said = bench.here("plan").stdout
    assert "row 'pupil' is made from teacher" in said
    assert "learns, beside the labels, boxes that row 'teacher' predicts" in " ".join(said.split())
    assert note.partition(" (")[0] in " ".join(said.split())
    board = json.loads((bench.results / "tiny.json").read_text())
    (line,) = [row for row in board["rows"] if row["row"] == "pupil"]
    assert note in line["notes"]
    path = bench.folder("teacher") / "record.json"
    again = json.loads(path.read_text()) | {"finished_at": "2030-01-01T00:00:00+00:00"}
    path.write_text(json.dumps(again))
    assert "1 of 2 runs are missing" in bench.here("plan").stdout


def test_score_and_images_and_the_row_that_predicts_count_into_the_run_id(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    first = planned(bench).spec
    assert first.pseudo is not None and first.pseudo.score == 0.002
    assert first.made_from == (planned(bench, "teacher").spec.run_id,)
    whole = yaml.safe_load(bench.experiment.read_text())

    def changed(row: int, key: str, value: object) -> str:
        rows = [dict(one) for one in whole["rows"]]
        rows[row][key] = value
        bench.experiment.write_text(yaml.safe_dump({**whole, "rows": rows}))
        return planned(bench).spec.run_id

    ids = [
        first.run_id,
        changed(0, "pseudo", {**LEARNS, "score": 0.003}),
        changed(1, "set", {"train_cfg.max_epochs": 2}),
        changed(0, "labels", {"Model": "Pupil"}),
    ]
    more = bench.experiment.parent / "more"
    shutil.copy(next(more.iterdir()), more / "x.png")
    ids.append(planned(bench).spec.run_id)
    assert ids[0] == ids[3]
    assert len(set(ids)) == 4


def test_trials_learn_what_the_row_itself_does_and_a_tuned_row_too(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    content = {"experiment": "tiny.yaml", "row": "pupil", "n_trials": 4, "pruner": None}
    search = {"lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}
    path = bench.experiment.with_name("tune.yaml")
    path.write_text(yaml.safe_dump({**content, "search": search}))
    study = read_study(Request(path, bench.results, data_root=bench.data))
    trial = study.plan_trial("an id", 0, {"lr": 0.01}).spec
    assert trial.made_from == study.base.runs[0].spec.made_from
    assert trial.pseudo == study.base.runs[0].spec.pseudo is not None
    where = (bench.experiment, "pupil", "tune", 0)
    promoted = promote(*where, {"train_cfg.max_epochs": 2}, "tuned").row
    (tuned,) = load_experiment(bench.experiment).rows[-1:]
    assert tuned.name == promoted.name == "pupil_tuned"
    assert tuned.pseudo is not None and tuned.source_rows == ("teacher",)


@pytest.mark.parametrize(
    ("learns", "told"),
    [
        ({"from": "teach", "score": 0.4, "images": "more"}, "made from 'teach', which is no row"),
        ({"from": "pupil", "score": 0.4, "images": "more"}, "made from itself in the end"),
        ({"from": "teacher", "score": 1.4, "images": "more"}, "pseudo.score"),
        ({"from": "teacher", "images": "more"}, "pseudo.score"),
        (
            {"from": "teacher", "score": 0.4, "images": "nowhere"},
            "there is neither a folder of images nor a COCO file",
        ),
        ({"from": "teacher", "score": 0.4, "images": "test"}, "the data has no test split"),
        ({"from": "teacher", "score": 0.4, "images": "more", "iou": 1}, "pseudo.iou"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    make: Callable[..., Bench], learns: object, told: str
) -> None:
    done = make(learns).here("plan")
    assert done.returncode == 2
    assert told in done.stderr


def test_images_of_val_are_refused_and_those_of_train_told(
    make: Callable[..., Bench], data: Path
) -> None:
    bench = make()
    more = bench.experiment.parent / "more"
    names = {s: read_annotations(data / f"{s}.json").images.files[0] for s in ("train", "val")}
    shutil.copy(data / "images" / names["train"], more / "seen.png")
    done = bench.here("plan")
    assert done.returncode == 0
    assert "images of train among those that 'pseudo' names" in done.stderr
    shutil.copy(data / "images" / names["val"], more / "judged.png")
    done = bench.here("plan")
    assert done.returncode == 2
    assert "images of val among those that 'pseudo' names" in done.stderr
    assert "judged.png" in done.stderr
    content = yaml.safe_load(bench.experiment.read_text())
    content["train_on"] = "all"  # nothing is judged on val then
    bench.experiment.write_text(yaml.safe_dump(content))
    done = bench.here("plan")
    assert done.returncode == 0
    assert "images of val among those that 'pseudo' names: they are learnt with" in done.stderr


def test_a_pupil_without_its_teacher_is_told_before_it_is_trained(
    make: Callable[..., Bench],
) -> None:
    done = make().here("plan", "--rows", "pupil")
    assert done.returncode == 2
    assert "which is not made yet: sweep that row, too" in done.stderr


# What a job does with boxes that there are


@pytest.fixture
def on_test(make: Callable[..., Bench], drawn: Path, data: Path) -> Bench:
    """A teacher that has boxes of the test split and no weights, and a pupil that learns them."""
    content = json.loads((drawn / "other" / "train.json").read_text())
    for image in content["images"]:
        image["id"] += 2**61
        image["file_name"] = f"test_{image['file_name']}"
    for image in content["images"]:
        source = drawn / "other" / "images" / image["file_name"].removeprefix("test_")
        shutil.copy(source, data / "images" / image["file_name"])
    (data / "test.json").write_text(json.dumps({**content, "annotations": []}))
    bench = make({"from": "teacher", "score": 0.5, "images": "test"})
    teacher = planned(bench, "teacher")
    finish(teacher)
    split = teacher.spec.dataset.test
    assert split is not None
    ids, kinds = split.read().images.ids.tolist(), category_ids(data)
    found: list[Any] = [
        {"image_id": image, "category_id": kinds[name], "bbox": [4, 5, 20, 10], "score": score}
        for image, name, score in (
            (ids[0], "Metal", 0.9),
            (ids[0], "Paper", 0.5),
            (ids[2], "Metal", 0.6),
            (ids[1], "Metal", 0.4999),
        )
    ]
    write_predictions(teacher.folder.test_predictions_file, Detections.from_coco(found))
    images = {"count": 3, "sha256": "0" * 64}
    about = {"run_id": teacher.spec.run_id, "sha256": split.sha256, "labelled": False}
    tested = Tested.from_json(
        {**about, "metrics": {}, "no_predictions": False, "images": images}
        | {"finished_at": "2026-01-01T00:00:09+00:00"}
    )
    teacher.folder.tested_file.write_text(json.dumps(tested.to_json()))
    return bench


def category_ids(data: Path) -> dict[str, int]:
    return {name: key for key, name in read_annotations(data / "train.json").categories}


def learnt(run: Planned, **leaf: Any) -> tuple[Learnt, dict[str, Any]]:
    """What a job makes of a run's config, and the annotation file that it trains on."""
    prepare(run)
    content: Any = {**run.config}
    loader = content["train_dataloader"]
    content["train_dataloader"] = {**loader, "dataset": {**loader["dataset"], **leaf}}
    assert run.spec.pseudo is not None
    found = with_pseudo(_Training(run.folder, QUICK), run.spec.pseudo, content)
    return found, found.content["train_dataloader"]["dataset"]


def test_a_row_without_a_detector_teaches_no_other_images_than_those_of_test(
    on_test: Bench,
) -> None:
    content = yaml.safe_load(on_test.experiment.read_text())
    content["rows"].append({"name": "views", "tta": True, "of": "teacher"})
    content["rows"][0]["pseudo"] |= {"from": "views", "images": "more"}
    on_test.experiment.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="from 'views': that row has no detector of its own"):
        planned(on_test)
    content["rows"][0]["pseudo"]["images"] = "test"
    on_test.experiment.write_text(yaml.safe_dump(content))
    assert planned(on_test).spec.made_from


def test_boxes_of_the_test_split_are_taken_as_the_row_has_kept_them(
    on_test: Bench, data: Path
) -> None:
    run = planned(on_test)
    found, leaf = learnt(run)
    joined, labels = read_annotations(Path(leaf["ann_file"])), read_annotations(data / "train.json")
    assert len(joined.boxes.ids) == len(labels.boxes.ids) + 3
    assert len(set(joined.boxes.ids.tolist())) == len(joined.boxes.ids)
    assert len(set(joined.images.ids.tolist())) == len(joined.images.ids) == 8
    assert joined.categories == labels.categories
    assert joined.images.files[:6] == labels.images.files
    assert [Path(name).is_file() for name in joined.images.files[6:]] == [True, True]
    assert "3 boxes" in found.note and "in 2 of 3 images: Metal 2, Paper 1" in found.note
    before = run.folder.pseudo_file.read_bytes()
    assert learnt(run)[0].note == found.note and run.folder.pseudo_file.read_bytes() == before


def test_a_row_that_learns_the_test_splits_images_is_told_so(on_test: Bench) -> None:
    done = on_test.here("plan")
    assert done.returncode == 0, done.stderr
    assert "what is measured on test was seen in training, though not its labels (3)" in done.stderr


def test_a_teacher_that_was_made_again_teaches_anew(on_test: Bench) -> None:
    run, teacher = planned(on_test), planned(on_test, "teacher")
    assert "3 boxes" in learnt(run)[0].note
    run.folder.checkpoints.mkdir()
    (run.folder.checkpoints / "epoch_1.pth").write_text("of the boxes of before")
    finish(teacher, "2026-02-02T00:00:00+00:00")
    found = json.loads(teacher.folder.test_predictions_file.read_text())
    teacher.folder.test_predictions_file.write_text(json.dumps(found[:2]))
    again = learnt(run)[0]
    assert "2 boxes" in again.note
    assert again.made_from == {teacher.spec.run_id: "2026-02-02T00:00:00+00:00"}
    assert not list(run.folder.checkpoints.iterdir())


@pytest.mark.parametrize(
    ("indices", "taken"), [(2, [0, 1, 6, 7]), ([3, 5, 1], [3, 5, 1, 6, 7]), ([4], [4, 6])]
)
def test_a_profile_that_takes_some_images_takes_as_many_with_boxes(
    on_test: Bench, indices: object, taken: list[int]
) -> None:
    assert learnt(planned(on_test), indices=indices)[1]["indices"] == taken


def test_boxes_are_labels_by_the_names_of_the_classes_wherever_the_teachers_data_lay(
    on_test: Bench, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the images may list no categories, or others."""
    run, teacher = planned(on_test), planned(on_test, "teacher")
    teacher.folder.tested_file.unlink()
    teacher.folder.checkpoints.mkdir(exist_ok=True)
    (teacher.folder.checkpoints / "final.pth").touch()
    seen: list[Pictured] = []

    def find(folder: object, pictured: Pictured, *_: object, **__: object) -> Detections:
        seen.append(pictured)
        return Detections.from_coco([])

    monkeypatch.setattr("benchmark.job.evaluating.predict_images", find)
    with pytest.raises(UserError, match="it finds none at all"):
        learnt(run)
    assert {name: key for key, name in seen[0].listed.categories} == category_ids(data)


def test_a_seed_that_the_teacher_lacks_learns_of_the_same_run_whatever_seeds_are_asked_for(
    make: Callable[..., Bench],
) -> None:
    bench = make({"from": "given", "score": 0.5, "images": "test"})
    content = yaml.safe_load(bench.experiment.read_text())
    for seed in (0, 1):
        (bench.experiment.parent / f"{seed}.json").write_text(json.dumps([{"seed": seed}]))
    content["rows"].append({"name": "both", "predictions": {"val": ["0.json", "1.json"]}})
    content["rows"].append({"name": "given", "fuse": {"rows": ["both", "teacher"]}})
    bench.experiment.write_text(yaml.safe_dump({**content, "seeds": [0, 1, 2]}))
    (bench.data / "test.json").write_text(
        json.dumps({**json.loads((bench.data / "val.json").read_text()), "annotations": []})
    )

    def teachers(*seeds: int) -> dict[int, tuple[str, ...]]:
        asked = seeds or None
        request = Request(bench.experiment, bench.results, data_root=bench.data, seeds=asked)
        runs = make_plan(request).runs
        return {run.spec.seed: run.spec.made_from for run in runs if run.spec.row == "pupil"}

    every = teachers()
    assert len(set(every.values())) == 2 and every[2] == every[0]
    assert teachers(1, 2) == {1: every[1], 2: every[2]}
    assert teachers(2) == {2: every[2]}


def test_what_stands_in_the_jobs_way_is_said(on_test: Bench, make: Callable[..., Bench]) -> None:
    run, teacher = planned(on_test), planned(on_test, "teacher")
    teacher.folder.test_predictions_file.unlink()
    with pytest.raises(UserError, match="has no weights of its own"):
        learnt(run)
    write_predictions(teacher.folder.test_predictions_file, Detections.from_coco([]))
    with pytest.raises(UserError, match=r"has a score of 0.5 or more; it finds none at all"):
        learnt(run)
    teacher.folder.record_file.unlink()
    with pytest.raises(NotAsAsked, match="which is not made yet"):
        learnt(run)
