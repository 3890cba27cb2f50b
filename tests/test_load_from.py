"""Rows that start from a whole detector: mmdet's own checkpoint of a config, or one of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Bench
from test_config_rows import FASTER, experiment

from benchmark.errors import UserError
from benchmark.experiment.rows import zoo
from benchmark.experiment.rows.checkpoint import checkpoint_of
from benchmark.run.loaded import Loaded
from benchmark.run.plan import Request, make_plan

OF_FASTER = (
    "https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn/faster_rcnn_r50_fpn_1x_coco/"
    "faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth"
)
ADDRESS = "https://example.org/mine.pth"


def test_zoo_is_the_checkpoint_that_mmdet_names(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    rows = [
        {"name": "zoo", "config": FASTER, "load_from": "zoo"},
        {"name": "address", "config": FASTER, "load_from": ADDRESS},
        {"name": "path", "config": FASTER, "load_from": "mine.pth"},
        {"name": "none", "config": FASTER},
    ]
    bench = Bench(synthetic_data, tmp_path / "results", experiment(tmp_path, *rows))
    listed = bench.here("weights")
    assert listed.returncode == 0, listed.stderr
    assert f"\n  {OF_FASTER}, for row zoo\n" in listed.stdout
    assert f"\n  {ADDRESS}, for row address\n" in listed.stdout
    assert f"{tmp_path / 'mine.pth'}\n  no such file, a file of your own" in listed.stdout
    planned = bench.here("plan")
    assert planned.returncode == 2
    assert f"row 'path': load_from: {tmp_path / 'mine.pth'}: no such file" in planned.stderr
    torch.save({"state_dict": {}}, tmp_path / "mine.pth")
    planned = bench.here("plan")
    assert planned.returncode == 0, planned.stderr
    assert f"row zoo: the weights {OF_FASTER} are not in" in planned.stderr
    assert f"load_from: {OF_FASTER}" in planned.stdout


def test_under_smoke_nothing_is_loaded_and_that_is_said(
    synthetic_data: Path, tmp_path: Path
) -> None:
    path = experiment(tmp_path, {"name": "zoo", "config": FASTER, "load_from": "zoo"})
    request = Request(path, tmp_path / "results", data_root=synthetic_data, profile="smoke")
    (run,) = make_plan(request).runs
    assert run.config["load_from"] is None
    assert "load_from dropped: the profile loads no weights" in run.spec.changes


def test_what_has_no_checkpoint_is_said_of_all_rows_at_once(
    synthetic_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(f"_base_ = ['mmdet::faster_rcnn/{FASTER}.py']\n")
    told = {
        "mine.py": "zoo is the checkpoint of one of mmdet's own configs",
        "mmdet::faster_rcnn/faster-rcnn_r50_fpn_8xb8-amp-lsj-200e_coco.py": "mmdet names no checkpoint "
        "for this config; of its family it does for faster-rcnn_r50_fpn_",
        "deepsort_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval": "mmdet names several",
    }
    rows = [{"name": f"row{i}", "config": name, "load_from": "zoo"} for i, name in enumerate(told)]
    with pytest.raises(UserError) as caught:
        make_plan(Request(experiment(tmp_path, *rows), tmp_path / "r", data_root=synthetic_data))
    for number, (name, words) in enumerate(told.items()):
        (mine,) = [problem for problem in caught.value.problems if f"'row{number}'" in problem]
        assert f"config '{name}': load_from: " in mine and words in mine


def test_every_checkpoint_that_mmdet_names_is_found_by_its_config() -> None:
    found: dict[str, str] = {}
    for name, path in zoo._files().items():
        try:
            found[name] = checkpoint_of("load_from", "zoo", path, path.parent)
        except UserError as error:
            assert "load_from: mmdet names " in str(error)
    assert len(found) > 560  # of 827
    assert all(url.startswith("https://") and url.endswith(".pth") for url in found.values())
    # Its folder is written as in an address, in the file that says so; in others it is another's, or none.
    assert "/gn%2Bws/" in found["gn+ws/faster-rcnn_r50_fpn_gn-ws-all_1x_coco.py"]
    assert "ddq_detr_5scale" in found["ddq/ddq-detr-5scale_r50_8xb2-12e_coco.py"]


class Renaming(torch.nn.Linear):
    """A layer whose weight had another name once, which it takes, as layers of mmcv and mmdet do."""

    def _load_from_state_dict(self, weights: dict[str, Any], prefix: str, *given: Any) -> None:
        if (old := f"{prefix}old") in weights:
            weights[f"{prefix}weight"] = weights.pop(old)
        super()._load_from_state_dict(weights, prefix, *given)


def model() -> torch.nn.Module:
    return torch.nn.Sequential(Renaming(2, 3), torch.nn.BatchNorm1d(3))


def loaded_into(made: torch.nn.Module, content: Any, file: Path) -> Loaded:
    """What the job's runner notes of loading a file."""
    from mmengine.runner import runner

    from benchmark.job.starting import counted_loading

    torch.save(content, file)
    with counted_loading(str(file)) as told:
        checkpoint = runner._load_checkpoint(str(file), map_location="cpu")
        runner._load_checkpoint_to_model(made, checkpoint, False)
    return told()


WHOLE: Mapping[str, torch.Tensor] = {
    "module.0.old": torch.ones(3, 2),
    "module.0.bias": torch.ones(3),
    "module.1.weight": torch.ones(4),
    "module.1.bias": torch.ones(3),
    "module.1.running_mean": torch.ones(3),
    "module.2.weight": torch.ones(1),
}


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_fits_is_loaded_and_the_rest_is_told(tmp_path: Path, wrapped: bool) -> None:
    made = model()
    content = {"state_dict": dict(WHOLE)} if wrapped else dict(WHOLE)
    loaded = loaded_into(made, content, tmp_path / "w.pth")
    assert loaded.used == 4
    assert loaded.unused == {
        "2.weight": "not in the model",
        "1.weight": "(4) in the file, (3) in the model",
    }
    assert loaded.fresh == ["1.running_var", "1.weight"]
    state = made.state_dict()
    for key in ("0.weight", "0.bias", "1.bias", "1.running_mean"):
        assert bool((state[key] == 1).all())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model": {"0.weight": torch.ones(3, 2)}}, "none of its 1 key (model ...) fits the model"),
        ({"state_dict": {"0.weight": torch.ones(3, 3)}}, "none of its 1 key (0.weight ...) fits"),
        ({"state_dict": {}}, "none of its 0 keys"),
        ({"1.num_batches_tracked": torch.tensor(3)}, "none of its 1 key"),
        (torch.ones(3), "holds no weights by name"),
        ({"state_dict": None}, "holds no weights by name"),
        ({"state_dict": {1: torch.ones(3)}}, "holds no weights by name"),
    ],
)
def test_a_file_of_which_nothing_fits_is_no_start(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(UserError, match="load_from: ") as caught:
        loaded_into(model(), content, tmp_path / "w.pth")
    assert told in str(caught.value)
