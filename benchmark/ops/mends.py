"""What is broken in the installed mmdet and needs one line, mended when the module is imported.

Each mend changes nothing where the fault is not. `benchmark.ops.later` is heeded on the way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from benchmark.ops import later


def install() -> None:
    """Has mmdet's modules mended as they are imported, and those that are there already."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name in _MENDS.keys() & sys.modules.keys():
        _MENDS[name](sys.modules[name])


def _ssd_head(module: ModuleType) -> None:
    """`SSDHead` builds no ``loss_cls``, which predictions of mmdet 3.5 ask for a custom activation.

    Training works, and the first validation raises AttributeError. PISA's head inherits from it.
    """
    build = module.SSDHead.__init__
    if getattr(build, "mended", False):
        return

    @functools.wraps(build)
    def whole(self: object, *args: object, **settings: object) -> None:
        build(self, *args, **settings)
        if not hasattr(self, "loss_cls"):
            self.loss_cls = None  # type: ignore[attr-defined]

    whole.mended = True  # type: ignore[attr-defined]
    module.SSDHead.__init__ = whole


def _joined_pipeline(module: ModuleType) -> None:
    """`ConcatDataset` has no ``pipeline``: `PipelineSwitchHook` sets one that nothing reads, and says it has switched.

    With this one the pipeline of joined data sets is that of each of them.
    """

    def put(joined: Any, pipeline: object) -> None:
        for one in joined.datasets:
            one.pipeline = pipeline

    module.ConcatDataset.pipeline = property(lambda joined: joined.datasets[0].pipeline, put)


_MENDS: dict[str, Callable[[ModuleType], None]] = {
    "mmdet.datasets.dataset_wrappers": _joined_pipeline,
    "mmdet.models.dense_heads.ssd_head": _ssd_head,
}


class _Finder(MetaPathFinder):
    """Finds the modules that are mended, as Python does, and loads them with a mend."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in {*_MENDS, *later.MODULES} else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in later.MODULES:
            later.prepare(module)
        super().exec_module(module)
        if module.__name__ in _MENDS:
            _MENDS[module.__name__](module)
