"""Which images a shortened run takes, and what that does to run ids."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boards import draws, make_record, write_draws
from command import here, variant
from desk import Desk

from benchmark.data.annotations import read_annotations
from benchmark.data.keep import TRAINING, ImageFilter
from benchmark.data.memory import Memory
from benchmark.data.spread import Wanted, taken
from benchmark.run.identity import identity
from benchmark.run.plan import Plan, Request, make_plan
from benchmark.run.prepare import prepare

SHORT = "shrink = dict(longest_side=64, epochs=1, images=4, val_images=4, pretrained=False)\n"
Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def data_with(folder: Path, source: Path, change: Change) -> Path:
    """A copy of a data set whose annotations of both splits are changed; the pictures are the source's."""
    shutil.copytree(source, folder)
    for name in ("train.json", "val.json"):
        content = json.loads((folder / name).read_text())
        content["annotations"] = change(content["annotations"])
        (folder / name).write_text(json.dumps(content))
    return folder


def without_first(images: int) -> Change:
    """Without the objects of the first images."""

    def change(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = sorted({box["image_id"] for box in boxes})[:images]
        return [box for box in boxes if box["image_id"] not in first]

    return change


def short_experiment(folder: Path, **changes: Any) -> Path:
    """The tiny experiment under a profile that takes four images of each split."""
    folder.mkdir()
    path = variant(folder, lambda content: content.update(profile="short", **changes))
    (folder / "configs" / "profiles" / "short.py").write_text(SHORT)
    return path


def planned(experiment: Path, data: Path | None, results: Path, **options: Any) -> Plan:
    return make_plan(Request(experiment, results, data_root=data, **options))


def files_of(config: Any, loader: str) -> list[str]:
    """The images that mmdet's own data set takes."""
    from mmdet.registry import DATASETS
    from mmengine.config import Config

    dataset = DATASETS.build(Config(dict(config))[f"{loader}_dataloader"].dataset)
    return [Path(dataset.get_data_info(i)["img_path"]).name for i in range(len(dataset))]


def test_the_first_images_are_taken_where_they_show_what_there_is(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """The nine smoke rows, on the data that run_all.sh draws: ids and numbers as they were."""
    one_class = data_with(
        tmp_path / "data",
        synthetic_data,
        lambda boxes: [{**box, "category_id": 1} for box in boxes],
    )
    experiment = short_experiment(tmp_path / "own")
    for run in planned(experiment, one_class, tmp_path / "results").runs:
        assert run.config["val_dataloader"]["dataset"]["indices"] == 4
        assert "counted_as" not in run.config


@pytest.mark.usefixtures("mmdet_on_one_thread")
def test_images_that_hold_objects_are_taken_and_mmdet_takes_just_these(
    tmp_path: Path, synthetic_data: Path
) -> None:
    data = data_with(tmp_path / "data", synthetic_data, without_first(5))
    plan = planned(short_experiment(tmp_path / "own"), data, tmp_path / "results")
    one, other = plan.runs
    for loader in ("train", "val"):
        annotations = read_annotations(data / f"{loader}.json")
        with_objects = set(annotations.boxes.image_ids.tolist())
        names = dict(zip(annotations.images.files, annotations.images.ids.tolist(), strict=True))
        files = files_of(one.config, loader)
        assert len(files) == 4 and files == files_of(other.config, loader)
        assert all(names[file] in with_objects for file in files)
        spread = not isinstance(one.config[f"{loader}_dataloader"]["dataset"]["indices"], int)
        assert spread == (loader == "val")  # mmdet's filter leaves the first ones out of training
        chosen = [names[file] for file in files]
        assert not spread or set(chosen) - set(sorted(with_objects)[:4])
    told = here(
        [
            "config",
            str(tmp_path / "own" / "tiny.yaml"),
            "--rows=plain",
            f"--data-root={data}",
            f"--results={tmp_path / 'results'}",
        ]
    )
    assert "counted_as = " in told.stdout and '"spread_images"' in told.stdout.replace("'", '"')


def test_ids_change_where_other_images_are_taken_and_can_be_computed_from_the_folder(
    tmp_path: Path, synthetic_data: Path
) -> None:
    from mmengine.config import Config

    data = data_with(tmp_path / "data", synthetic_data, without_first(5))
    run = planned(short_experiment(tmp_path / "own"), data, tmp_path / "results").runs[0]
    prepare(run)
    content = Config.fromfile(run.folder.config_file).to_dict()
    assert isinstance(content["val_dataloader"]["dataset"]["indices"], list)
    digest = identity(content, run.spec.dataset, 0, "short")
    assert run.spec.run_id == f"plain-s0-short-{digest}"
    first = {key: value for key, value in content.items() if key != "counted_as"}
    first["tta_pipeline"] = ast.literal_eval(content["counted_as"]["tta_pipeline"])
    for name in ("train", "val", "test"):
        first[f"{name}_dataloader"]["dataset"]["indices"] = 4
    assert identity(first, run.spec.dataset, 0, "short") != digest


def test_a_report_without_the_data_finds_the_runs(tmp_path: Path, synthetic_data: Path) -> None:
    data = data_with(tmp_path / "data", synthetic_data, without_first(5))
    experiment = short_experiment(tmp_path / "own")
    desk = Desk(experiment.parent, data)
    for run in planned(experiment, data, desk.results).runs:
        prepare(run)
        record = make_record(
            run.spec.row, run.spec.seed, 0.4, run_id=run.spec.run_id, profile="short"
        )
        run.folder.write_record(record)
        write_draws(desk.results, record, draws(0.4, 0.05))
    assert desk.report()[0] == 0
    shutil.rmtree(data)
    (desk.results / "datasets.json").unlink(missing_ok=True)
    desk.report()  # the page goes without the images
    status, output = desk.report("--check")
    assert status == 0 and "stale" not in output, output
    assert "| 0.4000 |" in (desk.results / "tiny.md").read_text().replace("**", "")
    shutil.rmtree(desk.results / "runs")
    status, output = desk.report("--check")
    assert status == 0, output


def test_what_a_row_sets_itself_stays(tmp_path: Path, synthetic_data: Path) -> None:
    data = data_with(tmp_path / "data", synthetic_data, without_first(5))
    own = {"val_dataloader.dataset.indices": 9}
    experiment = short_experiment(tmp_path / "own")
    config = planned(experiment, data, tmp_path / "results", overrides=own).runs[0].config
    assert config["val_dataloader"]["dataset"]["indices"] == 9
    assert isinstance(config["test_dataloader"]["dataset"]["indices"], list)


def test_no_object_at_all_is_an_error_before_any_training(
    tmp_path: Path, synthetic_data: Path
) -> None:
    data = data_with(tmp_path / "data", synthetic_data, lambda _: [])
    experiment = short_experiment(tmp_path / "own")
    done = here(
        ["plan", str(experiment), f"--data-root={data}", f"--results={tmp_path / 'results'}"]
    )
    assert done.returncode == 2 and "val.json" in done.stderr and "Traceback" not in done.stderr


# The rule


def file_of(path: Path, held: list[list[int]], classes: int = 3) -> Path:
    """An annotation file of an image for each list: the classes of its objects."""
    shape = {"width": 64, "height": 64}
    boxes = [(image, label) for image, labels in enumerate(held) for label in labels]
    content = {
        "images": [{"id": 7 * i, "file_name": f"{i}.png", **shape} for i in range(len(held))],
        "categories": [{"id": 30 - 10 * c, "name": f"c{c}"} for c in range(classes)],
        "annotations": [
            {
                "id": n + 1,
                "image_id": 7 * image,
                "category_id": 30 - 10 * label,
                "bbox": [1, 1, 9, 9],
                "area": 81,
                "iscrowd": 0,
            }
            for n, (image, label) in enumerate(boxes)
        ],
    }
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("held", "count", "expected"),
    [
        ([[0, 1], [2], [0], [1]], 2, None),  # the first hold everything
        ([[0], [0], [0, 1, 2], [1]], 2, [2, 3]),  # a class is missing from the first
        ([[], [0], [], [1], [2], []], 4, [1, 3, 4]),  # fewer hold an object
        ([[], [], [], []], 2, None),  # none does: the check says so
        ([[], [0], [0], [0], [0], [0], [0], [0], [0]], 4, [2, 4, 6, 8]),  # spread
        ([[0], [1], [2], [0], [1], [2]], 2, None),  # not all classes fit
        ([[], [0], [1], [2], [0], [1], [2]], 2, [1, 5]),  # nor here
    ],
)
def test_the_rule(
    held: list[list[int]], count: int, expected: list[int] | None, tmp_path: Path
) -> None:
    path = file_of(tmp_path / "val.json", held)
    found = taken(path, Wanted(False, ImageFilter(), count), Memory())
    assert found.indices == expected


def test_training_counts_the_images_that_mmdet_keeps_in_whole_batches(tmp_path: Path) -> None:
    held: list[list[int]] = [[], [0], [], [1], [2], [0], [], [1]]  # mmdet leaves out those without
    path = file_of(tmp_path / "train.json", held)
    assert taken(path, Wanted(True, TRAINING, 8, 4), Memory()).indices is None
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] = (
        0.5  # kept by mmdet's filter, and without a box to learn from
    )
    path.write_text(json.dumps(content))
    assert taken(path, Wanted(True, TRAINING, 8, 4), Memory()).indices == [1, 2, 3, 4]
    assert taken(path, Wanted(True, TRAINING, 3, 1), Memory()).indices == [2, 3, 4]


def test_large_files_are_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import benchmark.data.memory as memory

    monkeypatch.setattr(memory, "_FROM_BYTES", 0)
    path = file_of(tmp_path / "val.json", [[], [0], [1], [2]])
    wanted, remembered = Wanted(False, ImageFilter(), 2), Memory(tmp_path / "datasets.json")
    first = taken(path, wanted, remembered)
    monkeypatch.setattr(memory, "read_annotations", None)
    from benchmark.data import spread

    spread._taken.cache_clear()
    assert taken(path, wanted, remembered) == first
