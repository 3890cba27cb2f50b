"""What the forkserver has loaded when a job starts: importing it takes 10 s, a fork of it 0.1 s.

Nothing here may initialise CUDA or start a thread: neither survives a fork.
"""

import contextlib
import importlib
import io
import os
import warnings

from benchmark import ops
from benchmark.garbage import collect_as_usual, collect_seldom
from benchmark.job.measure import MEASUREMENTS
from benchmark.run.provenance import versions

MODULES = (
    "mmengine.runner",
    "mmdet.datasets",
    "mmdet.engine",
    "mmdet.evaluation",
    "mmdet.models",
    "mmdet.visualization",
    "mmpretrain.models",
    "matplotlib.backends.backend_agg",  # of mmdet's visualizer, which draws nothing
    "hotcoco",
    "yapf",  # mmengine writes configs with it
    "yapf.yapflib.yapf_api",
    "benchmark.job.metric",
    "benchmark.job.on_disk",
    "benchmark.job.pseudo",
    "benchmark.job.testing",
    "benchmark.job.measure.measuring",
    *(one.function.partition(":")[0] for one in MEASUREMENTS.values() if one.function),
    "benchmark.launchers.child",
    "benchmark.run.provenance",
    "benchmark.job.sharing",
    "benchmark.job.training",
    # The driver's main module, which a child of the forkserver imports again.
    "benchmark.cli",
)

# mmengine and mmcv ask for a GPU when they are imported. CUDA's own answer opens the driver, after which no fork may
# use CUDA ("Cannot re-initialize CUDA in forked subprocess"); NVML's does not.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
collect_seldom()
ops.install()  # before any module that imports mmcv.ops
# What mmdet says of its optional parts would come out in the middle of the driver's display.
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    for name in MODULES:
        importlib.import_module(name)
    versions()
# A job need not look through what is loaded here for garbage: mmengine asks for that twice a run, 0.3 s each.
collect_as_usual()
