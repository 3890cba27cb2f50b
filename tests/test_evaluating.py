"""Boxes of a run's detector on any images: those of its validation; with views those that mmdet's tool finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import TINY

from benchmark.data.annotations import read_annotations
from benchmark.experiment.rows.augmented import Views
from benchmark.job.evaluating import Pictured, Place, predict_images
from benchmark.run.folder import RunFolder
from benchmark.run.options import Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.statistics.evaluation import Detections

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mmdet_on_one_thread")]
ONE_THREAD = Resources((), threads=1)


@pytest.fixture(scope="module")
def drawn(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose weights were drawn, and which was not trained."""
    return drawn_run(tmp_path_factory.mktemp("drawn"), synthetic_data)


def drawn_run(folder: Path, data: Path, **overrides: Any) -> RunFolder:
    from mmdet.registry import MODELS
    from mmengine.config import Config

    request = Request(TINY, folder, data_root=data, rows=("plain",), overrides=overrides)
    (run,) = make_plan(request).runs
    prepare(run)
    torch.manual_seed(0)
    config = Config.fromfile(run.folder.config_file)
    model = MODELS.build(config.model)
    model.init_weights()
    run.folder.checkpoints.mkdir()
    meta = {"run_id": run.spec.run_id, "finished": True, "epoch": 1, "iter": 1}
    content = {"meta": meta, "state_dict": model.state_dict()}
    torch.save(content, run.folder.checkpoints / "final.pth")
    return run.folder


def of_mmdet(run: RunFolder, tmp_path: Path, tta: bool) -> Detections:
    """What mmdet's own ``tools/test.py`` finds, with ``--tta`` or without."""
    from mmengine.config import Config, ConfigDict
    from mmengine.runner import Runner

    config = Config.fromfile(run.config_file)
    config.work_dir, config.load_from = str(tmp_path), str(run.checkpoints / "final.pth")
    prefix = str(tmp_path / "found")
    config.test_evaluator = {**config.test_evaluator, "outfile_prefix": prefix}
    if tta:
        config.test_dataloader.dataset.pipeline = config.tta_pipeline
        config.model = ConfigDict(**config.tta_model, module=config.model)
    Runner.from_cfg(config).test()
    return Detections.from_coco(json.loads(Path(f"{prefix}.bbox.json").read_text()))


def same(found: Detections, expected: Detections) -> bool:
    assert len(expected) > 20
    names = ("image_ids", "boxes", "scores", "category_ids")
    return all(np.array_equal(getattr(found, n), getattr(expected, n)) for n in names)


@pytest.mark.parametrize("tta", [False, True])
def test_the_boxes_are_those_of_mmdets_own_tool(
    tta: bool, drawn: RunFolder, synthetic_data: Path, tmp_path: Path
) -> None:
    listed = read_annotations(synthetic_data / "val.json")
    pictured = Pictured(listed, drawn.read_spec().dataset.val.images)
    told: list[tuple[int, int]] = []
    views = Views() if tta else None
    work = Place(tmp_path / "work", ONE_THREAD)
    found = predict_images(drawn, pictured, work, views, lambda *seen: told.append(seen))
    assert same(found, of_mmdet(drawn, tmp_path, tta))
    assert told == [(n, 12) for n in range(1, 13)]
