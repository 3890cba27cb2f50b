"""What mmdet imports for one part of theirs is imported when that is used.

Lanes want imgaug, one head's clusters and tracks scikit-learn: with numba, scipy's statistics and pandas a fifth of
what a job that is a process of its own takes of a CPU to import.
"""

from __future__ import annotations

import builtins
import importlib.util
import pkgutil
from types import ModuleType
from typing import Any

MODULES = {
    "mmdet.datasets.transforms.generate_line": ("imgaug", "scipy"),
    "mmdet.datasets.transforms.transforms": ("imagecorruptions",),
    "mmdet.evaluation.metrics.culane_metric": ("scipy",),
    "mmdet.models.dense_heads.clr_head.lane": ("scipy",),
    "mmdet.models.dense_heads.paa_head": ("sklearn",),
    "mmdet.models.task_modules.tracking.interpolation": ("sklearn",),
}
"""Packages that wait, by the module that imports them and only calls what is in them."""


def prepare(module: ModuleType) -> None:
    """Has a module of `MODULES`, which is about to be executed, get stand-ins for what waits."""
    waiting = [
        name for name in MODULES[module.__name__] if importlib.util.find_spec(name) is not None
    ]

    def find(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        package = name.partition(".")[0]
        if level or package not in waiting:
            return builtins.__import__(name, globals, locals, fromlist, level)
        return _Later(name if fromlist else package)

    vars(module)["__builtins__"] = {**vars(builtins), "__import__": find}


class _Later:
    """Stands in for something of a package that is not imported yet; its own attributes, and calls, are what it has."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> _Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(f"{self._name}.{name}")

    def __call__(self, *given: Any, **settings: Any) -> Any:
        return pkgutil.resolve_name(self._name)(*given, **settings)
