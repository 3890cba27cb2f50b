"""The folders of a user; and some of its own for a process whose user has none: in containers, a uid without a home.

numba ends the process where it finds no folder for its cache ("no locator available"), W&B and torch's hub raise, and
matplotlib warns. All of them look in the user's home, or where ``XDG_CACHE_HOME`` says.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_CACHES, _SETTINGS = "XDG_CACHE_HOME", "XDG_CONFIG_HOME"


def caches() -> Path:
    """The folder of the user's caches, by the XDG base directory specification: a relative path does not count.

    That of a user without a home is one.
    """
    return _by_xdg(_CACHES, "~/.cache")


def settings() -> Path:
    """The folder of the user's settings, as `caches`."""
    return _by_xdg(_SETTINGS, "~/.config")


def _by_xdg(variable: str, usual: str) -> Path:
    asked = os.environ.get(variable, "")
    return Path(asked if os.path.isabs(asked) else os.path.expanduser(usual))  # noqa: PTH111, PTH117 - never raises


def is_private(found: os.stat_result) -> bool:
    """Whether a file or folder is this user's, and nobody else may write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def own_home() -> list[str]:
    """Sets ``HOME``, ``USER`` and XDG's variables where what they name cannot be used.

    Returns:
        A message for each that named something else.
    """
    return [*_no_relative_folders(), *_writable()]


def _no_relative_folders() -> list[str]:
    """Takes relative paths out: torch, mmengine and numba would each begin one where the process happens to be."""
    told = []
    for variable, folder in ((_CACHES, caches), (_SETTINGS, settings)):
        asked = os.environ.get(variable, "")
        if asked and not os.path.isabs(asked):  # noqa: PTH117
            del os.environ[variable]
            told.append(
                f"{variable}={asked} is no absolute path, and does not count; {folder()} is used"
            )
    return told


def _writable() -> list[str]:
    """Has a folder beside the temporary files take the place of one that cannot be written, and says so."""
    if "USER" not in os.environ and _entry() is None:
        os.environ["USER"] = f"uid{os.getuid()}"  # torch asks for a name
    if not _usable(home := _home()):
        os.environ["HOME"] = put = _temporary()
        if not _usable(os.environ.get(_CACHES, "")):
            os.environ.pop(_CACHES, None)
        return [_told(f"the home folder ({home or 'none'})", put, "HOME")]
    if not _usable(cache := os.environ.get(_CACHES) or str(Path(home, ".cache"))):
        os.environ[_CACHES] = put = _temporary()
        return [_told(f"the folder of caches ({cache})", put, _CACHES)]
    return []


def _told(what: str, put: str, variable: str) -> str:
    return (
        f"{what} cannot be written: caches, and weights that are fetched, go to {put}, which may not last; set "
        f"{variable} to a folder that lasts"
    )


def _home() -> str:
    entry = _entry()
    return os.environ.get("HOME") or (entry.pw_dir if entry is not None else "")


def _entry() -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid())
    return None


def _usable(folder: str) -> bool:
    """Whether files can be made in a folder, which may have to be made first."""
    path = Path(folder)
    if not path.is_absolute():
        return False
    with suppress(OSError):
        there = next(place for place in (path, *path.parents) if place.exists())
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return False


def _temporary() -> str:
    """A folder for this user alone, the same one every time; another one where somebody else has taken its name."""
    path = Path(tempfile.gettempdir(), f"detboard-home-{os.getuid()}")
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and is_private(found):
        return str(path)
    return tempfile.mkdtemp(prefix="detboard-home-")
