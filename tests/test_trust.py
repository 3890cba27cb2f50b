"""Files of strangers are data: nothing in them runs, and what would is refused in words."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cmaes
import numpy as np
import optuna
import pytest
import torch
from command import TINY
from desk import make_desk
from mmengine.config import ConfigDict
from mmengine.fileio import load as load_any
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner.checkpoint import CheckpointLoader
from optuna.samplers import CmaEsSampler
from PIL import Image
from records import record
from test_job import QUICK
from typer.testing import CliRunner

import benchmark
from benchmark.cli import app
from benchmark.errors import UserError
from benchmark.job.failures import failure
from benchmark.job.job import run_job
from benchmark.job.weights import NotTrusted, guarded, load_checkpoint
from benchmark.leaderboard.run_of_row import run_of
from benchmark.run.folder import RunFolder
from benchmark.run.pickles import OPTION, code_in
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.record import State
from benchmark.tracking.runs import _plain
from benchmark.tracking.wandb.environment import _url
from benchmark.tuning.sampler_state import load_carefully


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there as soon as code of a stranger has run."""
    return tmp_path / "canary"


def _hostile(canary: Path) -> Call:
    return Call(os.mkdir, str(canary))


HOSTILE: dict[str, Callable[[Path], object]] = {
    "posix": _hostile,
    "eval": lambda canary: Call(eval, f"__import__('os').mkdir({str(canary)!r})"),
    "getattr": lambda canary: Call(getattr, Call(__import__, "os"), "mkdir"),
    "methods": lambda canary: [Call(getattr, HistoryBuffer, "mean"), _hostile(canary)],
    "subprocess": lambda canary: {"state_dict": {}, "meta": Call(os.system, f"mkdir {canary}")},
    "object": lambda canary: Call(np.ndarray, (1,), object, b"A" * 8),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_checkpoint_with_code_is_refused_by_every_loader(
    tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch, name: str, legacy: bool
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "weights.pth"  # where the address is fetched to
    path.parent.mkdir(parents=True)
    torch.save(HOSTILE[name](canary), path, _use_new_zipfile_serialization=not legacy)
    loaders: list[Callable[[], object]] = [
        lambda: torch.load(path, weights_only=False),
        lambda: torch.load(path, pickle_module=pickle, weights_only=False),
        lambda: CheckpointLoader.load_checkpoint(str(path), "cpu"),
        lambda: CheckpointLoader.load_checkpoint("https://example.org/weights.pth", "cpu"),
        *([] if legacy else [lambda: load_checkpoint(path)]),
    ]
    with guarded(trusted=False):
        for load in loaders:
            with pytest.raises((NotTrusted, pickle.UnpicklingError)) as refused:
                load()
            assert str(path) in str(refused.value)
            assert "weights_only" not in str(refused.value)
    assert not canary.exists()
    if name in ("posix", "subprocess"):
        assert any(found.startswith("posix.") for found in code_in(path))
        with guarded(trusted=True):
            CheckpointLoader.load_checkpoint(str(path), "cpu")
        assert canary.exists()


def test_a_schedule_goes_on_from_a_checkpoint_as_it_was(tmp_path: Path) -> None:
    """The milestones of mmengine's schedules are a Counter: where they doubled, a resumed training decayed twice."""
    states = {"milestones": Counter([8, 11, 11]), "plain": {"a": 1}, "nested": [Counter("aab")]}
    torch.save({"meta": {}, "state_dict": {}, "param_schedulers": [states]}, tmp_path / "a.pth")
    loaded: Any = load_checkpoint(tmp_path / "a.pth")
    (found,) = loaded["param_schedulers"]
    assert found == states
    assert {type(found["milestones"]), type(found["nested"][0])} == {Counter}


@pytest.mark.parametrize(
    ("content", "protocol", "told"),
    [
        (np.array([None, "a"]), 2, "numpy's data type 'O8' is none of numbers; if you trust"),
        (np.zeros(2, "i4,f4"), 2, "numpy's data type 'V8' is none of numbers; if you trust"),
        (torch.ones(2), 4, "in a later protocol of pickle than torch loads as data; if you trust"),
        (None, 2, "is nested too deeply"),
    ],
)
def test_what_cannot_be_loaded_as_data_is_told_without_advice_to_load_it_in_full(
    tmp_path: Path, content: object, protocol: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("mmengine.runner.checkpoint.print_log", lambda text, **_: said.append(text))
    for _ in range(900 if content is None else 0):
        content = [content]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    torch.save(content, tmp_path / "w.pth", pickle_protocol=protocol)
    sys.setrecursionlimit(limit)
    with guarded(trusted=False), pytest.raises((NotTrusted, ValueError)) as refused:
        CheckpointLoader.load_checkpoint(str(tmp_path / "w.pth"), "cpu")
    assert f"{tmp_path / 'w.pth'}: cannot be loaded as data: " in str(refused.value)
    assert told in str(refused.value)
    assert "weights_only" not in " ".join([str(refused.value), *said])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02N.", b"<html>"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with guarded(trusted=False), pytest.raises(Exception, match=r"w\.pth: "):
        CheckpointLoader.load_checkpoint(str(tmp_path / "w.pth"), "cpu")


@pytest.mark.parametrize("protocol", [2, 4])
def test_other_files_that_are_pickles_are_refused(
    tmp_path: Path, canary: Path, protocol: int
) -> None:
    proposals, texts = tmp_path / "proposals.pkl", tmp_path / "proposals.yaml"
    proposals.write_bytes(pickle.dumps(_hostile(canary), protocol))
    texts.write_text(f"!!python/object/apply:os.mkdir ['{canary}']")
    torch.save(_hostile(canary), tmp_path / "w.pth", pickle_protocol=protocol)
    with guarded(trusted=False):
        with pytest.raises(NotTrusted, match=r"holds a pickle.*--trust-checkpoints"):
            load_any(proposals)
        with pytest.raises(Exception, match="could not determine a constructor"):
            load_any(texts)
        with pytest.raises((NotTrusted, pickle.UnpicklingError), match=r"w\.pth"):
            load_checkpoint(tmp_path / "w.pth")
    assert code_in(tmp_path / "w.pth") == ["posix.mkdir"]
    assert code_in(proposals) == ["a pickle"]
    assert not canary.exists()


def test_checkpoints_of_trainings_are_loaded_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mmengine, numpy 1 and 2, and official checkpoints hold beside tensors."""
    history = HistoryBuffer([0.5, 0.25], [1, 2], max_length=10)
    content: dict[str, Any] = {
        "state_dict": torch.nn.BatchNorm2d(2).state_dict(),
        "numbers": [np.float64(0.1), np.int64(3), np.bool_(True), np.str_("é"), np.float32(1e-3)],
        "arrays": {
            "plain": np.arange(6, dtype=">i2").reshape(2, 3),
            "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "none": np.zeros((0, 4), np.float16),
        },
        "log": {"loss": history},
        "scheduler": {"anneal_func": OneCycleParamScheduler._annealing_cos, "lr": (0.1, (1, None))},
        "args": argparse.Namespace(lr=0.1, out=Path("/tmp/x"), sizes=np.array([1, 2])),
        "size": torch.Size([1, 2]),
        "metainfo": ConfigDict(classes=("a",), more={"b": [1]}),
        "made_with": torch.__version__,
    }
    path = tmp_path / "w.pth"
    torch.save(content, path)
    _named_as_numpy_1(path, tmp_path / "old.pth")
    for file in (path, tmp_path / "old.pth"):
        assert code_in(file) == []
        with guarded(trusted=False):
            found: Any = CheckpointLoader.load_checkpoint(str(file), "cpu")
        assert found["state_dict"].keys() == content["state_dict"].keys()
        assert found["state_dict"]._metadata == content["state_dict"]._metadata
        for one, other in zip(found["numbers"], content["numbers"], strict=True):
            assert (type(one), one) == (type(other), other)
        for name, array in content["arrays"].items():
            read = found["arrays"][name]
            assert (type(read), read.dtype, read.tolist()) == (
                np.ndarray,
                array.dtype,
                array.tolist(),
            )
            assert read.flags.writeable
        assert (found["log"]["loss"].mean(), found["log"]["loss"].max_length) == (
            history.mean(),
            10,
        )
        found["log"]["loss"].update(1.0)
        assert found["metainfo"] == {"classes": ("a",), "more": {"b": [1]}}
        assert found["scheduler"] == content["scheduler"]
        assert found["made_with"] == str(torch.__version__)
        assert found["args"].sizes.tolist() == [1, 2]
        assert (found["args"].out, found["size"]) == (Path("/tmp/x"), torch.Size([1, 2]))


def _named_as_numpy_1(path: Path, to: Path) -> None:
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(to, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            old.writestr(name, content)


def test_weights_with_code_are_refused_before_a_job_starts(
    synthetic_data: Path, tmp_path: Path, canary: Path
) -> None:
    torch.save({"state_dict": {}, "by": _hostile(canary)}, tmp_path / "w.pth")
    where = [str(TINY), "--data-root", str(synthetic_data), "--results", str(tmp_path / "results")]
    weights = ["--set", f"load_from={tmp_path / 'w.pth'}"]
    for verb in ("plan", "sweep"):
        code, problems = _detboard(verb, *where, "--rows", "plain", *weights)
        assert code == 2
        assert "row 'plain': " in problems
        for told in ("w.pth: holds posix.mkdir, which is code", OPTION, "docs/trust.md"):
            assert told in problems
    assert _detboard("plan", *where, "--rows", "plain", *weights, OPTION)[0] == 0
    assert not canary.exists()


@pytest.mark.parametrize("where", ["own", "fetched"])
def test_a_job_runs_nothing_of_a_checkpoint(
    synthetic_data: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whether it lies in a received run folder, or is named by the config, or was fetched; the file stays."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "weights.pth"
    path.parent.mkdir(parents=True)
    address = "https://example.org/weights.pth"
    overrides: dict[str, dict[str, object]] = {
        "own": {},
        "fetched": {"+model.backbone.init_cfg": {"type": "Pretrained", "checkpoint": address}},
    }
    torch.save({"state_dict": {}, "meta": _hostile(canary)}, path)
    request = Request(
        TINY,
        tmp_path / "results",
        data_root=synthetic_data,
        rows=("plain",),
        overrides=overrides[where],
    )
    (run,) = make_plan(request).runs
    prepare(run)
    if where == "own":
        path = path.rename(_made(run.folder.checkpoints) / "epoch_3.pth")
    run_job(run.folder.path, QUICK)
    record = run.folder.read_record()
    assert (record.state, record.asks_for_another_try) == ("failed", True)
    assert f"{path}: holds posix.mkdir, which is code and no weights" in record.cause
    assert "--trust-checkpoints" in record.cause
    assert path.exists()
    assert not canary.exists()


def test_what_is_read_of_a_results_folder_is_not_run(
    tmp_path: Path, synthetic_data: Path, canary: Path
) -> None:
    """Of one that was received: report, compare and the notebook read it, and the page shows no file of ours."""
    desk = make_desk(tmp_path / "desk", synthetic_data)
    code = f"import os\nos.mkdir({str(canary)!r})\n"
    Image.new("RGB", (64, 64), "red").save(tmp_path / "private.png")
    boxes: dict[str, list[object]] = {"truth": [], "predictions": []}
    names = [
        str(tmp_path / "private.png"),
        "../../../private.png",
        "a/../../../../private.png",
        "pipe",
    ]
    for folder in desk.results.glob("runs/*"):
        (folder / "config.py").write_text(code)
        np.savez(folder / "matches.npz", image_ids=np.array([_hostile(canary)], object))
        np.save(folder / "bootstrap.npy", np.array([_hostile(canary)], object))
        (folder / "samples.json").write_text(json.dumps([{"file": n, **boxes} for n in names]))
        _made(folder / "checkpoints")
        torch.save(_hostile(canary), folder / "checkpoints" / "final.pth")
        spec = json.loads((folder / "spec.json").read_text())
        spec["dataset"]["val"]["images"] = str(desk.folder / "results" / "runs")
        (folder / "spec.json").write_text(json.dumps(spec))
    os.mkfifo(desk.results / "runs" / "pipe")  # which nobody ever writes to
    (desk.folder / "sitecustomize.py").write_text(code)
    where = ["--results", str(desk.results)]
    assert _detboard("report", str(desk.experiment), *where)[0] == 0
    _detboard("compare", "plain", "momentum", *where)
    assert len(benchmark.results(desk.results)) == 2
    (page,) = desk.results.glob("*.html")
    assert "data:image/jpeg" not in page.read_text()
    assert not canary.exists()


def test_names_that_lead_out_of_the_folder_of_images_are_a_warning(
    tmp_path: Path, synthetic_data: Path
) -> None:
    shutil.copytree(synthetic_data, tmp_path / "data")
    val = tmp_path / "data" / "val.json"
    content = json.loads(val.read_text())
    (folder,) = {path.parent for path in val.parent.rglob(content["images"][0]["file_name"])}
    for image, place in zip(content["images"], (f"{folder}/", f"../{folder.name}/"), strict=False):
        image["file_name"] = f"{place}{image['file_name']}"
    val.write_text(json.dumps(content))
    plan = ("plan", str(TINY), "--data-root", str(val.parent), "--results", str(tmp_path / "r"))
    for command in (("data", "check", str(val.parent)), plan):
        code, told = _detboard(*command)
        assert code == 0
        assert (
            "image files that lie outside of the folder of images (absolute, or with '..')" in told
        )
        assert f"(2): {folder}/" in told.replace("\n", "")


def test_the_state_of_a_sampler_in_a_shared_database_is_data(canary: Path) -> None:
    load_carefully()
    optimizer = cmaes.CMA(mean=np.zeros(2), sigma=1.0, seed=0)
    optimizer.tell([(optimizer.ask(), float(at)) for at in range(optimizer.population_size)])
    sampler = CmaEsSampler(seed=0)
    pointers = Call(np.ndarray, (1,), np.dtype("O"), b"A" * 8)  # objects at addresses of the file's
    states = (
        (optimizer, "kept"),
        (_hostile(canary), "code"),
        (pointers, "damaged"),
        (3, "damaged"),
    )
    for content, state in states:
        attrs = {"cma:optimizer:0": pickle.dumps(content).hex()}
        trial = optuna.trial.create_trial(value=1.0, system_attrs=attrs)
        if state == "kept":
            kept = sampler._restore_optimizer([trial])
            assert kept is not None
            assert kept.generation == optimizer.generation == 1
            assert kept.ask().shape == (2,)
        else:
            told = {
                "code": "holds posix.mkdir, which is code",
                "damaged": "cannot be loaded as one",
            }
            with pytest.raises(UserError, match=f"CmaEsSampler {told[state]}"):
                sampler._restore_optimizer([trial])
    assert not canary.exists()


SIGNED = "https://bucket.s3.amazonaws.com/w.pth?X-Amz-Signature=5ec2e7&versionId=3"


def test_records_and_trackers_get_addresses_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(f"fetching {SIGNED}")
    told = failure(ValueError(f"{SIGNED} is gone"), RunFolder(tmp_path))
    assert "5ec2e7" not in told.message + told.log_tail
    assert "X-Amz-Signature=***" in told.message
    for address in ("me:s3cr3t@host", "ftp://me:s3cr3t@host", "http://[me:s3cr3t@host"):
        assert "s3cr3t" not in _url(address)
    tracked = {"name": "wandb", "mode": "online", "url": "https://me:s3cr3t@host/run"}
    made = run_of(0, record(tracking=tracked, schema_version=1), State.COMPLETE)
    assert made.url == "https://host/run"
    assert "5ec2e7" not in json.dumps(_plain({"load_from": SIGNED, "hooks": [{"url": SIGNED}]}))


@pytest.mark.parametrize(
    "made",
    [
        cmaes.SepCMA(mean=np.zeros(2), sigma=1.0),
        cmaes.CMAwM(np.zeros(2), 1.0, np.array([[0.0, 1.0]] * 2), np.array([0.1, 0.1])),
    ],
)
def test_every_optimizer_of_the_sampler_comes_back(made: cmaes.SepCMA | cmaes.CMAwM) -> None:
    load_carefully()
    attrs = {"cma:optimizer:0": pickle.dumps(made).hex()}
    trial = optuna.trial.create_trial(value=1.0, system_attrs=attrs)
    kept: Any = CmaEsSampler(seed=0)._restore_optimizer([trial])
    assert type(kept) is type(made)
    assert kept.population_size == made.population_size
    assert np.shape(kept.ask()[0]) == np.shape(made.ask()[0])


def _detboard(*arguments: str) -> tuple[int, str]:
    """The exit status of a command in this process, and what is wrong with its input."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, UserError):
        return 2, "\n".join(done.exception.problems)
    return done.exit_code, done.output


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
