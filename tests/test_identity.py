"""What a run id counts: everything that changes the result, by its place, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from boards import DATA
from command import LEADERBOARD, SHIPPED, variant
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.errors import UserError
from benchmark.experiment.experiment import load_experiment
from benchmark.run.contents import Contents
from benchmark.run.identity import Essences, essence, former_run_id, run_id
from benchmark.run.plan import Plan, Request, make_plan, plan_for

# Run ids of the shipped experiments on data with the hashes of `DATA`: they name folders that people have.
KNOWN = {
    "r50_fpn_freeanchor_1x": "b8c39b84",
    "r50_fpn_pisa_1x": "9395fb42",
    "r50_fpg_50e": "32e7758c",
    "r50_fpn_90k": "40c29159",
    "r50_fpn_3x": "6c4bd1df",
    "r101_fpn_3x": "3a87e71f",
    "x101_fpn_3x": "8e4b0f05",
    "convnext_tiny_fpn_3x": "a3c34787",
    "convnext_large_fpn_3x": "c3748a25",
    "r18_w16_fpn": "e9a40841",
}


class Asked:
    """The tiny experiment in a folder of its own, planned with something changed."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.path = variant(folder, lambda _: None)

    def plan(self, needs_data: bool = True, **overrides: Any) -> Plan:
        request = Request(
            self.path,
            self.folder / "results",
            data_root=self.data,
            rows=("plain",),
            overrides=overrides,
            needs_data=needs_data,
        )
        return make_plan(request)

    def id(self, needs_data: bool = True, **overrides: Any) -> str:
        return self.plan(needs_data, **overrides).runs[0].spec.run_id


@pytest.fixture
def asked(synthetic_data: Path, tmp_path: Path) -> Asked:
    return Asked(tmp_path / "mine", synthetic_data)


def _plan(asked: Asked, *more: str) -> tuple[int, str]:
    common = ["--data-root", str(asked.data), "--results", str(asked.folder / "results")]
    done = CliRunner().invoke(app, ["plan", str(asked.path), *common, *more])
    if isinstance(done.exception, UserError):  # the command's own frame prints it
        return 2, str(done.exception)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


COUNTS = [
    {"+train_dataloader.sampler.seed": 1},
    {"+train_dataloader.sampler.seed": 2},
    {"+custom_hooks": [{"type": "mine.Hook", "work_dir": "x"}]},
    {"+custom_hooks": [{"type": "mine.Hook", "seed": 3}]},
    {"+model.train_cfg.num_workers": 3},
    {"+model.persistent_workers": True},
    {"+model.backend_args": {"a": 1}},
    {"+train_dataloader.dataset.pipeline.0.backend_args": {"backend": "local"}},
    {"+model.visualizer": "v"},
    {"+model.resume": True},
    {"+custom_hooks": [{"type": "mine.Hook", "launcher": "x", "log_level": "y"}]},
    {"+randomness.deterministic": True},
    {"+randomness.diff_rank_seed": True},
]
NOTHING = [
    {"+work_dir": "elsewhere"},
    {"log_level": "DEBUG"},
    {"+launcher": "none"},
    {"resume": False},
    {"visualizer.name": "other"},
    {"vis_backends": []},
    {"val_dataloader.persistent_workers": False},
    {"+train_dataloader.dataset.backend_args": {"backend": "local"}},
    {"+val_evaluator.backend_args": {"backend": "local"}},
    {"+model.backend_args": None},
]


def test_keys_count_by_their_place_and_not_by_their_name(asked: Asked) -> None:
    own = asked.id()
    ids = [asked.id(**overrides) for overrides in COUNTS]
    assert len({own, *ids}) == len(COUNTS) + 1
    assert [asked.id(**overrides) for overrides in NOTHING] == [own] * len(NOTHING)
    assert asked.id(**{"val_dataloader.num_workers": 3}) == own


