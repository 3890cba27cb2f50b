"""Serves mmcv's compiled operators from torchvision and torch, where mmcv has none.

mmcv's package holds its C++ and CUDA operators only if it was compiled against the installed torch,
which takes a matching compiler and a long time. mmdet's models need a handful of them. `install`
puts a stand-in for the extension module ``mmcv._ext`` where Python looks first; where mmcv's own
is compiled it does nothing.

``python -m benchmark.ops SCRIPT [ARGUMENTS]`` runs any script, mmdet's own ``tools/train.py`` for
one, with the operators installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import runpy
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Literal

from benchmark.ops import mends

_EXTENSION = "mmcv._ext"
_IMPLEMENTATION = "benchmark.ops.torch_ops"
# What is served, by the module that has it.
_SERVED = {
    "carafe": ("carafe_backward", "carafe_forward"),
    "deform_conv": (
        "deform_conv_backward_input",
        "deform_conv_backward_parameters",
        "deform_conv_forward",
        "modulated_deform_conv_backward",
        "modulated_deform_conv_forward",
    ),
    "deform_roi_pool": ("deform_roi_pool_backward", "deform_roi_pool_forward"),
    "focal_loss": (
        "sigmoid_focal_loss_backward",
        "sigmoid_focal_loss_forward",
        "softmax_focal_loss_backward",
        "softmax_focal_loss_forward",
    ),
    "masked_conv": ("masked_col2im_forward", "masked_im2col_forward"),
    "ms_deform_attn": ("ms_deform_attn_backward", "ms_deform_attn_forward"),
    "nms": ("nms", "nms_match", "softnms"),
    "roi_align": ("roi_align_backward", "roi_align_forward"),
    "roi_pool": ("roi_pool_backward", "roi_pool_forward"),
}
_MODULES = {name: module for module, names in _SERVED.items() for name in names}
# Built with pip's own build environment, which has no torch, mmcv leaves its operators out without
# a word; and its setup.py asks for C++17, where torch's headers need C++20 in torch 2.14.
_HOW_TO_COMPILE = (
    "`pip download --no-deps --no-build-isolation --no-binary onedl-mmcv onedl-mmcv`; unpack it; "
    "in its setup.py replace c++17 by c++20 if torch's headers ask for that; and in its folder "
    "`pip install --force-reinstall --no-deps --no-build-isolation .`"
)


def install() -> None:
    """Makes ``mmcv.ops`` importable, and mmdet's models whole: see `mends`.

    Leaves mmcv's own operators alone where they are compiled; called again it does nothing.

    Raises:
        RuntimeError: mmdet's models were imported before, without operators: some of them have
            already bound replacements that fail when they are called.
    """
    mends.install()
    if _EXTENSION in sys.modules or _is_compiled():
        return
    if "mmdet.models" in sys.modules:
        raise RuntimeError("benchmark.ops.install() must be called before mmdet.models is imported")
    sys.modules[_EXTENSION] = _Extension(_EXTENSION)


def origin() -> Literal["compiled", "torchvision"]:
    """Where ``mmcv.ops`` takes its operators from, or would after `install`.

    Imports neither mmcv nor torch.
    """
    module = sys.modules.get(_EXTENSION)
    compiled = _is_compiled() if module is None else not isinstance(module, _Extension)
    return "compiled" if compiled else "torchvision"


def served() -> list[str]:
    """Names of the operators that the stand-in serves, sorted."""
    return sorted(_MODULES)


def kinds() -> list[str]:
    """Kinds of operators that the stand-in serves, sorted; each has what mmcv's layers need of it."""
    return sorted(_SERVED)


def _is_compiled() -> bool:
    # importlib.util.find_spec("mmcv._ext") would import mmcv itself, and with it cv2.
    package = importlib.util.find_spec("mmcv")
    if package is None or package.submodule_search_locations is None:
        return False
    return PathFinder.find_spec(_EXTENSION, list(package.submodule_search_locations)) is not None


class _Extension(types.ModuleType):
    """Stands in for ``mmcv._ext``.

    mmcv asserts ``hasattr`` for every operator when it is imported, also for those that nobody
    calls, so every name is there; those that are not served raise when they are called.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "mmcv's operators, served from torchvision and torch.")
        # mmengine calls find_spec(), which raises ValueError for a module without a __spec__.
        self.__spec__ = ModuleSpec(name, loader=None, origin=_IMPLEMENTATION)

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _MODULES:
            return missing(name)
        module = importlib.import_module(f"{_IMPLEMENTATION}.{_MODULES[name]}")
        operator: Callable[..., object] = getattr(module, name)
        return operator


def missing(name: str) -> Callable[..., object]:
    """A function that raises NotImplementedError: which operator is missing, and how to get it."""

    def fail(*_args: object, **_kwargs: object) -> object:
        raise NotImplementedError(
            f"mmcv's operator '{name}' is compiled code, which this mmcv was installed without, "
            f"and is not among those served in its place ({', '.join(served())}). mmcv's own "
            f"operators are used where they are compiled: {_HOW_TO_COMPILE} (needs a C++ compiler, "
            "and nvcc for the CUDA operators)"
        )

    fail.__name__ = name
    return fail


def main(arguments: list[str]) -> None:
    """Runs a script as ``python SCRIPT ARGUMENTS`` would, with the operators installed.

    Raises:
        SystemExit: With status 2 where there is no script; otherwise as the script ends.
    """
    if not arguments or not Path(arguments[0]).is_file():
        problem = f"no file {arguments[0]!r}\n" if arguments else ""
        print(f"{problem}usage: python -m benchmark.ops SCRIPT [ARGUMENTS]", file=sys.stderr)
        raise SystemExit(2)
    install()
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")
