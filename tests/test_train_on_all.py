"""Rows that are trained on train and val together: their configs, their ids, and what does not go with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import Bench, study, variant

from benchmark.config.joined import joined
from benchmark.config.tree import leaves
from benchmark.config.unvalidated import on_all
from benchmark.data.dataset import describe
from benchmark.run.plan import Plan, Request, make_plan


def planned(data: Path, folder: Path, **changes: Any) -> Plan:
    """The plan of the tiny experiment with changes of its row ``plain``."""
    folder.mkdir()
    experiment = variant(folder, lambda e: e["rows"][0].update(changes))
    return make_plan(Request(experiment, folder / "results", data_root=data, rows=("plain",)))


def test_a_config_reads_both_splits_and_has_no_validation(
    synthetic_data: Path, tmp_path: Path
) -> None:
    usual = planned(synthetic_data, tmp_path / "a").runs[0]
    whole = planned(synthetic_data, tmp_path / "b", train_on="all").runs[0]
    assert whole.spec.run_id != usual.spec.run_id
    assert not whole.spec.validates
    assert "train_on: all: val is trained on, too, and there is no validation" in whole.spec.changes
    assert [whole.config[f"val_{key}"] for key in ("dataloader", "cfg", "evaluator")] == [None] * 3
    data = describe(synthetic_data)
    read = [leaf.node["ann_file"] for leaf in leaves(whole.config["train_dataloader"])]
    assert read == [str(data.train.annotations), str(data.val.annotations)]
    assert whole.config["test_dataloader"] == usual.config["val_dataloader"]


def test_an_id_counts_no_paths_and_needs_no_data(synthetic_data: Path, tmp_path: Path) -> None:
    whole = planned(synthetic_data, tmp_path / "a", train_on="all")
    from dataclasses import replace

    from benchmark.data.dataset import Split
    from benchmark.run.plan import plan_for

    gone = replace(
        whole.dataset,
        train=Split(Path("/gone/train.json"), Path("/gone"), whole.dataset.train.sha256),
        val=Split(Path("/gone/val.json"), Path("/gone"), whole.dataset.val.sha256),
    )
    request = Request(tmp_path / "a" / "tiny.yaml", tmp_path / "none", needs_data=False)
    again = plan_for(whole.experiment, request, gone, whole.profile, whole.rows)
    assert again.runs[0].spec.run_id == whole.runs[0].spec.run_id


@pytest.mark.parametrize(
    ("wrapped", "kinds"),
    [
        (lambda leaf: leaf, "ConcatDataset[CocoDataset CocoDataset]"),
        (
            lambda leaf: {"type": "RepeatDataset", "times": 2, "dataset": leaf},
            "RepeatDataset[ConcatDataset[CocoDataset CocoDataset]]",
        ),
        (
            lambda leaf: {"type": "MultiImageMixDataset", "dataset": leaf, "pipeline": []},
            "MultiImageMixDataset[ConcatDataset[CocoDataset CocoDataset]]",
        ),
        (
            lambda leaf: {"type": "ClassBalancedDataset", "oversample_thr": 0.1, "dataset": leaf},
            "ConcatDataset[ClassBalancedDataset[CocoDataset] ClassBalancedDataset[CocoDataset]]",
        ),
        (
            lambda leaf: {"type": "ConcatDataset", "datasets": [leaf, {**leaf, "ann_file": "own"}]},
            "ConcatDataset[CocoDataset CocoDataset CocoDataset]",
        ),
    ],
)
def test_splits_stand_beside_each_other_within_what_repeats_and_mixes(
    synthetic_data: Path, tmp_path: Path, wrapped: Any, kinds: str
) -> None:
    run = planned(synthetic_data, tmp_path / "a").runs[0]
    loader: Any = run.config["train_dataloader"]
    config = {**run.config, "train_dataloader": {**loader, "dataset": wrapped(loader["dataset"])}}
    data = describe(synthetic_data)
    dataset = joined(config, [data.val], data.train.annotations)["train_dataloader"]["dataset"]
    assert shape(dataset) == kinds
    assert [leaf.node["ann_file"] for leaf in leaves(dataset)].count(str(data.val.annotations)) == 1
    assert config["train_dataloader"]["dataset"] == wrapped(loader["dataset"])


def shape(node: dict[str, Any]) -> str:
    inner = node.get("datasets") or ([node["dataset"]] if "dataset" in node else [])
    return node["type"] + (f"[{' '.join(map(shape, inner))}]" if inner else "")


def test_mmdet_builds_it_with_the_images_of_both(
    tiny_config: Any, synthetic_data: Path, mmdet_on_one_thread: None
) -> None:
    from mmdet.registry import DATASETS
    from mmengine import ConfigDict

    made = on_all(tiny_config.to_dict(), describe(synthetic_data))
    dataset = made["train_dataloader"]["dataset"]
    built = DATASETS.build(ConfigDict(dataset))
    data = describe(synthetic_data)
    assert len(built) == len(data.train.read().images) + len(data.val.read().images)
    assert built.metainfo["classes"] == data.classes


def test_a_pipeline_for_the_last_epochs_takes_the_place_of_that_of_both(
    tiny_config: Any, synthetic_data: Path, mmdet_on_one_thread: None
) -> None:
    from types import SimpleNamespace

    from mmdet.engine.hooks import PipelineSwitchHook
    from mmdet.registry import DATASETS
    from mmengine import ConfigDict

    made = on_all(tiny_config.to_dict(), describe(synthetic_data))
    built = DATASETS.build(ConfigDict(made["train_dataloader"]["dataset"]))
    first, last = 0, len(built) - 1
    assert "inputs" in built[first] and "inputs" in built[last]
    loader, log = SimpleNamespace(dataset=built), SimpleNamespace(info=lambda _: None)
    runner: Any = SimpleNamespace(epoch=1, train_dataloader=loader, logger=log)
    PipelineSwitchHook(1, [{"type": "LoadImageFromFile"}]).before_train_epoch(runner)
    assert "inputs" not in built[first] and "inputs" not in built[last]
    assert built.pipeline is built.datasets[1].pipeline


def test_of_a_shortened_config_whole_batches_of_val_are_taken(
    tiny_config: Any, synthetic_data: Path
) -> None:
    config = tiny_config.to_dict()
    config["val_dataloader"]["dataset"]["indices"] = [5, 1, 7, 2, 9, 0]
    made = on_all(config, describe(synthetic_data))
    taken = [leaf.node.get("indices") for leaf in leaves(made["train_dataloader"]["dataset"])]
    assert taken == [None, [5, 1, 7, 2]]


WHOLE = {"train_on": "all"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda e: e.update(WHOLE, select="best"), "no validation to choose by with select: best"),
        (lambda e: e.update(WHOLE, folds=3), "would train on the images that each fold holds out"),
        (
            lambda e: e["rows"][0].update(
                WHOLE,
                set={"+custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP"}]},
            ),
            "row 'plain': custom_hooks.0: EarlyStoppingHook waits for a score",
        ),
        (
            lambda e: (
                e["rows"].append({"name": "both", "fuse": {"rows": ["plain", "momentum"]}})
                or e["rows"][0].update(WHOLE)
            ),
            "row 'both': plain: trained on train and val (train_on: all): what is made of it has boxes",
        ),
        (
            lambda e: e["rows"].append(
                {"name": "both", "fuse": {"rows": ["plain", "momentum"]}, **WHOLE}
            ),
            "'train_on' is of trainings, and this row is not trained: leave it out",
        ),
        (lambda e: e.update(train_on="val"), "train_on"),
    ],
)
def test_what_needs_a_validation_is_refused(
    synthetic_data: Path, tmp_path: Path, change: Any, told: str
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    done = bench.here("plan")
    assert done.returncode == 2
    assert told in done.stderr


def test_no_study_tunes_such_a_row(synthetic_data: Path, tmp_path: Path) -> None:
    variant(tmp_path, lambda e: e["rows"][0].update(WHOLE))
    bench = Bench(synthetic_data, tmp_path / "results", study(tmp_path))
    done = bench.here("tune")
    assert done.returncode == 2
    assert "'plain' is trained on train and val together (train_on: all)" in done.stderr


def test_a_row_that_nothing_judges_is_told_before_it_trains(
    synthetic_data: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rows"][0].update(WHOLE, leaderboard={"public": 0.4})
        content["rows"][1].update(WHOLE)

    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    done = bench.here("plan")
    assert done.returncode == 0
    assert "warning: momentum: trained on train and val (train_on: all), and nothing" in done.stderr
