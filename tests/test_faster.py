"""``precision`` and ``compile``: of an experiment, a row and a command line; in run ids, told, and honoured."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, here, variant

from benchmark.config.faster import asked_of, make_faster
from benchmark.config.vocabulary import machine
from benchmark.config.vocabulary.runtime import COMPILE_MODES, compiled
from benchmark.config.vocabulary.words import one_of
from benchmark.experiment.experiment import Tracking, load_experiment
from benchmark.files import read_jsonl
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Plan, Request, make_plan
from benchmark.run.prepare import prepare

QUICK = JobOptions(Tracking(mode="off"), Resources(gpus=(), threads=1))


class Asked:
    """Copies of the tiny experiment, planned with something changed; each id and config of its row ``plain``."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.made = 0

    def experiment(self, **keys: Any) -> Path:
        """A copy with these keys; ``set`` is the first row's."""
        self.made += 1
        own = keys.pop("set", {})

        def change(content: dict[str, Any]) -> None:
            content.update(keys)
            content["rows"][0]["set"] = own

        return variant(self.folder / str(self.made), change)

    def plan(self, overrides: dict[str, Any] | None = None, **keys: Any) -> Plan:
        path = self.experiment(**keys)
        results = self.folder / "results"
        where = {"data_root": self.data, "rows": ("plain",), "overrides": overrides or {}}
        return make_plan(Request(path, results, **where))

    def run(self, overrides: dict[str, Any] | None = None, **keys: Any) -> Any:
        (run,) = self.plan(overrides, **keys).runs
        return run

    def id(self, overrides: dict[str, Any] | None = None, **keys: Any) -> str:
        return self.run(overrides, **keys).spec.run_id

    def command(self, verb: str, path: Path, *more: str) -> tuple[int, str, str]:
        common = ["--data-root", str(self.data), "--results", str(self.folder / "results")]
        done = here([verb, str(path), *common, *more])
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def asked(synthetic_data: Path, tmp_path: Path) -> Asked:
    return Asked(tmp_path, synthetic_data)


# What is asked


def test_each_is_part_of_the_run_id_wherever_it_is_said(asked: Asked) -> None:
    plain = asked.id()
    for key, value in (("precision", "bf16"), ("precision", "amp"), ("compile", True)):
        ids = {asked.id(**{key: value}), asked.id(set={key: value}), asked.id({key: value})}
        assert len(ids) == 1
        assert ids != {plain}
    # What changes nothing of a training is the same training.
    assert asked.id(precision="fp32") == asked.id(set={"compile": False}) == plain
    assert (
        asked.id({"precision": "fp32", "compile": False}, precision="bf16", compile=True) == plain
    )
    amp = {"optim_wrapper.type": "AmpOptimWrapper"}
    assert asked.id(set=amp) == asked.id(precision="amp") == asked.id({"precision": "amp"}, set=amp)
    assert asked.id({"precision": "fp32"}, set=amp) == plain


def test_the_nearest_word_counts(asked: Asked) -> None:
    def precision(*args: Any, **keys: Any) -> Any:
        wrapper = asked.run(*args, **keys).config["optim_wrapper"]
        return wrapper.get("dtype", wrapper["type"])

    assert precision(precision="amp", set={"precision": "bf16"}) == "bfloat16"
    assert precision({"precision": "fp32"}, set={"precision": "bf16"}) == "OptimWrapper"
    assert precision(precision="bf16", set={"optim_wrapper.type": "OptimWrapper"}) == "OptimWrapper"
    amp = {"optim_wrapper.type": "AmpOptimWrapper"}
    assert precision(amp, set={"precision": "bf16"}) == "AmpOptimWrapper"