def test_annotations_of_a_leafs_own_count(asked: Asked, tmp_path: Path) -> None:
    (run,) = asked.plan().runs
    data = run.spec.dataset
    config: dict[str, Any] = dict(run.config)
    own = essence(config, data)
    leaf = config["train_dataloader"]["dataset"]

    def with_file(path: Path | str, **more: object) -> str:
        changed = {**leaf, "ann_file": str(path), **more}
        return essence(
            {**config, "train_dataloader": {**config["train_dataloader"], "dataset": changed}}, data
        )

    assert with_file(data.train.annotations) == own
    assert with_file(data.val.annotations) != own
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "more.json").write_text("{}")
    first = with_file(tmp_path / "a" / "more.json")
    assert first not in (own, with_file(data.val.annotations))
    assert first == with_file(tmp_path / "b" / "more.json")
    assert first == with_file("more.json", data_root=str(tmp_path / "b"))
    (tmp_path / "b" / "more.json").write_text("{ }")
    assert first != with_file(tmp_path / "b" / "more.json")
    assert own == with_file(data.train.annotations, data_prefix={"img": "elsewhere/"})
    assert own != with_file(data.train.annotations, data_prefix={"img": "x/", "seg": "maps/"})


def test_other_weights_under_the_same_name_are_another_run(asked: Asked, tmp_path: Path) -> None:
    weights, copy = tmp_path / "w.pth", tmp_path / "copy.pth"
    weights.write_bytes(b"one")
    copy.write_bytes(b"one")
    first = asked.id(load_from=str(weights))
    assert first != asked.id()
    assert first == asked.id(load_from=str(copy))
    (spec,) = [run.spec for run in asked.plan(load_from=str(copy)).runs]
    assert list(spec.files) == [str(copy)]
    init = {"+model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": str(weights)}}
    with_init = asked.id(**init)
    weights.write_bytes(b"two")
    assert asked.id(load_from=str(weights)) != first
    assert asked.id(**init) != with_init
    # A report of what was run needs the weights no more.
    copy.unlink()
    assert asked.id(needs_data=False, load_from=str(copy)) == first


