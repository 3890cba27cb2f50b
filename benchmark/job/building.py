"""From a run's ``config.py`` to its Runner: what a training and a try-out of it share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmark.config.imports import importing_from
from benchmark.config.tree import LOADERS
from benchmark.config.tree import Config as Content
from benchmark.config.vocabulary.evaluation import FULFILLED
from benchmark.job.inputs import Inputs
from benchmark.job.several import processes
from benchmark.run.folder import RunFolder
from benchmark.run.options import Caching, Resources
from benchmark.run.spec import RunSpec

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict

    from benchmark.job.training import JobRunner

NO_CACHE = Caching()

# Those that it registers itself, and leaves out where a config says null.
_HOOKS_OF_MMENGINE = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler")


def make_ready(resources: Resources, cache: Caching = NO_CACHE) -> None:
    """Prepares this process for a job: operators, data loader workers, threads, where decoded images are kept."""
    from benchmark import ops

    ops.install()
    import torch

    from benchmark.job.decoded.opening import use
    from benchmark.job.sharing import survive_little_shared_memory
    from benchmark.job.told import spare_loader_workers

    survive_little_shared_memory()
    spare_loader_workers()
    use(cache, resources.processes)
    torch.set_num_threads(resources.threads)


def read_content(spec: RunSpec, folder: RunFolder, inputs: Inputs) -> Content:
    """The plain values of ``config.py``; the modules that it names are imported.

    Raises:
        NotAsAsked: It, a module, or a file that the run reads, is not what the run was planned with.
        Exception: Whatever a module raises.
    """
    from mmengine.config import Config

    inputs.check()
    with importing_from(spec.imports_from):
        content: Content = Config.fromfile(str(folder.config_file), lazy_import=False).to_dict()
    inputs.check_modules(content)
    return content


def config_of(folder: RunFolder, content: Content) -> Config:
    """The config that mmengine builds from."""
    from mmengine.config import Config

    # mmengine writes the config into the log and every checkpoint, laid out with yapf: 0.3 s each time.
    return Config(content, filename=str(folder.config_file), format_python_code=False)


def build_runner(config: Config, folder: RunFolder, resources: Resources) -> JobRunner:
    """Builds the Runner with our metric, checkpoints and log in place of mmengine's.

    They are set here and not in ``config.py``, so that stock ``tools/train.py`` can run that file.
    """
    import torch

    from benchmark.job.training import JobRunner

    config.work_dir = str(folder.path / "mmengine")
    config.default_hooks = _our_hooks(config.get("default_hooks") or {}, folder)
    if config.get("visualizer") is not None:
        config.visualizer.vis_backends = None
    for key in ("val_evaluator", "test_evaluator"):
        _use_our_metric(config.get(key) or [])
    if torch.cuda.is_available():
        pin_memory(config)
    if resources.processes > 1:
        _start_distributed(config, resources.processes)
    runner: JobRunner = JobRunner.from_cfg(config)
    return runner


def pin_memory(config: Content) -> None:
    """Has batches wait in memory that a GPU copies from directly, where a loader does not say; the same batches.

    It is not in ``config.py``, where it would count into the run id.
    """
    for name in LOADERS:
        if (loader := config.get(name)) is not None:
            loader.setdefault("pin_memory", True)


def _our_hooks(hooks: Mapping[str, object], folder: RunFolder) -> dict[str, object]:
    """The default hooks with our checkpoints; null leaves out one of mmengine's, and is refused for any other."""
    ours = {"type": "RunCheckpointHook", "folder": str(folder.checkpoints), "_scope_": "mmengine"}
    saving = hooks.get("checkpoint", {})
    kept = {name: hook for name, hook in hooks.items() if hook or name in _HOOKS_OF_MMENGINE}
    return {**kept, "checkpoint": {**saving, **ours} if isinstance(saving, dict) else None}


def _use_our_metric(evaluators: ConfigDict | list[ConfigDict]) -> None:
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if evaluator["type"] in ("CocoMetric", "mmdet.CocoMetric"):
            evaluator["type"] = "HotCocoMetric"
            for argument in FULFILLED & evaluator.keys():
                del evaluator[argument]


def _start_distributed(config: Config, asked: int) -> None:
    """Joins the processes that torchrun started; on CPUs before mmengine does, which would ask for CUDA.

    Raises:
        RuntimeError: They are not as many as are to train together, which would change what is trained.
    """
    import torch

    if asked != processes():
        raise RuntimeError(
            f"{processes()} processes were started, and {asked} are to train together"
        )

    config.launcher = "pytorch"
    if not torch.cuda.is_available():
        torch.distributed.init_process_group(backend="gloo")
