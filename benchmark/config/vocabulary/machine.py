"""What a config needs of the machine that it is trained on: a GPU, packages that mmdet does not require."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which

from benchmark.config.tree import WITHIN, Config, by_content, dicts
from benchmark.config.vocabulary.words import class_of, mapping_of

# Read from the source of each: it imports them when it is built, and mmdet does not require them.
_PACKAGES = {
    "MemoryProfilerHook": ("psutil", "memory_profiler"),
    "NPUProfilerHook": ("torch_npu",),
    "tb_trace": ("torch_tb_profiler",),  # of ProfilerHook
    "ApexOptimWrapper": ("apex",),
    "Albu": ("albumentations",),
    "InstaBoost": ("instaboostfast",),
    "LVISDataset": ("lvis",),
    "LVISV05Dataset": ("lvis",),
    "LVISV1Dataset": ("lvis",),
}

# Packages whose classes a config names as in 'mmpretrain.ConvNeXt'.
_LIBRARIES = (
    "mmaction",
    "mmcls",
    "mmdet3d",
    "mmpose",
    "mmpretrain",
    "mmrotate",
    "mmseg",
    "mmselfsup",
    "mmtrack",
    "mmyolo",
)


@dataclass(frozen=True)
class Needs:
    """What a config needs of a machine.

    Attributes:
        gpu: The key that asks for a GPU, and why; None if nothing does.
        group: What only processes that train together can have; None if nothing is.
        packages: Packages by the class that wants them, as ``(class, package)``.
        compiler: Whether its model is compiled, which takes a C++ compiler.
    """

    gpu: str | None
    group: str | None
    packages: tuple[tuple[str, str], ...]
    compiler: bool = False

    def unmet(self, has_gpu: bool, processes: int) -> list[str]:
        """What a run of so many processes does not have on this machine: a message each, with what to do."""
        absent = [(name, package) for name, package in self.packages if find_spec(package) is None]
        lines = [f"{name} needs {p}: pip install {p}, or leave it out" for name, p in absent]
        if self.compiler and compiler() is None:
            lines.append(f"compile: {NO_COMPILER}, or leave it out")
        if self.group is not None and processes == 1:
            lines.append(self.group)
        return [*lines, *([self.gpu] if self.gpu and not has_gpu else [])]


NO_COMPILER = "needs a C++ compiler, and g++ is not found: install it, or name another one in CXX"


def compiler() -> str | None:
    """The C++ compiler that torch compiles with; None if there is none."""
    return which(os.environ.get("CXX") or "g++")


def needs_of(config: Config) -> Needs:
    """What a composed config needs."""
    classes = frozenset[str]().union(
        *(_classes(value) for value in config.values() if isinstance(value, WITHIN))
    )
    named = [(name, package) for name in sorted(classes) for package in _packages(name)]
    group = "MMSyncBN: needs several processes (the row's 'gpus'); write SyncBN or BN"
    compiled = bool(config.get("compile"))
    shared = group if "MMSyncBN" in classes else None
    return Needs(next(_gpu(config), None), shared, tuple(named), compiled)


def _packages(name: str) -> tuple[str, ...]:
    library = name.partition(".")[0] if "." in name else ""
    return _PACKAGES.get(name, (library,) if library in _LIBRARIES else ())


def _gpu(config: Config) -> Iterator[str]:
    wrapper = mapping_of(config.get("optim_wrapper"))
    name = class_of(wrapper)
    # In bfloat16 a CPU trains, too.
    in_half = name == "AmpOptimWrapper" and wrapper.get("dtype") != "bfloat16"
    if in_half or name == "ApexOptimWrapper":
        yield (
            f"optim_wrapper.type: {name} needs a GPU, and this machine shows none; write 'precision: bf16' "
            "(--precision bf16) or fp32, which CPUs train in, or run the row where there is one"
        )
    if (config.get("val_cfg") or {}).get("fp16"):
        yield "val_cfg.fp16: needs a GPU, and this machine shows none; leave it out, or run the row where there is one"


@by_content
def _classes(section: object) -> frozenset[str]:
    """The names of all classes that a section of a config names."""
    return frozenset(name for node in dicts(section) if (name := class_of(node)))
