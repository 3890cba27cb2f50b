"""Parts that rest on configs which mmdet ships, as docs/parts.md has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from command import Bench, variant
from mmengine import Config

from benchmark.config.config_file import load_config

DOCS = Path(__file__).parent.parent / "docs" / "parts.md"
SMALL = {
    "model.bbox_head": {"in_channels": 16, "feat_channels": 64, "stacked_convs": 1},
    "train_cfg": {"max_epochs": 1, "val_interval": 1},
}
PARTS = {"backbone": "tiny", "neck": "tiny", "head": "atss", "schedule": "schedule_20e"}


def write_documented_parts(folder: Path) -> list[Path]:
    """The files of the section, under ``folder``."""
    section = DOCS.read_text().partition("## Bases of mmdet\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"`(configs/\S+\.py)`:\n\n```python\n(.*?)```", section, re.DOTALL)
    for name, text in blocks:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / name for name, _ in blocks]


def test_documented_parts_read_as_in_mmengine(tmp_path: Path) -> None:
    paths = write_documented_parts(tmp_path)
    assert len(paths) == 2
    for path in paths:
        assert load_config(path) == Config.fromfile(path).to_dict()


def test_a_base_of_mmdet_stands_beside_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("mine = dict(a=1)\n")
    path = tmp_path / "part.py"
    path.write_text(
        '_base_ = ["own.py", "mmdet::_base_/schedules/schedule_20e.py", "mmdet::_base_/default_runtime.py"]\n'
        "train_cfg = dict(max_epochs=3)\n"
    )
    loaded = load_config(path)
    assert loaded == Config.fromfile(path).to_dict()
    assert (loaded["mine"], loaded["train_cfg"]["max_epochs"]) == ({"a": 1}, 3)


@pytest.mark.trains
def test_documented_parts_train(tmp_path: Path, synthetic_data: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rows"] = [{"name": "atss", "parts": PARTS, "set": SMALL}]

    bench = Bench(synthetic_data, tmp_path / "results", variant(tmp_path, change))
    write_documented_parts(tmp_path)
    done = bench.here("sweep", "--profile", "smoke", "--wandb", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.record("atss")["metrics"]["mAP50"] is not None
    config = (bench.folder("atss") / "config.py").read_text()
    assert "ATSSHead" in config and "base_channels=8" in config and "milestones" in config
