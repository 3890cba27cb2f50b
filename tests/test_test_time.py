"""Test-time augmentation: the views are of the row's own size, and run ids are what they were."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from command import LEADERBOARD, SHIPPED, TINY, here
from mmengine.config import Config

from benchmark.config.written import as_counted
from benchmark.run.identity import identity
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

SCALES = [(1333, 800), (666, 400), (2000, 1200)]


def written(config: Path, data: Path, results: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """By row what its ``config.py`` holds, with the id that is computed from that and the one that was planned."""
    found = {}
    for run in make_plan(Request(config, results, data_root=data, **options)).runs:
        prepare(run)
        content = Config.fromfile(run.folder.config_file).to_dict()
        spec = run.spec
        digest = identity(content, spec.dataset, spec.seed, spec.profile, spec.gpus)
        assert spec.run_id.endswith(f"-{digest}")
        found[spec.row] = content
    return found


def views(config: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return config["tta_pipeline"][-1]["transforms"]


def scales(config: dict[str, Any]) -> list[tuple[int, int]]:
    return [tuple(transform["scale"]) for transform in views(config)[0]]


def test_rows_of_mmdets_size_have_mmdets_scales(tmp_path: Path, synthetic_data: Path) -> None:
    rows = written(LEADERBOARD, synthetic_data, tmp_path, profile="full")
    own = {n: config["test_dataloader"]["dataset"]["pipeline"][1] for n, config in rows.items()}
    of_mmdet = {name for name, resize in own.items() if resize["scale"] == (1333, 800)}
    assert len(of_mmdet) == 8  # the ninth is published at 640 x 640
    for name in of_mmdet:
        assert scales(rows[name]) == SCALES and "counted_as" not in rows[name]


@pytest.mark.parametrize(
    ("experiment", "options"),
    [
        (SHIPPED / "small.yaml", {}),
        (LEADERBOARD, {"profile": "smoke"}),
        (TINY, {}),
        (TINY, {"overrides": {"test_dataloader.dataset.pipeline.1.scale": [160, 120]}}),
    ],
)
def test_scales_are_the_rows_own_whatever_it_sets(
    experiment: Path, options: dict[str, Any], tmp_path: Path, synthetic_data: Path
) -> None:
    for config in written(experiment, synthetic_data, tmp_path, **options).values():
        wide, high = config["test_dataloader"]["dataset"]["pipeline"][1]["scale"]
        assert scales(config) == [
            (round(wide * ratio), round(high * ratio)) for ratio in (1, 0.5, 1.5)
        ]


def test_a_pipeline_of_ones_own_stays(tmp_path: Path, synthetic_data: Path) -> None:
    own = {"tta_pipeline.1.transforms.0.0.scale": [300, 300]}
    for config in written(TINY, synthetic_data, tmp_path, overrides=own).values():
        assert scales(config)[0] == (300, 300)


def test_what_stands_behind_the_resizing_comes_behind_the_flip(
    tmp_path: Path, synthetic_data: Path
) -> None:
    """A padded image that is mirrored has its border on the other side: the boxes would be shifted."""
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": [160, 160], "keep_ratio": True},
        {"type": "Pad", "size": [160, 160]},
        {"type": "PackDetInputs", "meta_keys": ["img_id", "scale_factor"]},
    ]
    changed = {"test_dataloader.dataset.pipeline": pipeline}
    config = written(TINY, synthetic_data, tmp_path, overrides=changed)["plain"]
    kinds = [[transform["type"] for transform in part] for part in views(config)]
    assert kinds == [["Resize"], ["RandomFlip", "RandomFlip"], ["Pad"], ["PackDetInputs"]]
    assert views(config)[-1][0]["meta_keys"] == ("img_id", "scale_factor", "flip", "flip_direction")


@pytest.mark.slow
@pytest.mark.usefixtures("mmdet_on_one_thread")
def test_the_model_sees_the_image_that_it_is_tested_on_and_its_mirror(
    tmp_path: Path, synthetic_data: Path
) -> None:
    import torch
    from mmdet.registry import DATASETS

    config = written(TINY, synthetic_data, tmp_path)["plain"]
    of_test = config["test_dataloader"]["dataset"]
    plain = DATASETS.build(Config(of_test))[0]["inputs"]
    augmented = DATASETS.build(Config({**of_test, "pipeline": config["tta_pipeline"]}))[0]
    shapes = [tuple(view.shape[1:]) for view in augmented["inputs"]]
    mirrored, same = augmented["inputs"][:2]
    assert torch.equal(same, plain) and torch.equal(mirrored, plain.flip(-1))
    assert shapes[0][0] * 0.5 == pytest.approx(shapes[2][0], abs=1)


def test_detboard_config_prints_it(tmp_path: Path, synthetic_data: Path) -> None:
    told = here(
        [
            "config",
            str(TINY),
            "--rows=plain",
            f"--data-root={synthetic_data}",
            f"--results={tmp_path}",
        ]
    )
    path = tmp_path / "config.py"
    path.write_text(told.stdout)
    config = Config.fromfile(path).to_dict()
    assert scales(config)[0] == config["test_dataloader"]["dataset"]["pipeline"][1]["scale"]


def test_what_counts_in_place_of_it_is_text_and_a_pipeline_where_an_earlier_version_wrote_it(
    tmp_path: Path, synthetic_data: Path
) -> None:
    config = written(TINY, synthetic_data, tmp_path)["plain"]
    source = config["counted_as"]["tta_pipeline"]
    assert isinstance(source, str)
    earlier = {**config, "counted_as": {"tta_pipeline": ast.literal_eval(source)}}
    assert as_counted(config) == as_counted(earlier)
    assert scales(as_counted(config)) == SCALES
