"""Which modules a process imports: ours and those that we need, whatever lies where it was started or on PYTHONPATH.

Python looks first in the current folder (under ``-m`` and ``-c``, which multiprocessing and torchrun use) and in the
folders of PYTHONPATH. A ``benchmark.py`` there, or a checkout of mmdetection, would take the place of ours in jobs, or
of the version that a record names.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

NEEDED = (
    "PIL",
    "alembic",
    "adjustText",
    "benchmark",
    "cmaes",
    "cv2",
    "filelock",
    "fsspec",
    "grpc",
    "hotcoco",
    "jinja2",
    "markupsafe",
    "matplotlib",
    "mmcv",
    "mmdet",
    "mmengine",
    "mmpretrain",
    "numpy",
    "optuna",
    "pandas",
    "pydantic",
    "pydantic_core",
    "ray",
    "rich",
    "s3fs",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "timm",
    "torch",
    "torchvision",
    "typer",
    "wandb",
    "yaml",
)
"""What the package imports and must not get from where somebody stands."""


def own_modules_first() -> list[str]:
    """Takes the current folder off Python's path, unless PYTHONPATH names it, and puts PYTHONPATH's rivals at its end.

    Returns:
        A message for each folder of PYTHONPATH that holds another copy of what we need: it is looked in last.
    """
    asked = {_real(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    installed = _installed()
    here = _real(".")
    path = [
        entry
        for entry in sys.path
        if _real(entry) != here or here in asked or (entry and here in installed)
    ]
    given = [entry for entry in path if _real(entry) in asked and not _is_environment(entry)]
    others = [entry for entry in path if entry not in given]
    rivals = {entry: names for entry in given if (names := _rivals(entry, others))}
    sys.path[:] = [*(entry for entry in path if entry not in rivals), *rivals]
    return [
        f"PYTHONPATH: {entry} holds another {', '.join(names)} than the one that is used; it is looked in last. Take "
        "it out of PYTHONPATH, or install it ('pip install -e') to have it used"
        for entry, names in rivals.items()
    ]


def _is_environment(entry: str) -> bool:
    """Whether packages are installed in a folder, as clusters have them on PYTHONPATH: records name their versions."""
    return any(Path(entry or ".").glob("*.dist-info"))


def is_installed(folder: Path) -> bool:
    """Whether Python looks in a folder wherever it is started, after its own modules: one of installed packages."""
    return _real(str(folder)) in _installed()


def _installed() -> set[str]:
    """Where Python itself and installed packages lie, in which somebody may stand, too."""
    usual = {*sysconfig.get_paths().values(), *site.getsitepackages()}
    users = {site.getusersitepackages()} if site.ENABLE_USER_SITE else set()
    return {_real(entry) for entry in usual | users}


def _real(entry: str) -> str:
    with suppress(OSError):  # the current folder is gone
        return os.path.realpath(entry or ".")
    return entry


def _rivals(entry: str, others: list[str]) -> list[str]:
    """What we need that a folder has, and that is also found elsewhere."""
    held = {name: file for name in NEEDED if (file := _file(PathFinder.find_spec(name, [entry])))}
    return [name for name, file in held.items() if _ours(name, others) not in (None, file)]


def _ours(name: str, others: list[str]) -> str | None:
    """The file of the module that is used."""
    if name == __name__.partition(".")[0]:
        return _real(str(Path(__file__).with_name("__init__.py")))
    found = _file(PathFinder.find_spec(name, others))
    hooks = (finder for finder in sys.meta_path if finder is not PathFinder)  # of editable installs
    specs = (hook.find_spec(name, None) for hook in hooks if hasattr(hook, "find_spec"))
    return found or next((file for spec in specs if (file := _file(spec))), None)


def _file(spec: ModuleSpec | None) -> str | None:
    """Where a module or a package is loaded from; None of a mere folder, which takes nothing's place."""
    return _real(spec.origin) if spec is not None and spec.has_location and spec.origin else None
