"""Boxes of a run's detector on any images: those of its validation; with views those that mmdet's tool finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import TINY

from benchmark.data.annotations import read_annotations
from benchmark.data.scene import CLASSES
from benchmark.errors import UserError
from benchmark.experiment.rows.augmented import Views
from benchmark.job.evaluating import Detector, Pictured, Place, predict_images, read_run
from benchmark.job.on_disk import loading
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


@pytest.fixture(scope="module")
def detector(drawn: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    spec, content = read_run(drawn)
    return Detector(content, spec, Place(tmp_path_factory.mktemp("work"), ONE_THREAD))


def _checkpoint(path: Path, drawn: RunFolder, change: Callable[[dict[str, Any]], Any]) -> str:
    content = torch.load(drawn.checkpoints / "final.pth")
    change(content)
    torch.save(content, path)
    return str(path)


def _resized(key: str, outputs: int) -> Callable[[dict[str, Any]], None]:
    """Another number of outputs of a layer."""

    def change(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        for name in {f"{key}.weight", f"{key}.bias"} & state.keys():
            state[name] = torch.zeros(outputs, *state[name].shape[1:])

    return change


def _says(**meta: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["meta"].update(meta)


CLASSIFIER = "bbox_head.retina_cls"  # nine anchors, ten classes


def _diverged(content: dict[str, Any]) -> None:
    content["state_dict"][f"{CLASSIFIER}.bias"][3] = torch.nan


REFUSED = {
    "others": (_resized(CLASSIFIER, 720), "it tells 80 classes apart, and the data has 10"),
    "said": (_says(dataset_meta={"classes": ("a", "b")}), "tells 2 (a, b) classes apart, the data has 10 (General"),
    "of mmdet 2": (_says(CLASSES=("a",)), "tells 1 (a) classes apart"),
    "turned": (_says(dataset_meta={"classes": CLASSES[::-1]}), "the classes in another order"),
    "lacks": (lambda c: c["state_dict"].pop(f"{CLASSIFIER}.bias"), f"it lacks {CLASSIFIER}.bias"),
    "more": (lambda c: c["state_dict"].update(x=torch.ones(1)), "it does not fit: x not in the model"),
    "shape": (_resized("backbone.layer4.1.conv2", 7), "it does not fit: backbone.layer4.1.conv2.weight (7,"),
    "diverged": (_diverged, f"1 weight holds NaN, so that nothing would be found: {CLASSIFIER}.bias"),
    "nothing": (lambda c: c.update(state_dict=3), "holds no weights by name"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_given_weights_that_are_of_another_model_are_refused(
    name: str, drawn: RunFolder, detector: Detector, tmp_path: Path
) -> None:
    change, words = REFUSED[name]
    given = _checkpoint(tmp_path / "given.pth", drawn, change)
    with loading(trusted=False), pytest.raises(UserError) as refused:
        detector.runner.take_given(given, CLASSES)
    assert words in str(refused.value) and f"checkpoint: {given}: " in str(refused.value)


def test_given_weights_that_fit_are_taken_whatever_they_are_wrapped_in(
    drawn: RunFolder, detector: Detector, tmp_path: Path
) -> None:
    def of_several_gpus(content: dict[str, Any]) -> None:
        state = content.pop("state_dict")
        content["state_dict"] = {f"module.{key}": value + 1 for key, value in state.items()}
        content["meta"]["CLASSES"] = tuple(name.upper() for name in CLASSES)

    given = _checkpoint(tmp_path / "given.pth", drawn, of_several_gpus)
    with loading(trusted=False):
        detector.runner.take_given(given, CLASSES)
    expected = torch.load(drawn.checkpoints / "final.pth")["state_dict"]
    assert all(
        torch.equal(v, expected[k] + 1) for k, v in detector.runner.model.state_dict().items()
    )


def test_a_run_whose_weights_are_gone_damaged_or_of_another_model_says_so(
    drawn: RunFolder, detector: Detector, tmp_path: Path
) -> None:
    path = tmp_path / "final.pth"
    with pytest.raises(UserError, match="is gone"):
        detector.load(path)
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match="is damaged"):
        detector.load(path)
    _checkpoint(path, drawn, _resized(CLASSIFIER, 720))
    with pytest.raises(UserError, match="of another model: it has in other shapes bbox_head"):
        detector.load(path)