def test_weights_in_a_file_with_a_name_like_a_word_count(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for content in (b"one", b"two"):
        (tmp_path / "weights").write_bytes(content)
        init = {"type": "Pretrained", "checkpoint": "weights"}
        (spec,) = [run.spec for run in asked.plan(load_from="weights").runs]
        assert list(spec.files) == ["weights"]
        found += [spec.run_id, asked.id(**{"+model.backbone.init_cfg": init})]
    assert len(set(found)) == 4


def test_a_package_beside_the_experiment_counts_behind_a_link(asked: Asked, tmp_path: Path) -> None:
    (asked.folder / "own_package").mkdir()
    module = asked.folder / "own_package" / "__init__.py"
    module.write_text("x = 1")
    asked.path = tmp_path / "link" / asked.path.name
    (tmp_path / "link").symlink_to(asked.folder)
    imports = {"+custom_imports": {"imports": ["own_package"], "allow_failed_imports": False}}
    (spec,) = [run.spec for run in asked.plan(**imports).runs]
    assert [Path(path).resolve() for path in spec.sources if "own_package" in path] == [module]
    module.write_text("x = 2")
    assert asked.id(**imports) != spec.run_id


def test_weights_that_are_not_there_are_refused_before_any_job(asked: Asked) -> None:
    missing = {
        "load_from": "/nowhere/at/all.pth",
        "+model.backbone.init_cfg": "{'type': 'Pretrained', 'checkpoint': 'nowhere.pth'}",
        "+model.teacher_ckpt": "file:///nowhere/teacher.pth",
    }
    options = [part for key, value in missing.items() for part in ("--set", f"{key}={value}")]
    status, output = _plan(asked, *options)
    assert status == 2
    for place in (
        "load_from: /nowhere/at/all.pth",
        "init_cfg.checkpoint: nowhere.pth",
        "teacher_ckpt: file:",
    ):
        assert sum(place in line and "row 'plain'" in line for line in output.splitlines()) == 1
    for fetched in ("torchvision://resnet18", "https://example.org/w.pth", "mmcls://vgg11"):
        assert _plan(asked, "--set", f"load_from={fetched}")[0] == 0


def test_names_never_share_a_run() -> None:
    long = "a" * 60
    names = ["r50-fpn", "r50+fpn", "r50_fpn", "r50.fpn", "r50_fpn_", long, f"{long}b", f"{long}c"]
    ids = [run_id(name, 0, "full", "12345678") for name in names]
    assert len({made.casefold() for made in ids}) == len(names)
    assert ids[2] == "r50_fpn-s0-full-12345678"
    assert ids[5] == f"{long}-s0-full-12345678"
    assert all(made.endswith("-s0-full-12345678") for made in ids)


def test_a_run_that_was_made_when_names_were_squeezed_stays_its_rows(
    synthetic_data: Path, tmp_path: Path
) -> None:
    def rows(content: dict[str, Any]) -> None:
        parts = content["rows"][0]["parts"]
        content["rows"] = [{"name": name, "parts": parts} for name in ("r50-fpn", "r50+fpn")]

    request = Request(variant(tmp_path, rows), tmp_path / "results", data_root=synthetic_data)
    minus, plus = make_plan(request).runs
    assert minus.folder.path != plus.folder.path
    old = former_run_id("r50-fpn", 0, "tiny", minus.spec.run_id.rpartition("-")[2])
    before = minus.spec.__class__.from_json({**minus.spec.to_json(), "run_id": old})
    folder = minus.folder.path.parent / old
    minus.folder.__class__(folder).write_spec(before)
    again = make_plan(request).runs
    assert [run.spec.run_id for run in again] == [old, plus.spec.run_id]


def test_rows_that_differ_in_case_alone_are_refused(asked: Asked) -> None:
    asked.path.write_text(asked.path.read_text().replace("name: momentum", "name: Plain"))
    status, output = _plan(asked)
    assert status == 2
    assert "Plain, plain" in output


def test_run_ids_of_shipped_rows_are_those_of_before() -> None:
    found = {}
    for path in (LEADERBOARD, SHIPPED / "small.yaml"):
        experiment = load_experiment(path)
        request = Request(path, Path("nowhere"), needs_data=False, seeds=(0,))
        for run in plan_for(experiment, request, DATA, experiment.profile, experiment.rows).runs:
            found[run.spec.row] = run.spec.run_id.rpartition("-")[2]
    assert found == KNOWN


LIKE_EACH_OTHER = [
    {"optim_wrapper": {"lr": 1, "betas": [0.9]}, "model": {"type": "A", "b": None}},
    {"optim_wrapper": {"lr": 1.0, "betas": [0.9]}, "model": {"type": "A", "b": None}},
    {"optim_wrapper": {"lr": True, "betas": [0.9]}, "model": {"type": "A"}},
    {"model": {"lr": 1, "betas": [0.9]}, "optim_wrapper": {"type": "A", "b": None}},
    {"optim_wrapper": {"lr": 1, "betas": {0.9}}, "model": {"type": "A", "b": Path("c")}},
]


def test_rows_that_have_sections_in_common_count_as_they_do_alone() -> None:
    """Each twice: what is known of a section is found again; numbers that Python takes for equal are not the same."""
    essences = Essences(None, Contents())
    counted = [essences.of(config)[0] for config in (*LIKE_EACH_OTHER, *LIKE_EACH_OTHER)]
    assert counted == [essence(config) for config in LIKE_EACH_OTHER] * 2
    assert len(set(counted)) == len(LIKE_EACH_OTHER)
    assert counted[0] == json.dumps(LIKE_EACH_OTHER[0], sort_keys=True)