def test_what_else_a_wrapper_says_is_kept(asked: Asked) -> None:
    more = {
        "+optim_wrapper.accumulative_counts": 3,
        "+optim_wrapper.constructor": "DefaultOptimWrapperConstructor",
        "+optim_wrapper.paramwise_cfg": {"norm_decay_mult": 0.0},
    }
    plain = asked.run(set=more).config["optim_wrapper"]
    assert plain["clip_grad"]
    half = asked.run({"precision": "bf16"}, set=more).config["optim_wrapper"]
    own = {"type": "AmpOptimWrapper", "dtype": "bfloat16", "loss_scale": 1.0}
    assert half == {**plain, **own}
    scaled = {**own, "dtype": "float16", "loss_scale": 512.0}
    again = {**more, "optim_wrapper": scaled}
    with_fp32 = asked.run({"precision": "fp32"}, set=again).config["optim_wrapper"]
    assert with_fp32 == plain
    with_amp = asked.run({"precision": "amp"}, set=again).config["optim_wrapper"]
    assert with_amp == {**plain, **scaled}
    # bfloat16's scale of 1 would lose float16's small gradients.
    from_bf16 = asked.run({"precision": "amp"}, set={**more, "optim_wrapper": own})
    assert from_bf16.config["optim_wrapper"]["loss_scale"] == "dynamic"


def test_half_precision_of_the_evaluation_goes_with_fp32_alone(asked: Asked) -> None:
    half = {"+val_cfg.fp16": True}
    assert asked.run({"precision": "bf16"}, set=half).config["val_cfg"]["fp16"] is True
    run = asked.run({"precision": "fp32"}, set=half)
    assert "fp16" not in run.config["val_cfg"]
    assert "precision: fp32: trained in float32, evaluated in float32" in run.spec.changes


def test_plan_report_and_config_tell_it(asked: Asked) -> None:
    path = asked.experiment(precision="bf16")
    status, out, err = asked.command("plan", path, "--compile")
    assert status == 0, err
    assert "precision: bf16: trained in bfloat16 where that is safe, evaluated in float32" in out
    assert "compile: backbone and neck, in training" in out
    status, out, err = asked.command("config", path, "--rows", "plain", "--precision", "amp")
    assert "AmpOptimWrapper" in out and "bfloat16" not in out, err
    status, out, err = asked.command("report", path, "--no-compile")
    assert status == 0, err
    table = (asked.folder / "results" / "tiny.md").read_text()
    assert "Tiny leaderboard with precision=bf16, compile=False" in table
    (spec,) = {run.spec.command_line["compile"] for run in asked.plan({"compile": True}).runs}
    assert spec is True


def test_all_that_is_wrong_is_said_at_once(asked: Asked) -> None:
    path = asked.experiment(set={"compile": "yes"})
    given = ("--precision", "fp16", "--seeds", "x", "--set", "compile=true", "--compile")
    status, _, err = asked.command("plan", path, *given)
    assert status == 2
    assert "error: --precision: 'fp16'; allowed: amp, bf16, fp32" in err
    assert "error: --compile: is given in --set, too; once is enough" in err
    assert "error: --seeds x" in err
    status, _, err = asked.command("plan", path)
    assert status == 2
    assert "error: row 'plain': compile: 'yes'; write true or false" in err
    status, _, err = asked.command("plan", asked.experiment(precision="half", compile="often"))
    assert status == 2
    assert "precision" in err and "allowed: amp, bf16, fp32" in err and "compile" in err
    both = ("--precision", "bf16", "--set", "optim_wrapper.type=AmpOptimWrapper")
    status, _, err = asked.command("plan", asked.experiment(), *both)
    assert status == 2
    assert "error: --precision: optim_wrapper.type say the same; leave one out" in err


def test_arguments_that_torch_compile_does_not_take_are_refused(asked: Asked) -> None:
    wrong: dict[str, Any] = {"compile": {"mod": "default"}}
    status, _, err = asked.command("plan", asked.experiment(set=wrong))
    assert status == 2
    assert "row 'plain': compile.mod: torch.compile takes no such argument; allowed: " in err
    wrong = {"compile": {"mode": "fastest", "dynamic": "yes", "options": [1], "fullgraph": None}}
    status, _, err = asked.command("plan", asked.experiment(set=wrong))
    assert status == 2
    assert "compile.mode: 'fastest'; allowed: default, " in err
    assert "compile.dynamic: 'yes'; write true or false" in err
    assert "compile.options: [1]; write a mapping" in err and "fullgraph" not in err
    (problem,) = compiled({"compile": {"mode": ["default"]}})
    assert problem == "compile.mode: ['default']; write a text"


