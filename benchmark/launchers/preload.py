"""What the forkserver has loaded when a job starts: importing it takes 10 s, a fork of it 0.1 s.

Nothing here may initialise CUDA or start a thread: neither survives a fork.
"""

import importlib

from benchmark import ops

MODULES = (
    "mmengine.runner",
    "mmdet.datasets",
    "mmdet.engine",
    "mmdet.evaluation",
    "mmdet.models",
    "mmdet.visualization",
    "mmpretrain.models",
    "wandb",
    "benchmark.coco_metric",
    "benchmark.launchers.child",
    "benchmark.provenance",
    "benchmark.tracking",
    "benchmark.training",
    # The driver's main module, which a child of the forkserver imports again.
    "benchmark.cli",
)

ops.install()  # before any module that imports mmcv.ops
for name in MODULES:
    importlib.import_module(name)
