"""The examples of the tuning docs are studies that start, over the rows that the text names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import variant

from benchmark.experiment import experiment
from benchmark.run.plan import Request
from benchmark.tuning import study_file
from benchmark.tuning.dry_run import dry_run
from benchmark.tuning.search.knobs import KNOBS
from benchmark.tuning.strategies import PRUNERS, SAMPLERS
from benchmark.tuning.study import Study, read_study
from benchmark.yaml_file import read_yaml

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "tuning.md").read_text()
SMALL = {"experiment": str(ROOT / "experiments" / "small.yaml"), "row": "r18_w16_fpn"}
LARGE = {"experiment": str(ROOT / "experiments" / "leaderboard.yaml"), "row": "r50_fpn_3x"}


def blocks(text: str) -> list[dict[str, Any]]:
    found = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return [yaml.safe_load(block) for block in found]


def started(content: dict[str, Any], data: Path, folder: Path) -> Study:
    path = folder / "study.yaml"
    whole = {"n_trials": 3, "search": {"lr": {"choices": [0.001, 0.01]}}, **content}
    path.write_text(yaml.safe_dump(whole))
    return read_study(Request(path=path, results=folder / "results", data_root=data))


def of_row(content: dict[str, Any]) -> dict[str, Any]:
    """The row that the example is about: the text says which."""
    if content.get("row") == "together":
        return {"row": "together", **_without_paths(content)}
    narrow = "optimizer" in content.get("search", {}) or "search" not in content
    return {**(SMALL if narrow or "row" in content else LARGE), **_without_paths(content)}


def _without_paths(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in ("experiment", "row")}


@pytest.mark.parametrize("number", range(len(blocks(DOCS))))
def test_example_starts(number: int, synthetic_data: Path, tmp_path: Path) -> None:
    content = blocks(DOCS)[number]
    board = {"experiment": str(_fused_board(tmp_path))} if content.get("row") == "together" else {}
    made = started({"name": "docs", **of_row(content), **board}, synthetic_data, tmp_path)
    assert set(made.space.names) == set(content.get("search", {"lr": ...}))


def _fused_board(folder: Path) -> Path:
    """An experiment with the fused row of docs/boxes.md, whose sources are small trainings."""
    found = [block.get("rows", []) for block in blocks((ROOT / "docs" / "boxes.md").read_text())]
    rows = next(rows for rows in found if any("fuse" in row for row in rows))
    parts = dict.fromkeys(("backbone", "neck", "head", "schedule"), "tiny")
    sources = [{"name": row["name"], "parts": parts} for row in rows if "fuse" not in row]
    return variant(folder, lambda e: e.update(rows=[*sources, rows[-1]]))


def test_example_of_the_readme_starts(synthetic_data: Path, tmp_path: Path) -> None:
    examples = [block for block in blocks((ROOT / "README.md").read_text()) if "search" in block]
    assert len(examples) == 1
    started({"name": "readme", **of_row(examples[0])}, synthetic_data, tmp_path)


def test_key_that_is_added_says_what_stands_for_the_row(
    synthetic_data: Path, tmp_path: Path
) -> None:
    path = re.search(r"`path: (\+[\w.]+)` with `published: (\w+)`", DOCS)
    assert path is not None
    added = {"path": path[1], "choices": [False, True], "published": yaml.safe_load(path[2])}
    made = started({**LARGE, "search": {"x": added}}, synthetic_data, tmp_path)
    assert made.space.published() == {"x": False}


def test_shipped_study_starts(synthetic_data: Path, tmp_path: Path) -> None:
    path = ROOT / "experiments" / "tune" / "small.yaml"
    made = read_study(Request(path=path, results=tmp_path, data_root=synthetic_data))
    assert made.file.row == SMALL["row"]


def test_the_budget_in_the_docs_is_what_a_dry_run_says(
    synthetic_data: Path, tmp_path: Path
) -> None:
    # Hyperband draws brackets from the study's name, so the simulated study bears that of the real one.
    shipped = ROOT / "experiments" / "tune" / "small.yaml"
    made = read_study(Request(path=shipped, results=tmp_path, data_root=synthetic_data))
    told = "\n".join(f"    {line}".rstrip() for line in dry_run(made, 2, True, None, None))
    shown = re.search(r"    over 20 simulated studies.*?(?=\n\n)", DOCS, re.DOTALL)
    assert shown is not None
    assert shown[0] in told


@pytest.mark.parametrize("name", [*KNOBS, *SAMPLERS, *PRUNERS])
def test_docs_name_everything(name: str) -> None:
    assert f"`{name}`" in DOCS


def test_study_and_its_experiment_are_each_read_once(
    synthetic_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path, kind: str) -> dict[str, Any]:
        read.append(path.name)
        return read_yaml(path, kind)

    monkeypatch.setattr(experiment, "read_yaml", counted)
    monkeypatch.setattr(study_file, "read_yaml", counted)
    started({**SMALL, "name": "once"}, synthetic_data, tmp_path)
    assert sorted(read) == ["small.yaml", "study.yaml"]
