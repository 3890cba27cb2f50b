"""Bad input ends with status 2 and every problem at once; good input shows what was asked for."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from command import COUNTED, TINY, Bench, here, installed_command, opened, run, variant
from typer.testing import CliRunner

from benchmark.cli.app import app


@pytest.fixture
def bench(synthetic_data: Path, tmp_path: Path) -> Bench:
    return Bench(synthetic_data, tmp_path / "results")


def test_help_loads_nothing_heavy() -> None:
    done = run([sys.executable, "-X", "importtime", "-m", "benchmark", "--help"])
    assert done.returncode == 0
    assert "sweep" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {"torch", "mmdet", "mmengine", "wandb", "optuna", "pandas", "numpy", "pydantic", "yaml"}
    assert not loaded & heavy


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


def test_help_is_whole_in_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    runner, cut = CliRunner(), {}
    paths = [*_commands(typer.main.get_command(app))]
    for path in paths:
        shown = runner.invoke(app, [*path, "--help"]).output
        assert max(map(len, shown.splitlines())) == 80
        cut[path] = [line for line in shown.splitlines() if "\u2026" in line]
    assert ("tune",) in cut and ("data", "split") in cut
    assert {path: lines for path, lines in cut.items() if lines} == {}


def test_the_readme_names_every_command_and_what_most_of_them_take() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text().partition("## Commands")[2]
    command: Any = typer.main.get_command(app)
    main = [command.commands[name] for name in ("plan", "config", "sweep", "report", "tune", "all")]
    options = {opt for each in main for param in each.params for opt in param.opts}
    asked = sorted(option for option in options if option.startswith("--"))
    assert len(asked) > 20
    assert [option for option in asked if not re.search(rf"`[^`]*{option}\b", readme)] == []
    names = [name for name in command.commands if name not in ("data", "runs")]
    assert [name for name in names if f"`detboard {name}" not in readme] == []


def test_a_current_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    command = shlex.join([*installed_command(tmp_path), "--version"])
    (tmp_path / "gone").mkdir()
    done = run(["bash", "-c", f"cd {shlex.quote(str(tmp_path))}/gone && rmdir $PWD && {command}"])
    assert done.returncode == 2
    assert done.stderr.startswith("error: the current folder was removed; change to one that is")


def test_plan_shows_what_would_run_and_trains_nothing(bench: Bench) -> None:
    done = bench.here("plan", "--seeds", "0,1")
    assert done.returncode == 0, done.stderr
    assert "4 of 4 runs are missing" in done.stdout
    assert done.stdout.count("waiting") == 4
    assert not (bench.results / "runs").exists()


def test_config_prints_a_plain_mmdet_config(bench: Bench, tmp_path: Path) -> None:
    from mmengine.config import Config

    done = bench.here("config", "--rows", "momentum", "--set", "optim_wrapper.optimizer.lr=1e-3")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "printed.py"
    path.write_text(done.stdout)
    config = Config.fromfile(str(path))
    assert config.optim_wrapper.optimizer.lr == 1e-3
    assert config.optim_wrapper.optimizer.momentum == 0.8
    assert config.model.bbox_head.num_classes == 10
    assert Path(config.train_dataloader.dataset.ann_file) == bench.data / "train.json"


def without_data(folder: Path, **dataset: Any) -> list[str]:
    """Prints the config of a row whose experiment names data that is not there."""
    path = variant(folder, lambda content: content.update(dataset=dataset))
    return ["config", str(path), "--rows", "plain", "--results", str(folder / "results")]


def test_config_needs_no_data_where_the_classes_are_named(tmp_path: Path) -> None:
    from mmengine.config import Config

    done = here(without_data(tmp_path, root="waste", classes=["can", "bag"]))
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'waste' / 'train.json'}: the data was not found" in done.stderr
    (tmp_path / "printed.py").write_text(done.stdout)
    config = Config.fromfile(str(tmp_path / "printed.py"))
    assert config.model.bbox_head.num_classes == 2
    dataset = config.train_dataloader.dataset
    assert (dataset.ann_file, dataset.data_prefix.img) == (
        str(tmp_path / "waste" / "train.json"),
        f"{tmp_path / 'waste' / 'images'}/",
    )
    assert dataset.metainfo.classes == ("can", "bag")
    assert config.val_evaluator.ann_file == str(tmp_path / "waste" / "val.json")


def test_config_without_data_has_the_paths_of_both_splits(tmp_path: Path) -> None:
    splits = {
        name: {"annotations": f"{name}_1.json", "images": f"pictures/{name}"}
        for name in ("train", "val")
    }
    done = here(without_data(tmp_path, classes=["can"], **splits))
    assert done.returncode == 0, done.stderr
    for path in ("train_1.json", "val_1.json", "pictures/train/", "pictures/val/"):
        assert f"'{tmp_path / path}" in done.stdout


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ({"root": "waste"}, "waste: no such folder"),
        ({"classes": ["can"]}, "no data: give --data-root"),
        ({"root": "there", "classes": ["can"]}, "val.json: no such annotation file"),
    ],
)
def test_config_wants_data_without_classes_or_where_some_is_there(
    tmp_path: Path, dataset: dict[str, Any], told: str
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "train.json").write_text("{}")
    problems = _problems(here(without_data(tmp_path, **dataset)))
    assert any(told in problem for problem in problems)


def test_config_wants_the_data_that_an_option_names(tmp_path: Path) -> None:
    command = without_data(tmp_path, root="waste", classes=["can"])
    (problem,) = _problems(here([*command, "--data-root", str(tmp_path / "no")]))
    assert "no: no such folder" in problem


@pytest.mark.parametrize("command", ["sweep", "plan"])
def test_classes_alone_are_no_data_to_run_on(tmp_path: Path, command: str) -> None:
    path = variant(
        tmp_path, lambda content: content.update(dataset={"root": "waste", "classes": ["can"]})
    )
    (problem,) = _problems(here([command, str(path), "--results", str(tmp_path / "out")]))
    assert "waste: no such folder" in problem
    assert "give --data-root DIR" in problem and "detboard data synthesize" in problem


def test_config_wants_one_run(bench: Bench) -> None:
    done = bench.here("config")
    assert done.returncode == 2
    assert "plain, momentum" in done.stderr


def _problems(done: object) -> list[str]:
    assert done.returncode == 2, done.stdout + done.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
    lines = done.stderr.splitlines()  # type: ignore[attr-defined]
    return [line for line in lines if line.startswith("error: ")]


def test_every_problem_of_an_experiment_is_told_at_once(tmp_path: Path) -> None:
    content = yaml.safe_load(TINY.read_text())
    content["rows"][0]["published"] = 45.27
    content["rows"][1]["partz"] = {}
    content["seeds"] = [0, 0]
    content["profil"] = "smoke"
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content))
    problems = _problems(here(["sweep", str(path)]))
    for field in ("rows.0.published", "rows.1.partz", "seeds", "profil"):
        assert any(f"{path}: {field}:" in problem for problem in problems), (field, problems)


@pytest.mark.slow
def test_unknown_names_come_with_the_allowed_ones(bench: Bench) -> None:
    problems = _problems(bench.here("sweep", "--rows", "plane", "--profile", "fool"))
    assert any("plane" in problem and "did you mean 'plain'?" in problem for problem in problems)
    assert any("fool" in problem and "allowed: " in problem for problem in problems)
    assert any(
        "no such launcher" in p for p in _problems(bench.here("sweep", "--launcher", "slurn"))
    )
    assert any("--wandb on" in p for p in _problems(bench.here("sweep", "--wandb", "on")))
    assert any("--retry lost" in p for p in _problems(bench.here("sweep", "--retry", "lost")))
    assert any("--seeds 1,x" in p for p in _problems(bench.here("sweep", "--seeds", "1,x")))


def test_unknown_part_names_its_row(tmp_path: Path, synthetic_data: Path) -> None:
    def misspell(content: dict[str, Any]) -> None:
        content["rows"][0]["parts"]["backbone"] = "resnet5"

    path = variant(tmp_path, misspell)
    (problem,) = _problems(Bench(synthetic_data, tmp_path / "results", path).here("plan"))
    assert "resnet5" in problem
    assert "resnet50" in problem
    assert "tiny" in problem


def test_wrong_overrides_are_told_at_once(bench: Bench) -> None:
    wrong = ["optim_wrapper.optimizer.lrr=0.1", "model.neck.out_channels={}", "no_equals_sign"]
    options = [part for text in wrong[:2] for part in ("--set", text)]
    problems = "\n".join(_problems(bench.here("sweep", *options)))
    assert "optim_wrapper.optimizer.lrr" in problems
    assert "optim_wrapper.optimizer.lr" in problems
    assert "model.neck.out_channels" in problems
    assert any(wrong[2] in p for p in _problems(bench.here("sweep", "--set", wrong[2])))


@pytest.mark.parametrize("command", ["sweep", "plan"])
def test_missing_data_is_told_before_anything_runs(tmp_path: Path, command: str) -> None:
    bench = Bench(tmp_path / "nowhere", tmp_path / "results")
    (problem,) = _problems(bench.here(command))
    assert str(tmp_path / "nowhere") in problem
    assert not (tmp_path / "results" / "runs" / "plain-s0-tiny").exists()


def test_faults_in_the_data_are_told_before_any_training(
    synthetic_data: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(synthetic_data, tmp_path / "data")
    train = json.loads((data / "train.json").read_text())
    train["annotations"][0]["category_id"] = 99
    train["annotations"][1]["area"] = "5000"
    (data / "train.json").write_text(json.dumps(train))
    (data / "images" / train["images"][-1]["file_name"]).unlink()
    bench = Bench(data, tmp_path / "results")
    problems = "\n".join(_problems(bench.here("sweep")))
    assert "99" in problems
    assert "5000" in problems
    assert train["images"][-1]["file_name"] in problems
    assert not list(bench.results.glob("runs/*/log.txt"))


def test_data_check_counts_and_judges(synthetic_data: Path) -> None:
    done = here(["data", "check", str(synthetic_data)])
    assert done.returncode == 0, done.stderr
    assert "Styrofoam" in done.stdout


def test_missing_experiment_is_a_message() -> None:
    (problem,) = _problems(here(["sweep", "no/such.yaml"]))
    assert "no/such.yaml" in problem


@pytest.mark.slow
def test_doctor_says_where_the_ops_come_from() -> None:
    done = run([sys.executable, "-m", "benchmark", "doctor"])
    assert "torchvision: carafe, deform_conv, deform_roi_pool, " in done.stdout
    assert "torch" in done.stdout
    assert "offline" in done.stdout


def test_report_without_runs_says_what_to_do(tmp_path: Path) -> None:
    command = ["report", str(TINY), "--results", str(tmp_path / "results")]
    (problem,) = _problems(here(command))
    assert "detboard sweep" in problem


def _opened(arguments: list[str]) -> dict[str, int]:
    """How often the command opens the annotation files."""
    done = run([*COUNTED, *arguments])
    assert done.returncode == 0, done.stderr
    return opened(done.stderr)


def test_data_check_reads_each_annotation_file_once(synthetic_data: Path) -> None:
    assert _opened(["data", "check", str(synthetic_data)]) == {"train.json": 1, "val.json": 1}


def test_plan_reads_each_annotation_file_once(bench: Bench) -> None:
    assert _opened(bench.arguments("plan")[3:]) == {"train.json": 1, "val.json": 1}
