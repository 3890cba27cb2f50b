"""Rows that are made from a whole config: mmdet's by name, or one's own by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from command import TINY

from benchmark.errors import UserError
from benchmark.run.plan import Plan, Request, make_plan

FASTER = "faster-rcnn_r50_fpn_1x_coco"


def experiment(folder: Path, *rows: dict[str, Any]) -> Path:
    """An experiment of these rows under the tiny profile, which its folder has a copy of."""
    profiles = folder / "configs" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "tiny.py").write_text((TINY.parent / "configs/profiles/tiny.py").read_text())
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"profile": "tiny", "rows": list(rows)}, sort_keys=False))
    return path


@pytest.fixture
def planned(tmp_path: Path, synthetic_data: Path) -> Any:
    def plan(*rows: dict[str, Any], **asked: Any) -> Plan:
        path = experiment(tmp_path, *rows)
        return make_plan(Request(path, tmp_path / "results", data_root=synthetic_data, **asked))

    return plan


def test_a_config_is_named_in_three_ways(planned: Any, tmp_path: Path) -> None:
    mine = tmp_path / "models" / "mine.py"
    mine.parent.mkdir()
    mine.write_text(f"_base_ = ['mmdet::faster_rcnn/{FASTER}.py']\n")
    names = (FASTER, f"mmdet::faster_rcnn/{FASTER}.py", "models/mine.py")
    made = planned(*({"name": f"row{i}", "config": name} for i, name in enumerate(names)))
    assert len({run.spec.run_id.rpartition("-")[2] for run in made.runs}) == 1
    assert [run.spec.names for run in made.runs] == [{"config": name} for name in names]
    sources = [[Path(file).name for file in run.spec.sources] for run in made.runs]
    # mmdet's own files are known by its version, which is in every record.
    assert sources == [
        ["mine.yaml", "runtime.py", *more, "tiny.py"] for more in ([], [], ["mine.py"])
    ]


WRONG = {
    FASTER.replace(
        "-", "_"
    ): "mmdet has no config of this name, and the path of a file ends in .py; nearest of "
    f"mmdet's: mmdet::faster_rcnn/{FASTER}.py, ",
    "mmdet::faster_rcnn/no.py": "mmdet has no config 'faster_rcnn/no.py'",
    f"mmdet::retinanet/{FASTER}.py": f"nearest of mmdet's: mmdet::faster_rcnn/{FASTER}.py",
    "mmdet::../../__init__.py": "mmdet has no config '../../__init__.py'",
    f"{FASTER}.py": f"mine/{FASTER}.py; nearest of mmdet's: mmdet::faster_rcnn/{FASTER}.py",
    "grounding_dino_swin-t_pretrain_odinw13": "mmdet has 2 configs of this name; write one of ",
    "dino": "nearest of mmdet's: mmdet::dino/dino-",
}


def test_every_wrong_name_is_told_with_the_nearest(tmp_path: Path, synthetic_data: Path) -> None:
    (tmp_path / "mine").mkdir()
    rows: list[dict[str, Any]]
    rows = [{"name": f"row{i}", "config": name} for i, name in enumerate(WRONG)]
    rows.append({"name": "parts", "config": FASTER, "replace": {"neck": "fpm", "head": "retna"}})
    path = experiment(tmp_path / "mine", *rows)
    with pytest.raises(UserError) as caught:
        make_plan(Request(path, tmp_path / "results", data_root=synthetic_data))
    told = caught.value.problems
    for number, (name, words) in enumerate(WRONG.items()):
        (mine,) = [problem for problem in told if problem.startswith(f"row 'row{number}': ")]
        assert f"config '{name}': " in mine and words in mine
    assert [p.partition("; allowed")[0] for p in told if "'parts'" in p] == [
        "row 'parts': replace.head: no part 'retna'",
        "row 'parts': replace.neck: no part 'fpm'",
    ]
