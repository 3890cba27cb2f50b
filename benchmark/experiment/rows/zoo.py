"""Names of config files: mmdet's own, which come with the installed package, and files of the user's.

Nothing of mmdet is imported: a plan of a thousand rows must take less than a second.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from benchmark.errors import UserError, nearest

PREFIX = "mmdet::"
"""Before the path of one of mmdet's configs, as mmengine has it in a ``_base_``."""

_NEAREST = 3  # names that a message gives
_ALIKE = 0.5


def config_file(name: str, folder: Path) -> Path:
    """The absolute path of the config file that a name stands for.

    Args:
        name: ``mmdet::family/file.py``; the name of such a file alone, without its folder and suffix; or a path that
            ends in ``.py``.
        folder: What such a path is relative to.

    Raises:
        UserError: There is no such file; the message gives the nearest names.
    """
    if name.startswith(PREFIX):
        return of_mmdet(name.removeprefix(PREFIX))
    if "/" not in name and not name.endswith(".py"):
        return _by_short_name(name)
    path = folder / Path(name).expanduser()
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if not path.is_file():
        beside = nearest(path.name, (one.name for one in path.parent.glob("*.py")))
        raise UserError(f"there is no file {path}{beside or _nearest_of_mmdet(name)}")
    if path.suffix != ".py":
        raise UserError(f"{path} is no Python file; a config's name ends in .py")
    return path.resolve()


def of_mmdet(name: str) -> Path:
    """The file of one of mmdet's configs, ``family/file.py``.

    Raises:
        UserError: There is none; the message gives the nearest names.
    """
    if name not in _files():
        raise UserError(f"mmdet has no config '{name}'{_nearest_of_mmdet(name)}")
    return _files()[name]


def _by_short_name(name: str) -> Path:
    found = _by_stem().get(name, [])
    if not found:
        raise UserError(
            f"mmdet has no config of this name, and the path of a file ends in .py{_nearest_of_mmdet(name)}"
        )
    if len(found) > 1:
        several = ", ".join(f"{PREFIX}{known}" for known in found)
        raise UserError(f"mmdet has {len(found)} configs of this name; write one of {several}")
    return _files()[found[0]]


def _nearest_of_mmdet(name: str) -> str:
    """The configs of mmdet that look most like a name, in words."""
    if not _files():
        return "; mmdet is not installed here with its configs: see 'detboard doctor'"
    stems = _by_stem()
    near = [f"{PREFIX}{stems[stem][0]}" for stem in nearest_names(Path(name).stem, stems)]
    return f"; nearest of mmdet's: {', '.join(near)}" if near else ""


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known names: those that begin with the name, the shortest first, then those most like it.

    Upper and lower case are the same here, and so are ``-`` and ``_``: older versions of mmdet wrote them the other
    way.
    """
    plain = {_plain(one): one for one in sorted(known, key=lambda one: (-len(one), one))}
    wanted = _plain(name)
    begun = [one for one in reversed(plain) if one.startswith(wanted)]
    like = difflib.get_close_matches(wanted, plain, n=_NEAREST, cutoff=_ALIKE)
    return [plain[one] for one in dict.fromkeys([*begun, *like])][:_NEAREST]


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")


@lru_cache(maxsize=1)
def _files() -> Mapping[str, Path]:
    """Mmdet's config files by ``family/file.py``, sorted; none where it is not installed with them."""
    spec = find_spec("mmdet")
    if spec is None or spec.origin is None:
        return {}
    root = Path(spec.origin).parent / ".mim" / "configs"
    return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.py"))}


@lru_cache(maxsize=1)
def _by_stem() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in whole_configs():
        found[Path(name).stem].append(name)
    return dict(found)


def whole_configs() -> list[str]:
    """Those of mmdet's configs that are no mere parts of others, ``family/file.py``, sorted."""
    return [name for name in _files() if not name.startswith(("_base_/", "common/"))]


def is_of_mmdet(file: Path) -> bool:
    """Whether a file is one of mmdet's own configs: the version of mmdet says what is in it."""
    return file in _all_of_mmdet()


@lru_cache(maxsize=1)
def _all_of_mmdet() -> frozenset[Path]:
    return frozenset(_files().values())