def test_modes_of_compile_are_torch_s() -> None:
    from torch._inductor import list_mode_options

    assert {*COMPILE_MODES} == {*list_mode_options()}


def test_a_list_in_the_place_of_a_word_is_none_of_those_that_are_allowed() -> None:
    (problem,) = one_of(
        "env_cfg.mp_cfg", {"mp_start_method": ["fork"]}, "mp_start_method", iter(["fork"])
    )
    assert problem.startswith("env_cfg.mp_cfg.mp_start_method: ['fork']; allowed: fork")


def test_a_wrapper_with_a_precision_of_its_own_is_refused() -> None:
    config = {"optim_wrapper": {"type": "mine.Wrapper", "optimizer": {"type": "SGD"}}}
    (row, *_), around = load_experiment(TINY).rows, _around()
    wanted = asked_of(row, around, {"precision": "bf16"})
    (problem,) = make_faster(config, wanted)
    assert problem.startswith("precision: bf16: optim_wrapper is 'mine.Wrapper', which has")
    assert config["optim_wrapper"]["type"] == "mine.Wrapper"


def _around() -> Any:
    from benchmark.config.compose import surroundings_of

    return surroundings_of(load_experiment(TINY), "tiny")


def test_rows_that_are_not_trained_are_left_as_they_are(asked: Asked, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save({"state_dict": {}}, weights)
    given = {
        "name": "given",
        "checkpoint": str(weights),
        "config": "mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py",
    }
    fused = {"name": "fused", "fuse": {"rows": ["plain", "momentum"]}}

    def ids(overrides: dict[str, Any], **keys: Any) -> dict[str, str]:
        def change(content: dict[str, Any]) -> None:
            content["rows"] += [given, fused]
            content.update(keys)

        asked.made += 1
        path = variant(tmp_path / f"more{asked.made}", change)
        where = {"data_root": asked.data, "overrides": overrides, "needs_data": False}
        made = make_plan(Request(path, tmp_path / "results", **where))
        return {run.spec.row: run.spec.run_id for run in made.runs}

    plain, bf16 = ids({}), ids({"precision": "bf16", "compile": True})
    assert plain["given"] == bf16["given"]
    assert plain["plain"] != bf16["plain"]
    assert plain["fused"] != bf16["fused"]  # it is made from other runs
    assert bf16 == ids({}, precision="bf16", compile=True)


# What a machine lacks


def test_float16_on_a_cpu_is_refused_with_what_to_do(asked: Asked) -> None:
    path = asked.experiment()
    status, _, err = asked.command("plan", path, "--precision", "amp")
    assert status == 2
    assert "row 'plain': optim_wrapper.type: AmpOptimWrapper needs a GPU" in err
    assert "'precision: bf16' (--precision bf16) or fp32, which CPUs train in" in err
    assert asked.command("plan", path, "--precision", "bf16")[0] == 0


def test_compiling_without_a_compiler_is_refused(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = asked.experiment()
    assert asked.command("plan", path, "--compile")[0] == 0
    monkeypatch.setattr(machine, "which", lambda _: None)
    status, _, err = asked.command("plan", path, "--compile")
    assert status == 2
    assert "row 'plain': compile: needs a C++ compiler, and g++ is not found: install it" in err
    assert asked.command("plan", path)[0] == 0


# What is done


@pytest.fixture
def make(asked: Asked) -> Callable[..., RunFolder]:
    """Makes runs of two epochs that are ready to start, with something changed."""

    def prepared(**overrides: Any) -> RunFolder:
        run = asked.run({"train_cfg.max_epochs": 2, **overrides})
        prepare(run)
        return run.folder

    return prepared


def _watched(monkeypatch: pytest.MonkeyPatch) -> tuple[set[Any], set[Any]]:
    """What a detector computes its features in, and which of its parts were called; either in training or not."""
    from mmdet.models.detectors import SingleStageDetector

    from benchmark.job import compiled

    seen: set[tuple[bool, str]] = set()
    called: set[tuple[str, bool]] = set()
    extract, call = SingleStageDetector.extract_feat, compiled._Compiled.__call__

    def extracting(self: Any, inputs: Any) -> Any:
        found = extract(self, inputs)
        seen.add((self.training, str(found[0].dtype)))
        assert {parameter.dtype for parameter in self.parameters()} == {torch.float32}
        return found

    def calling(self: Any, *inputs: Any) -> Any:
        called.add((self._name, self._part.training))
        return call(self, *inputs)

    monkeypatch.setattr(SingleStageDetector, "extract_feat", extracting)
    monkeypatch.setattr(compiled._Compiled, "__call__", calling)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    return seen, called


@pytest.mark.trains
@pytest.mark.slow
def test_a_cpu_trains_in_bfloat16_with_compiled_parts(
    make: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled stays as it is here: to trace a detector takes ten times as long as this training."""
    from benchmark.job.job import run_job
    from benchmark.job.weights import load_checkpoint

    seen, called = _watched(monkeypatch)
    folder = make(precision="bf16", compile=True)
    run_job(folder.path, QUICK)
    record = folder.read_record()
    assert record.failure is None
    # Trained in half precision, evaluated and measured in full.
    assert seen == {(True, "torch.bfloat16"), (False, "torch.float32")}
    assert called == {(name, mode) for name in ("backbone", "neck") for mode in (True, False)}
    assert record.notes == ()
    losses = [
        point["loss"] for point in read_jsonl(folder.metrics_file) if point["kind"] == "train"
    ]
    assert all(map(math.isfinite, losses))
    final = load_checkpoint(folder.checkpoints / "final.pth")["state_dict"]
    assert not [key for key in final if "_orig_mod" in key]
    # What stock mmdet's tools read is mmengine's own wrapper.
    config = (folder.path / "config.py").read_text()
    assert "AmpOptimWrapper" in config and "CpuAmp" not in config


# Compiled for real, of a backbone that is small enough


class _Net(torch.nn.Module):
    """A detector of which a word changes what its backbone does."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: torch.Tensor) -> Any:
        return self.backbone(image)


class _Stem(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(inputs))


def _compiled(backend: Any) -> tuple[_Net, list[str]]:
    from benchmark.job.compiled import compile_parts

    torch._dynamo.reset()
    net = _Net(_Stem())
    said: list[str] = []
    compile_parts(net, {"backend": backend}, said.append)
    return net.train(), said


@pytest.mark.slow
def test_a_backbone_is_compiled_in_training_alone_and_saved_and_copied_as_it_is() -> None:
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    net, said = _compiled(backend)
    stem, image = net.backbone, torch.rand(1, 1, 8, 8)
    plain = stem._call_impl(image)
    net.eval()
    assert torch.equal(stem(image), plain)
    assert not graphs
    net.train()
    assert torch.equal(stem(image), plain)
    assert len(graphs) == 1
    for side in range(9, 15):  # of other sizes, one graph more is enough
        assert stem(torch.rand(1, 1, side, side)).shape[-1] == side - 2
    assert len(graphs) == 2
    assert list(net.state_dict()) == ["backbone.conv.weight", "backbone.conv.bias"]
    copied = copy.deepcopy(net)
    with torch.no_grad():
        net.state_dict()["backbone.conv.weight"].add_(1)
    assert torch.equal(copied(image), plain)
    assert said == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["fails", "changes"])
def test_what_cannot_be_compiled_is_said_once_and_done_without(what: str) -> None:
    def backend(graph: Any, _: Any) -> Any:
        if what == "fails":
            raise RuntimeError("no such instruction")
        return graph.forward

    net, said = _compiled(backend)
    stem = net.backbone
    for calls in range(20):
        image = torch.rand(2, 1, 9, 9)
        # What dynamo takes for a constant of the graph is another one in each batch.
        stem.conv.padding = (calls, 0) if what == "changes" else (0, 0)
        with torch.no_grad():
            assert torch.equal(stem(image), stem._call_impl(image))
    (sentence,) = said
    assert sentence.startswith(
        "compile: backbone goes on without, from a batch of (2, 1, 9, 9) on: "
    )
    assert ("no such instruction" in sentence) == (what == "fails")
