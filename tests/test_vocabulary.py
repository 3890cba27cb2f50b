"""mmdet's own vocabulary: every setting is honoured, or refused by ``plan`` with the row and the key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards import make_record
from command import TINY, Bench, here, installed_command, run
from settings import (
    CHECKPOINT,
    DATASET,
    LEAF,
    LOGGER,
    MIXED,
    NUMBERS,
    PIPELINES,
    SCORE,
    TAKEN,
    VALIDATED,
    hook,
)

from benchmark.config.sizes import give_tuples
from benchmark.errors import UserError
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

CHECKOUT = str(Path(__file__).resolve().parents[1])

# By the row: what it sets, and how each message begins, behind the row's name.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ious": ({"+val_evaluator.iou_thrs": [0.5]}, "val_evaluator.iou_thrs: [0.5]: the scores"),
    "proposals": (
        {"+val_evaluator.proposal_nums": [1, 5]},
        "val_evaluator.proposal_nums: [1, 5]: ",
    ),
    "items": ({"+val_evaluator.metric_items": ["AR@100"]}, "val_evaluator.metric_items: "),
    "outfile": ({"+val_evaluator.outfile_prefix": "out"}, "val_evaluator.outfile_prefix: 'out': "),
    "format": ({"val_evaluator.format_only": True}, "val_evaluator.format_only: True: a run is"),
    "masks": (
        {"val_evaluator.metric!": ["bbox", "segm"]},
        "val_evaluator.metric: ['bbox', 'segm']",
    ),
    "cloud": (
        {"val_evaluator.backend_args": {"backend": "petrel"}},
        "val_evaluator.backend_args: ",
    ),
    "unknown": ({"+val_evaluator.clswise": True}, "val_evaluator.clswise: CocoMetric takes no"),
    "voc": (
        {"val_evaluator": {"_delete_": True, "type": "VOCMetric"}},
        "val_evaluator: VOCMetric is",
    ),
    "dump": (
        {
            "val_evaluator!": [
                {"type": "CocoMetric"},
                {"type": "DumpDetResults", "out_file_path": "a"},
            ]
        },
        "val_evaluator.1: DumpDetResults is not used",
    ),
    "two": ({"val_evaluator!": [{"type": "CocoMetric"}] * 2}, "val_evaluator: has 2 metrics"),
    "undivided": (
        {"model.data_preprocessor.std": [58.4, 0, 57.4]},
        "model.data_preprocessor.std: [58.4, 0, 57.4] holds what nothing can be divided by",
    ),
    "unprepared": (
        {"model.data_preprocessor": {"_delete_": True, "mean": [0, 0, 0]}},
        "model.data_preprocessor: needs a 'type'",
    ),
    "prepared": (
        {"+model.data_preprocessor.pad": 32},
        "model.data_preprocessor.pad: DetDataPreprocessor takes no 'pad'",
    ),
    "headless": (
        {"model.neck": {"_delete_": True, "num_outs": 5}},
        "model.neck: needs a 'type'",
    ),
    "momentum": (
        {"optim_wrapper.optimizer.type": "AdamW"},
        "optim_wrapper.optimizer.momentum: AdamW takes no 'momentum'",
    ),
    "unjudged": ({"val_evaluator": None}, "val_evaluator: is missing"),
    "untested": ({"test_cfg": None}, "test_cfg: mmengine wants"),
    "template": ({f"+{CHECKPOINT}.filename_tmpl": "e_{}.pth"}, f"{CHECKPOINT}.filename_tmpl: "),
    "elsewhere": ({f"+{CHECKPOINT}.out_dir": "/tmp"}, f"{CHECKPOINT}.out_dir: "),
    "published": ({f"+{CHECKPOINT}.published_keys": ["meta"]}, f"{CHECKPOINT}.published_keys: "),
    "stateless": (
        {f"+{CHECKPOINT}.save_optimizer": False},
        f"{CHECKPOINT}.save_optimizer: a resume",
    ),
    "midway": ({f"+{CHECKPOINT}.by_epoch": False}, f"{CHECKPOINT}.by_epoch: a training counted in"),
    "best": (
        {f"+{CHECKPOINT}.save_best": "bbox_mAP"},
        f"{CHECKPOINT}.save_best: no score 'bbox_mAP'",
    ),
    "silent": ({f"{LOGGER}.interval": 0}, f"{LOGGER}.interval: 0 is no whole number from 1 on"),
    "lossless": ({"+default_hooks.runtime_info": None}, "default_hooks.runtime_info: null: "),
    "drawn": (
        {"+default_hooks.visualization.draw": True},
        "default_hooks.visualization: nothing is",
    ),
    "mapping": (
        {"+custom_hooks": {"type": "EMAHook"}},
        "custom_hooks: {'type': 'EMAHook'} is no list",
    ),
    "no-hook": (hook(type="EMAHok"), "custom_hooks.0.type: no hook 'EMAHok'"),
    "waits": (
        hook(type="EarlyStoppingHook", monitor="mAP"),
        "custom_hooks.0.monitor: no score 'mAP'",
    ),
    "rule": (hook(type="EarlyStoppingHook", monitor=SCORE, rule="up"), "custom_hooks.0.rule: 'up'"),
    "ema": (hook(type="EMAHook", momentum=2.0), "custom_hooks.0.momentum: 2.0 is not between"),
    "urgent": (hook(type="EMAHook", priority="SOON"), "custom_hooks.0.priority: 'SOON'; allowed"),
    "epochs": (hook(type="SetEpochInfoHook"), "custom_hooks.0: no model of mmdet"),
    "yolox": (hook(type="YOLOXModeSwitchHook"), "custom_hooks.0: YOLOXModeSwitchHook switches off"),
    "second": (hook(type="CheckpointHook"), "custom_hooks.0: checkpoints are made by"),
    "plateau": (
        {"param_scheduler": [{"type": "ReduceOnPlateauLR"}]},
        "param_scheduler.0.monitor: no score 'val/loss'",
    ),
    "seeded": ({"randomness": {"seed": 5}}, "randomness: comes from the seeds"),
    "again": (
        {VALIDATED: {"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": LEAF}},
        "val_dataloader.dataset: RepeatDataset does not give each image once",
    ),
    "doubled": (
        {f"+{VALIDATED}.indices": [0, 0, 1]},
        "val_dataloader.dataset.indices: an index repeats",
    ),
    "none-of-it": ({f"+{VALIDATED}.indices": 0}, "val_dataloader.dataset.indices: 0 takes no"),
    "some-of-it": ({f"+{DATASET}.indices": "3"}, "train_dataloader.dataset.indices: '3' takes no"),
    "unending": ({"train_cfg.max_epochs": None}, "train_cfg.max_epochs: null is no whole number"),
    "flat": (
        {"param_scheduler.0.milestones": None},
        "param_scheduler.0.milestones: None is no list of whole numbers; write [8, 11]",
    ),
    "backwards": (
        {"param_scheduler.0.begin": 9},
        "param_scheduler.0.end: 4 is not after its begin, 9",
    ),
    "step": (
        {"param_scheduler": [{"type": "StepLR"}]},
        "param_scheduler.0: StepLR needs 'step_size'",
    ),
    "adam": (
        {"optim_wrapper.optimizer.type": "Adam"},
        "optim_wrapper.optimizer.momentum: Adam takes no",
    ),
    "uphill": (
        {"optim_wrapper.optimizer.lr": -0.1},
        "optim_wrapper.optimizer.lr: -0.1 is no number",
    ),
    "clip": (
        {"optim_wrapper.clip_grad": {"_delete_": True, "max": 3}},
        "optim_wrapper.clip_grad.max: ",
    ),
    "decay": (
        {
            "optim_wrapper.optimizer.weight_decay": None,
            "+optim_wrapper.paramwise_cfg": {"norm_decay_mult": 0},
        },
        "optim_wrapper.paramwise_cfg: norm_decay_mult need",
    ),
    "no-epochs": (
        {"train_cfg.max_epochs": 0},
        "train_cfg.max_epochs: 0 is no whole number from 1 on",
    ),
    "never": (
        {"train_cfg.val_interval": 0},
        "train_cfg.val_interval: 0 is no whole number from 1 on",
    ),
    "counts": ({"+train_cfg.max_iters": 3}, "train_cfg.max_iters: EpochBasedTrainLoop takes no"),
    "no-batch": ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size: 0 is no whole"),
    "last": (
        {"+train_dataloader.drop_last": True},
        "train_dataloader.drop_last: AspectRatioBatchSampler",
    ),
    "judged": (
        {"val_dataloader.drop_last": True},
        "val_dataloader.drop_last: every image is evaluated",
    ),
    "endless": (
        {"train_dataloader.sampler": {"_delete_": True, "type": "InfiniteSampler"}},
        "train_dataloader.sampler: an epoch of InfiniteSampler never ends",
    ),
    "sources": (
        {
            "train_dataloader.sampler": {
                "_delete_": True,
                "type": "MultiDataSampler",
                "dataset_ratio": [1],
            }
        },
        "train_dataloader.sampler: MultiDataSampler draws from",
    ),
    "other-data": (
        {f"{DATASET}.type": "VOCDataset"},
        f"{DATASET}.type: VOCDataset reads no COCO file",
    ),
    "shuffled": (
        {"+train_dataloader.shuffle": True},
        "train_dataloader.shuffle: the sampler shuffles",
    ),
    "transform": (
        {f"{DATASET}.pipeline.2.type": "Rescale"},
        f"{DATASET}.pipeline.2.type: no transform",
    ),
    "argument": (
        {f"+{DATASET}.pipeline.2.size": [1, 1]},
        f"{DATASET}.pipeline.2.size: Resize takes no",
    ),
    "loader": ({"+train_dataloader.worker": 1}, "train_dataloader.worker: a data loader takes no"),
    "frozen": ({"+model.backbone.frozen_stages": 9}, "model.backbone.frozen_stages: 9 is not from"),
    "resumes": ({"resume": True}, "resume: a run that was cut short is continued"),
    "strategy": (
        {"+strategy": {"type": "DDPStrategy"}},
        "strategy: a run is trained by mmengine's",
    ),
    "scope": ({"default_scope": "mmseg"}, "default_scope: 'mmseg'"),
    "random": ({"+randomness.deterministc": True}, "randomness.deterministc: no such setting"),
    "scaled": (
        {"auto_scale_lr": {"_delete_": True, "enable": True}},
        "auto_scale_lr.base_batch_size: ",
    ),
    "imports": (
        {"+custom_imports": {"imports": ["nowhere_at_all"]}},
        "custom_imports.imports: no module",
    ),
}
# Needs of the machine are looked at with the data, where all of the config is right.
NOT_HERE: dict[str, tuple[dict[str, Any], str]] = {
    "amp": (
        {"optim_wrapper.type": "AmpOptimWrapper"},
        "optim_wrapper.type: AmpOptimWrapper needs a GPU",
    ),
    "half": ({"+val_cfg.fp16": True}, "val_cfg.fp16: needs a GPU"),
    "traced": (
        hook(type="ProfilerHook", on_trace_ready={"type": "tb_trace"}),
        "tb_trace needs torch_tb_profiler: pip install",
    ),
    "library": (hook(type="mmyolo.EMAHook"), "mmyolo.EMAHook needs mmyolo: pip install mmyolo"),
    "memory": (
        hook(type="MemoryProfilerHook"),
        "MemoryProfilerHook needs memory_profiler: pip install",
    ),
}


def experiment(folder: Path, rows: dict[str, dict[str, Any]]) -> Path:
    """The tiny experiment with these rows, and a module of its own beside it."""
    shutil.copytree(TINY.parent / "configs", folder / "configs")
    (folder / "mine.py").write_text("")
    (folder / "deep" / "inner").mkdir(parents=True)
    (folder / "deep" / "inner" / "net.py").write_text("")
    content = yaml.safe_load(TINY.read_text())
    parts = content["rows"][0]["parts"]
    content["rows"] = [{"name": name, "parts": parts, "set": given} for name, given in rows.items()]
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def planned(folder: Path, data: Path, rows: dict[str, dict[str, Any]]) -> list[str]:
    """Runs ``plan`` over these rows; returns its lines, the output's or the errors'."""
    path = experiment(folder, rows)
    done = here(["plan", str(path), "--data-root", str(data), "--results", str(folder / "results")])
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == (2 if errors else 0), done.stderr
    return errors or done.stdout.splitlines()


@pytest.mark.parametrize(
    "cases",
    [REFUSED, PIPELINES, NUMBERS, NOT_HERE],
    ids=["anywhere", "in pipelines", "by their numbers", "on this machine"],
)
def test_plan_refuses_with_row_and_key(
    cases: dict[str, tuple[dict[str, Any], str]], synthetic_data: Path, tmp_path: Path
) -> None:
    lines = planned(tmp_path, synthetic_data, {name: given for name, (given, _) in cases.items()})
    for name, (_, begins) in cases.items():
        said = [line for line in lines if line.startswith(f"error: row '{name}': ")]
        assert any(line.startswith(f"error: row '{name}': {begins}") for line in said), (name, said)


def test_plan_takes_what_is_honoured(synthetic_data: Path, tmp_path: Path) -> None:
    lines = planned(tmp_path, synthetic_data, TAKEN)
    assert f"{len(TAKEN)} of {len(TAKEN)} runs are missing." in lines


def test_pairs_of_transforms_are_the_tuples_that_mmdet_wants() -> None:
    given = [
        {"type": "CutOut", "n_holes": [1, 3], "cutout_shape": [4, 4]},
        {"type": "CutOut", "n_holes": 2, "cutout_ratio": [[0.1, 0.2], [0.3, 0.3]]},
        {"type": "RandomErasing", "n_patches": [1, 2], "ratio": [0.1, 0.2]},
    ]
    config = {"train_dataloader": {"dataset": {"pipeline": given}}}
    give_tuples(config)
    holes, shares, erased = given
    assert (holes["n_holes"], holes["cutout_shape"]) == ((1, 3), (4, 4))
    assert (shares["n_holes"], shares["cutout_ratio"]) == (2, [(0.1, 0.2), (0.3, 0.3)])
    assert (erased["n_patches"], erased["ratio"]) == ((1, 2), (0.1, 0.2))


def test_what_is_complete_is_reported(synthetic_data: Path, tmp_path: Path) -> None:
    """Earlier versions drew nothing without a word: such a run stays what it is."""
    path = experiment(tmp_path, {"drawn": {"+default_hooks.visualization.draw": True}})
    bench = Bench(synthetic_data, tmp_path / "results", path)
    request = Request(path, bench.results, data_root=synthetic_data, needs_data=False)
    (found,) = make_plan(request).runs
    prepare(found)
    spec = found.spec
    record = make_record("drawn", 0, 0.4, run_id=spec.run_id, profile=spec.profile)
    found.folder.write_record(record)
    assert "0 of 1 runs are missing" in bench.here("plan").stdout
    assert "default_hooks.visualization: " in bench.here("plan", "--seeds", "0,1").stderr


def test_a_batch_that_the_data_does_not_fill(synthetic_data: Path, tmp_path: Path) -> None:
    """The rest of the images is left out, and there is nothing else."""
    drops = "+train_dataloader.batch_sampler.drop_last"
    rows = {
        "over": {"train_dataloader.batch_size": 25, drops: True},
        "plain": {"train_dataloader.batch_sampler": None, "+train_dataloader.drop_last": True}
        | {"train_dataloader.batch_size": 25},
        "fits": {"train_dataloader.batch_size": 24, drops: True},
        "counted": {"train_dataloader.batch_size": 8, "+train_dataloader.num_batch_per_epoch": 4},
        "few": {"train_dataloader.batch_size": 8, "+train_dataloader.num_batch_per_epoch": 3},
    }
    lines = planned(tmp_path, synthetic_data, rows)
    assert [line.split(": ")[1] for line in lines] == [
        "row 'over'",
        "row 'plain'",
        "row 'counted'",
    ]
    assert all("the 24 images that are left" in line for line in lines)


@pytest.fixture(scope="module")
def trained(synthetic_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One training with much of what people put into a config, started in a folder with a rival of its module."""
    folder = tmp_path_factory.mktemp("honoured")
    (path, standing) = (folder / "experiment", folder / "standing")
    path.mkdir()
    standing.mkdir()
    joined = [
        {"type": "RepeatDataset", "times": 2, "dataset": LEAF},
        {
            "type": "ClassBalancedDataset",
            "oversample_thr": 0.9,
            "dataset": {**LEAF, "ann_file": "extra.json"},
        },
        MIXED,
    ]
    rows = {
        "odd": {
            "+val_evaluator.classwise": True,
            "+val_evaluator.proposal_nums": [1, 10, 100],
            "default_hooks.logger": None,
            "default_hooks.checkpoint": None,
            "default_hooks.visualization": None,
            "visualizer": None,
            DATASET: {"_delete_": True, "type": "ConcatDataset", "datasets": joined},
            "train_cfg.max_epochs": 1,
            "+custom_imports": {"imports": ["mine"], "allow_failed_imports": False},
            "model.backbone.type": "MyResNet",
        }
    }
    found = experiment(path, rows)
    (path / "mine.py").write_text(
        "from mmdet.registry import MODELS\nfrom mmdet.models import ResNet\nimport helper_of_mine\n\n\n"
        "@MODELS.register_module()\nclass MyResNet(ResNet):\n    pass\n"
    )
    (path / "helper_of_mine.py").write_text("")
    asked = folder / "asked"
    for name in (
        "standing/mine.py",
        "standing/mmdet.py",
        "standing/random.py",
        "standing/benchmark.py",
        "asked/benchmark.py",
        "asked/torch.py",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise SystemExit('the wrong one')\n")
    content = json.loads((synthetic_data / "train.json").read_text())
    (path / "extra.json").write_text(json.dumps({**content, "info": {"description": "more"}}))
    bench = Bench(synthetic_data, folder / "results", found)
    _, _, _, *more = bench.arguments("sweep", "--wandb", "off", "--preflight")
    done = run([*installed_command(folder), *more], standing, PYTHONPATH=str(asked))
    assert done.returncode == 0, done.stdout + done.stderr
    tried = done.stdout.index("[1/1] odd: ok, ")  # and trained afterwards
    assert (
        tried
        < done.stdout.index("1 row: a step is trained and evaluated.")
        < done.stdout.index("1 of 1 runs to do")
    )
    return bench


@pytest.mark.trains
@pytest.mark.slow
def test_what_is_honoured_trains(trained: Bench) -> None:
    assert trained.record("odd")["state"] == "complete"
    assert trained.points("odd", "val")[-1]["per_class"]
    assert [p.name for p in (trained.folder("odd") / "checkpoints").iterdir()] == ["final.pth"]
    spec = json.loads((trained.folder("odd") / "spec.json").read_text())
    assert spec["given"].keys() == {"module helper_of_mine", "module mine"}
    assert [Path(path).name for path in spec["files"]] == ["extra.json"]


@pytest.mark.trains
@pytest.mark.slow
def test_a_changed_module_is_another_run(trained: Bench) -> None:
    assert "0 of 1 runs are missing" in trained.run("plan").stdout
    module = trained.experiment.parent / "helper_of_mine.py"
    module.write_text("changed = True\n")
    assert "1 of 1 runs are missing" in trained.run("plan").stdout
    module.write_text("")
    (trained.experiment.parent / "mine.py").write_text("class {\n")
    assert "mine.py cannot be imported: " in trained.run("plan").stderr


def test_a_module_of_the_folder_that_one_stands_in_is_not_found(
    synthetic_data: Path, tmp_path: Path
) -> None:
    rows = {"far": {"+custom_imports": {"imports": ["far_away"], "allow_failed_imports": False}}}
    (tmp_path / "far_away.py").write_text("")
    (tmp_path / "experiment").mkdir()
    bench = Bench(synthetic_data, tmp_path / "results", experiment(tmp_path / "experiment", rows))
    alone = run(bench.arguments("plan"), tmp_path, PYTHONPATH=CHECKOUT)
    assert "no module 'far_away'" in alone.stderr
    asked = run(bench.arguments("plan"), tmp_path, PYTHONPATH=f".:{CHECKOUT}")
    assert "1 of 1 runs are missing" in asked.stdout


def _keys(node: dict[str, Any], depth: int) -> Iterator[str]:
    for key, value in node.items():
        yield key
        if depth > 1 and isinstance(value, dict):
            yield from (f"{key}.{name}" for name in _keys(value, depth - 1))


@pytest.mark.parametrize("value", [[1], {"type": ["A"]}], ids=["list", "type"])
def test_whatever_stands_in_the_place_of_a_value_is_composed_or_refused(
    value: object, tiny_config: Any, synthetic_data: Path
) -> None:
    keys = list(_keys(tiny_config.to_dict(), 2))
    assert len(keys) > 50
    wrong: list[str] = []
    for key in keys:
        overrides = {f"{key}!": value}
        try:
            make_plan(Request(TINY, data_root=synthetic_data, rows=("plain",), overrides=overrides))
        except UserError:
            pass
        except Exception as error:
            wrong.append(f"{key}: {error!r}")
    assert not wrong
