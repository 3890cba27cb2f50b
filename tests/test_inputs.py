"""A record names what was read: a file that changes between plan and training ends the run, until it is put back."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, variant
from test_job import QUICK

from benchmark.data.annotations import read_annotations
from benchmark.files import read_jsonl
from benchmark.job import job
from benchmark.job.building import read_content
from benchmark.job.inputs import Inputs, NotAsAsked
from benchmark.job.job import run_job
from benchmark.run.contents import named_path
from benchmark.run.loaded import Loaded
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare, set_aside
from benchmark.run.record import FailureKind, RunRecord, State
from benchmark.run.spec import MODULE
from benchmark.run.state import Planned
from benchmark.sweep.missing import missing


class Desk:
    """A run of the tiny experiment on data of its own."""

    def __init__(self, folder: Path, synthetic: Path) -> None:
        self.data = folder / "data"
        shutil.copytree(synthetic, self.data)
        self.results = folder / "results"
        self.experiment = TINY
        self.overrides: dict[str, Any] = {"train_cfg.max_epochs": 1}

    def plan(self) -> list[Planned]:
        request = Request(
            self.experiment,
            self.results,
            data_root=self.data,
            rows=("plain",),
            overrides=self.overrides,
        )
        return missing(make_plan(request))

    def run(self) -> RunRecord:
        """Runs what is planned, in the folder as it is prepared."""
        (run,) = self.plan()
        if run.record is not None:
            set_aside(run)
        prepare(run)
        run_job(run.folder.path, QUICK)
        return run.folder.read_record()


@pytest.fixture
def desk(tmp_path: Path, synthetic_data: Path) -> Desk:
    return Desk(tmp_path, synthetic_data)


OF_ANOTHER = {
    "neck.lateral_convs.0.conv.bias": torch.zeros(16),
    "bbox_head.retina_cls.bias": torch.zeros(720),
    "roi_head.fc.weight": torch.zeros(81),
}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _changed(path: Path) -> bytes:
    """Changes a file; returns what it held."""
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    return before


@pytest.mark.parametrize("name", ["train.json", "val.json", "config.py", "weights.pth"])
def test_a_file_that_changes_after_the_plan_fails_the_run(desk: Desk, name: str) -> None:
    weights = desk.data / "weights.pth"
    torch.save({"state_dict": {}}, weights)
    desk.overrides["load_from"] = str(weights)
    (run,) = desk.plan()
    prepare(run)
    path = run.folder.config_file if name == "config.py" else desk.data / name
    asked, before = _sha256(path), _changed(path)
    run_job(run.folder.path, QUICK)
    record = run.folder.read_record()
    assert record.state is State.FAILED
    assert record.failure_kind is FailureKind.DATA
    for told in (str(path), asked, _sha256(path), "give the command again"):
        assert told in record.cause
    assert read_jsonl(run.folder.metrics_file) == []
    if name != "config.py":  # which the next sweep writes anew
        (other,) = desk.plan()
        assert other.spec.run_id != run.spec.run_id
        path.write_bytes(before)
    (again,) = desk.plan()
    assert (again.spec.run_id, again.state) == (run.spec.run_id, State.FAILED)


def test_a_module_that_changes_after_the_plan_fails_the_run(desk: Desk, tmp_path: Path) -> None:
    desk.experiment = variant(tmp_path / "mine", lambda _: None)
    module = desk.experiment.parent / "module_of_mine.py"
    module.write_text("VALUE = 1\n")
    desk.overrides["+custom_imports"] = {"imports": [module.stem], "allow_failed_imports": False}
    (run,) = desk.plan()
    prepare(run)
    asked, _ = _sha256(module), _changed(module)
    run_job(run.folder.path, QUICK)
    record = run.folder.read_record()
    assert record.failure_kind is FailureKind.DATA
    for told in (str(module.with_suffix("")), asked, _sha256(module)):
        assert told in record.cause
    (other,) = desk.plan()
    assert other.spec.run_id != run.spec.run_id


def test_a_process_takes_no_module_for_another_of_its_name(desk: Desk, tmp_path: Path) -> None:
    name = "module_of_two"
    desk.overrides["+custom_imports"] = {"imports": [name], "allow_failed_imports": False}

    def read(number: int) -> None:
        """Plans a run of an experiment with a module of its own, and reads its config as its job does."""
        folder = tmp_path / str(number)
        if not folder.exists():
            desk.experiment = variant(folder, lambda _: None)
            (folder / f"{name}.py").write_text(f"VALUE = {number}\n")
        desk.experiment = folder / "tiny.yaml"
        (run,) = desk.plan()
        prepare(run)
        assert run.spec.given[f"{MODULE}{name}"] == _sha256(folder / f"{name}.py")
        read_content(run.spec, run.folder, Inputs(run.spec, run.folder))

    read(1)
    with pytest.raises(NotAsAsked, match=f"{name} is not what this process has imported"):
        read(2)
    read(1)


def test_what_was_parsed_is_held_against_the_plan(desk: Desk) -> None:
    (run,) = desk.plan()
    inputs = Inputs(run.spec, run.folder)
    val = desk.data / "val.json"
    inputs.check_parsed(read_annotations(val))
    before = _changed(val)
    parsed = read_annotations(val)
    val.write_bytes(before)  # so that the file itself tells nothing
    with pytest.raises(NotAsAsked, match=parsed.sha256):
        inputs.check_parsed(parsed)


@pytest.mark.trains
def test_a_record_names_what_was_read(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A training starts from weights in a shared folder, its backbone from a file; at first a file changes."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    fetched = tmp_path / "shared" / "weights.pth"
    fetched.parent.mkdir(parents=True)
    monkeypatch.setenv("DETBOARD_WEIGHTS", str(fetched.parent))
    torch.save(
        dict(OF_ANOTHER), fetched
    )  # of a detector of 80 classes and two stages, without a wrapping
    local, address = tmp_path / "backbone.pth", "https://example.org/weights.pth"
    torch.save({"state_dict": {"x": torch.zeros(1)}}, local)
    init = {"type": "Pretrained", "checkpoint": str(local)}
    desk.overrides |= {"load_from": address, "+model.backbone.init_cfg": init}
    first = _run_with_a_change_on_the_way(desk, monkeypatch)

    record = desk.run()  # the same command again
    assert record.run_id == first.run_id
    assert record.state is State.COMPLETE
    hashes = record.provenance.hashes
    read = [desk.data / "train.json", desk.data / "val.json"]
    assert [hashes.train, hashes.val] == [_sha256(path) for path in read]
    folder = desk.results / "runs" / record.run_id
    assert hashes.config == _sha256(folder / "config.py")
    assert hashes.files == {address: _sha256(fetched), str(local): _sha256(local)}
    assert (folder / "record-1.json").exists()
    assert not (tmp_path / "torch").exists()  # read where they lie
    _holds_what_fits(record.loaded, address, capsys.readouterr().out)


def _holds_what_fits(loaded: Loaded | None, address: str, said: str) -> None:
    assert loaded is not None and loaded.used == 1
    assert (loaded.file, loaded.unused) == (
        address,
        {
            "roi_head.fc.weight": "not in the model",
            "bbox_head.retina_cls.bias": "(720) in the file, (90) in the model",
        },
    )
    assert "bbox_head.retina_cls.bias" in loaded.fresh
    assert "neck.lateral_convs.0.conv.bias" not in loaded.fresh
    assert f"starts from {address}: 1 of its 3 keys used, 2 not, " in said
    assert "  not used: roi_head.fc.weight: not in the model\n" in said


def _run_with_a_change_on_the_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    build, train = job.build_runner, desk.data / "train.json"
    before = train.read_bytes()

    def build_and_change(*arguments: Any) -> Any:
        made = build(*arguments)
        _changed(train)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(job, "build_runner", build_and_change)
        record = desk.run()
    train.write_bytes(before)
    assert (record.state, record.failure_kind) == (State.FAILED, FailureKind.DATA)
    assert str(train) in record.cause
    return record


def test_a_path_with_a_home_is_that_of_its_user() -> None:
    assert named_path("~/w.pth") == Path.home() / "w.pth"
    assert named_path("~nobody-here/w.pth") == Path.cwd() / "~nobody-here/w.pth"
